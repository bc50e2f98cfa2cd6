#!/usr/bin/env python3
"""No committed text names a folder of one person's machine or the host of a package registry."""

import re

from tree import numbered_lines, read_text, report, tree_files

# In pieces, so that this file does not find itself.
FOLDERS = ["wor" "k", "opt/wheel" "s", "roo" "t", r"home/\w+", "User" r"s/\w+"]
HOSTS = [
    *["deb" r"\.debian\.org", "pyp" r"i\.org", "python" r"hosted\.org"],
    *[r"registry\.npm" r"js\.org", "crate" r"s\.io", r"proxy\.go" r"lang\.org"],
]
FOLDER = r"(?<![\w.$}~)-])/(?:" + "|".join(FOLDERS) + r")(?![\w-])[\w./-]*"
HOST = r"\b(?:[\w-]+\.)*(?:" + "|".join(HOSTS) + r")\b"
FOREIGN = re.compile(FOLDER + "|" + HOST)
# The name by which cargo calls its registry, in its lock files; cargo maps it to a host itself.
CARGO_REGISTRY = 'source = "registry+https://github.com/rust-lang/crate' 's.io-index"'


def find(root):
    found = []
    for path in tree_files(root):
        for number, line in numbered_lines(read_text(root / path) or ""):
            if path.name == "Cargo.lock" and line == CARGO_REGISTRY:
                continue
            for match in FOREIGN.finditer(line):
                found.append(f"{path}:{number}: names {match[0]}")
    return found


if __name__ == "__main__":
    report(find)
