"""The commands of docs/case-study-gemma-3.md, run as they stand.

    python3 tests/cli/case_study_test.py PIPPIN CONFORMANCE

```sh blocks run line by line; in ```console blocks the lines after "$ " are the command's output and are compared. The models
that the document names are tiny ones with the same tensors; the shapes are the real ones. ```sh reference blocks need the
reference packages and run only with PIPPIN_REFERENCE_VENV=1, in the slow tier.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = ROOT / "docs" / "case-study-gemma-3.md"
SOURCES = {"gemma-3-27b-pt": "gemma3_pt_sparse_config", "gemma-3-27b-it": "gemma3"}
PIPPIN = CONFORMANCE = ""


def blocks(text):
    """(kind, text) of every fenced block, in order."""
    return [(match[1].strip(), match[2]) for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


def steps(text):
    """(command, expected output or None) of the whole document, in order."""
    for kind, block in blocks(text):
        if kind == "console":
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield kind, command, output
        elif kind in ("sh", "sh reference"):
            for command in block.splitlines():
                yield kind, command, None


class CaseStudy(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-case-study-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name, case in SOURCES.items():
            file = ROOT / "tests" / "conformance" / "vlm" / f"{case}.json"
            subprocess.run([CONFORMANCE, "--write-source", file, self.folder / name], check=True)
            # mlx-lm takes the size of the vocabulary from here; its default is the real model's.
            config = self.folder / name / "config.json"
            config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": 256}))
        (self.folder / "tools").symlink_to(ROOT / "tools")
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "pippin").symlink_to(PIPPIN)
        self.environment = os.environ | {"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def test_every_command_of_the_document(self):
        with_reference = os.environ.get("PIPPIN_REFERENCE_VENV") == "1"
        counts = {}
        for kind, command, expected in steps(DOCUMENT.read_text()):
            counts[kind] = counts.get(kind, 0) + 1
            if kind == "sh reference" and not with_reference:
                continue
            with self.subTest(command):
                result = subprocess.run(["sh", "-c", f"set -e; {command}"], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                        capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, result.stdout[-2000:] + result.stderr[-2000:])
                if expected is not None:
                    self.assertEqual([line.rstrip() for line in result.stdout.splitlines()], [line.rstrip() for line in expected.splitlines()])
        self.assertGreaterEqual(counts["console"], 11)
        self.assertGreaterEqual(counts["sh"], 10)
        self.assertGreaterEqual(counts["sh reference"], 5)

    def test_no_block_is_left_out(self):
        self.assertEqual({kind for kind, _ in blocks(DOCUMENT.read_text())}, {"sh", "console", "sh reference"})


if __name__ == "__main__":
    if "--reference" in sys.argv and os.environ.get("PIPPIN_REFERENCE_VENV") != "1":
        python = subprocess.run([sys.executable, ROOT / "tools" / "reference_venv"], check=True, capture_output=True, text=True).stdout.strip()
        os.environ["PIPPIN_REFERENCE_VENV"] = "1"
        os.execv(python, [python, *sys.argv])
    arguments = [argument for argument in sys.argv[1:] if argument != "--reference"]
    PIPPIN, CONFORMANCE = (str(Path(argument).resolve()) for argument in arguments[:2])
    unittest.main(argv=sys.argv[:1] + arguments[2:])
