"""The King James Bible as chapters of verses, read from Debian's `bible` program."""

import re
import subprocess
from dataclasses import dataclass

HEADING = re.compile(r"^(\d? ?[A-Z][A-Za-z ]+ \d+)$")
VERSE = re.compile(r"^ *\d+ (.+)$")


@dataclass
class Chapter:
    title: str
    verses: list[str]

    def text(self):
        return "\n".join(self.verses) + "\n"


def read_chapters():
    """All 1189 chapters in order. Raises when `bible` is missing or prints something else."""
    try:
        printed = subprocess.run(
            ["bible", "-l100000", "gen1:1-rev22:21"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except FileNotFoundError:
        raise SystemExit("the program `bible` is missing: apt-get install bible-kjv") from None
    chapters = []
    for line in printed.splitlines():
        if heading := HEADING.match(line):
            chapters.append(Chapter(heading[1], []))
        elif verse := VERSE.match(line):
            chapters[-1].verses.append(verse[1].strip())
        elif line.strip():
            raise SystemExit(f"unexpected line from `bible`: {line[:80]!r}")
    verses = sum(len(chapter.verses) for chapter in chapters)
    if (len(chapters), verses) != (1189, 31102):
        raise SystemExit(f"`bible` printed {len(chapters)} chapters and {verses} verses, not 1189 and 31102")
    return chapters
