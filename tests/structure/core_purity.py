#!/usr/bin/env python3
"""The core neither prints nor ends the program: only src/cli may."""

import re

from tree import numbered_lines, read_text, report, tree_files

CALLS = "printf fprintf vprintf vfprintf puts fputs putchar perror exit _exit quick_exit abort terminate assert"
FORBIDDEN = re.compile(
    r"std::(?:cout|cerr|clog|wcout|wcerr)\b"
    r"|\bfmt::print(?:ln)?\s*\("
    r"|(?<![\w.>])(?:" + "|".join(CALLS.split()) + r")\s*\("
    r"|#\s*include\s*<(?:iostream|cassert|assert\.h)>"
)
# One alternative a kind of text that is not code. Raw strings come first: they may hold quotes.
NOT_CODE = re.compile(
    r'R"(\w*)\((?:.|\n)*?\)\1"' r'|"(?:\\.|[^"\\\n])*"' r"|(?<!\w)'(?:\\.|[^'\\\n])+'" r"|//[^\n]*" r"|/\*(?:.|\n)*?\*/"
)


def code_only(text):
    """The text with comments and literals emptied; line numbers stay."""
    return NOT_CODE.sub(lambda match: "\n" * match[0].count("\n"), text)


def is_core(path):
    return path.suffix in {".h", ".cpp", ".inc"} and (
        path.parts[0] == "include" or (path.parts[0] == "src" and path.parts[1] != "cli")
    )


def find(root):
    found = []
    for path in filter(is_core, tree_files(root)):
        for number, line in numbered_lines(code_only(read_text(root / path) or "")):
            for use in FORBIDDEN.finditer(line):
                found.append(f"{path}:{number}: {use[0].strip()} in the core; return an Error instead")
    return found


if __name__ == "__main__":
    report(find)
