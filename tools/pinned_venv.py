"""Virtual environments that hold packages of fixed versions."""

import fcntl
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The platform's pins of MLX itself.
MLX_PINS = ["mlx==0.32.4"] + (["mlx-cpu==0.32.4"] if sys.platform == "linux" else [])


def is_current(folder, pins):
    marker = folder / "pins.txt"
    return marker.is_file() and marker.read_text() == "\n".join(pins)


def build(folder, pins):
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins]
    subprocess.run(command, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)
    (folder / "pins.txt").write_text("\n".join(pins))


def pinned_venv(name, pins):
    """The folder that the command line names, else build/NAME, with these packages.

    One whose pins are current is reused at once. Safe to call from several processes at the same time.
    """
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / name).absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current(folder, pins):
            build(folder, pins)
    return folder
