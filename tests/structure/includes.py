#!/usr/bin/env python3
"""Every #include between folders of src/ follows cmake/dependencies.txt; include/pippin includes only itself."""

import re

from tree import numbered_lines, read_text, report, tree_files

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
ROW = re.compile(r"^([a-z_]+):(.*)$")
SUFFIXES = {".h", ".cpp", ".inc"}


def read_rows(root):
    rows = {}
    for line in (root / "cmake" / "dependencies.txt").read_text().splitlines():
        if row := ROW.match(line):
            rows[row[1]] = set(row[2].split())
    return rows


def allowed_folders(path, rows):
    """The folders of src/ that this file may include from; None where the folder has no row."""
    if path.parts[0] == "include":
        return set()
    folder = path.parts[1]
    return rows[folder] | {folder} if folder in rows else None


def included_folder(root, path, target):
    """The folder of src/ that an include leads to, or None for what lies elsewhere."""
    if (root / "src" / target).is_file():
        return target.split("/")[0]
    beside = (root / path).parent / target
    if beside.is_file() and beside.resolve().is_relative_to(root / "src"):
        return beside.resolve().relative_to(root / "src").parts[0]
    return None


def find(root):
    rows, found = read_rows(root), []
    for path in tree_files(root):
        if path.parts[0] not in {"src", "include"} or path.suffix not in SUFFIXES or len(path.parts) < 3:
            continue
        allowed = allowed_folders(path, rows)
        if allowed is None:
            found.append(f"{path}: src/{path.parts[1]} has no row in cmake/dependencies.txt")
            continue
        for number, line in numbered_lines(read_text(root / path) or ""):
            include = INCLUDE.match(line)
            folder = included_folder(root, path, include[1]) if include else None
            if folder and folder not in allowed:
                found.append(f"{path}:{number}: includes {include[1]}; cmake/dependencies.txt does not allow {folder}")
    return found


if __name__ == "__main__":
    report(find)
