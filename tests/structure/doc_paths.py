#!/usr/bin/env python3
"""Every path of this repository that a document names exists. Globs must match; <placeholders> are let be."""

import re

from tree import numbered_lines, read_text, report, tree_files

TOP_FILE = re.compile(r"(?<![\w/.-])((?:CMakeLists|CMakePresets|Makefile|[A-Z]{5,})(?:\.[a-z]+)?)(?![\w/.-])")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def documents(files):
    """All Markdown of the project itself; a model card under examples/ describes another folder."""
    return [path for path in files if path.suffix == ".md" and path.parts[0] != "examples"]


def path_pattern(files):
    tops = sorted({path.parts[0] for path in files if len(path.parts) > 1})
    tops = "|".join(re.escape(top) for top in tops)
    return re.compile(rf"(?<![\w/.:<>-])(?:\./)?((?:{tops})/[^\s`'\"()|,;:\]}}]*)")


def exists(base, name):
    if "<" in name or "{" in name or "…" in name:
        return True
    name = name.rstrip("/.")
    return any(base.glob(name)) if "*" in name else (base / name).exists()


def names_in(line, pattern):
    found = [match[1] for match in pattern.finditer(line)]
    return found + [match[1] for match in TOP_FILE.finditer(line) if "." in match[1] or match[1] == "Makefile"]


def find(root):
    files, found = tree_files(root), []
    pattern = path_pattern(files)
    for document in documents(files):
        for number, line in numbered_lines(read_text(root / document) or ""):
            links = [link for link in LINK.findall(line) if "://" not in link and not link.startswith("mailto:")]
            for link in links:
                if not exists((root / document).parent, link):
                    found.append(f"{document}:{number}: links to {link}, which does not exist")
            for name in names_in(LINK.sub("]", line), pattern):
                if not exists(root, name):
                    found.append(f"{document}:{number}: names {name}, which does not exist")
    return found


if __name__ == "__main__":
    report(find)
