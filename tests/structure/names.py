#!/usr/bin/env python3
"""No file or folder has a name that says nothing: a part is named after what it does."""

import re

from tree import report, tree_files

EMPTY_NAME = re.compile(r"^(?:.*[_-])?(?:util|utils|utility|utilities|common|helper|helpers|misc)$", re.IGNORECASE)


def find(root):
    found = {}
    for path in tree_files(root):
        for depth, part in enumerate(path.parts, 1):
            if EMPTY_NAME.match(part.split(".")[0]):
                found["/".join(path.parts[:depth])] = True
    return [f"{path}: a name that says nothing; name it after what it does" for path in found]


if __name__ == "__main__":
    report(find)
