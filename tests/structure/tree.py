"""What the checks look at: the files that are, or would be, committed. And how a check reports."""

import os
import subprocess
import sys
from pathlib import Path

SKIPPED = {"build", "__pycache__", "node_modules"}


def listed_by_git(root):
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [Path(name) for name in answer.stdout.decode().split("\0") if name]


def listed_by_walk(root):
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED and name != ".git"]
        found += [(Path(folder) / name).relative_to(root) for name in files]
    return found


def tree_files(root):
    """Paths relative to root, sorted; a tarball without git works too."""
    files = listed_by_git(root) if (root / ".git").exists() else None
    if files is None:
        files = listed_by_walk(root)
    return sorted(path for path in set(files) if (root / path).is_file())


def read_text(path):
    """None for a binary file."""
    data = path.read_bytes()
    return None if b"\0" in data else data.decode(errors="replace")


def numbered_lines(text):
    return enumerate(text.splitlines(), 1)


def report(check):
    """Runs check(root) -> list of sentences, prints them; the exit status says whether there were any."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    found = check(root)
    for sentence in found:
        print(sentence)
    print(f"{len(found)} findings in {root}")
    sys.exit(1 if found else 0)
