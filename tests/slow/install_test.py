"""What `make install` puts under its prefix works by itself, wherever that is.

    python3 tests/slow/install_test.py CMAKE BUILD_FOLDER
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "kjv-tiny"
CMAKE, BUILD = sys.argv[1:3]


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Path(tempfile.mkdtemp(prefix="pippin-install-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        subprocess.run([CMAKE, "--install", BUILD, "--prefix", folder / "first"], check=True, capture_output=True)
        cls.prefix = (folder / "first").rename(folder / "moved")

    def run_it(self, *arguments):
        return subprocess.run([self.prefix / "bin" / "pippin", *arguments], capture_output=True, text=True, cwd="/", check=True).stdout

    def test_it_runs_from_another_place(self):
        self.assertTrue(self.run_it("--version").startswith("pippin "))
        out = self.prefix / "out"
        self.run_it("convert", EXAMPLE, out, "--quiet")
        answer = json.loads(self.run_it("generate", out, "--ignore-chat-template", "--prompt", "In the beginning God", "--json"))
        self.assertTrue(answer["text"].startswith(" created the heaven"), answer)

    def test_activations_can_be_recorded(self):
        help_text = subprocess.run([self.prefix / "share" / "pippin" / "record_activations", "--help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("prompts.K.logits", help_text)

    @unittest.skipUnless(sys.platform == "linux", "ldd")
    def test_it_uses_nothing_of_the_build(self):
        runtime = self.prefix / "libexec" / "pippin" / "pippin-runtime"
        libraries = subprocess.run(["ldd", runtime], capture_output=True, text=True, check=True).stdout
        self.assertNotIn(str(Path(BUILD).resolve()), libraries)
        self.assertNotIn("site-packages", libraries)
        self.assertNotIn("not found", libraries)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
