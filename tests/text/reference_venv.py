"""The environment of the reference packages, and the driver program that answers for pippin."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def enter():
    """Starts the calling program again in the environment that tools/reference_venv makes."""
    if os.environ.get("PIPPIN_REFERENCE_VENV") == "1":
        return
    command = [sys.executable, ROOT / "tools" / "reference_venv"]
    python = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    os.environ["PIPPIN_REFERENCE_VENV"] = "1"
    os.execv(python, [python, "-B", *sys.argv])


class Driver:
    """tests/text/driver: one request a line, one answer a line."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, do, **request):
        """{"answer": …} or {"error": message}."""
        self.process.stdin.write(json.dumps({"do": do, **request}, ensure_ascii=False).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
