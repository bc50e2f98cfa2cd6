"""The environment of the reference packages, for the tests that compare with them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def enter():
    """Starts the calling program again in the environment that tools/reference_venv makes."""
    if os.environ.get("PIPPIN_REFERENCE_VENV") == "1":
        return
    command = [sys.executable, ROOT / "tools" / "reference_venv"]
    python = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    os.environ["PIPPIN_REFERENCE_VENV"] = "1"
    os.execv(python, [python, "-B", *sys.argv])
