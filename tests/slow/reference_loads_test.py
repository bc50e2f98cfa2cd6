"""The real mlx-lm generates the same tokens from what pippin wrote as from its own conversion.

    python3 tests/slow/reference_loads_test.py PIPPIN

Runs itself again in the environment that tools/reference_venv makes.
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter
EXAMPLE = ROOT / "examples" / "kjv-tiny"
PIPPIN = ""


def convert(source, out, *flags):
    subprocess.run([PIPPIN, "convert", source, out, "--quiet", *flags], check=True)


class ReferencePackages(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-slow-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def test_greedy_tokens_equal_those_of_the_reference_conversion(self):
        from mlx_lm import convert as reference_convert
        from mlx_lm import load
        from mlx_lm.generate import generate_step
        import mlx.core as mx

        def tokens(path):
            model, tokenizer = load(str(path))
            prompt = mx.array(tokenizer.encode("In the beginning"))
            return [int(token) for (token, _), _ in zip(generate_step(prompt, model, max_tokens=24), range(24))], tokenizer

        for name, arguments, flags in [
            ("plain", {}, []),
            ("q4", {"quantize": True}, ["-q"]),
            ("q8", {"quantize": True, "q_bits": 8, "q_group_size": 32}, ["-q", "--q-bits", "8", "--q-group-size", "32"]),
        ]:
            with self.subTest(name):
                ours, theirs = self.folder / f"ours-{name}", self.folder / f"theirs-{name}"
                convert(EXAMPLE, ours, "--rounding", "cpu", *flags)
                reference_convert(str(EXAMPLE), mlx_path=str(theirs), **arguments)
                a, tokenizer = tokens(ours)
                b, _ = tokens(theirs)
                self.assertEqual(a, b)
                self.assertIn("God", tokenizer.decode(a))


if __name__ == "__main__":
    enter()
    PIPPIN = str(Path(sys.argv[1]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
