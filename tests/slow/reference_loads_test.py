"""The real packages take what pippin wrote: strict loading, and the same tokens as from their own conversion.

    python3 tests/slow/reference_loads_test.py PIPPIN CONFORMANCE

Runs itself again in the environment that tools/reference_venv makes.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "kjv-tiny"
LM_CASES = ["llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "mixtral", "gemma", "gemma2", "gemma3_text", "gemma3", "phi3", "deepseek_v3", "gpt_oss", "qwen2_vl"]
VLM_CASES = ["gemma3", "qwen2_vl", "llama", "qwen3"]
PIPPIN = CONFORMANCE = ""


def convert(source, out, *flags):
    subprocess.run([PIPPIN, "convert", source, out, "--quiet", *flags], check=True)


class ReferencePackages(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-slow-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def source_of(self, target, case):
        source = self.folder / f"{target}-{case}"
        subprocess.run([CONFORMANCE, "--write-source", ROOT / "tests" / "conformance" / target / f"{case}.json", source], check=True)
        return source

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

    def test_mlx_lm_loads_every_case_strictly(self):
        from mlx_lm.utils import load_model

        for case in LM_CASES:
            with self.subTest(case):
                source = self.source_of("lm", case)
                for flags in ([], ["-q"]):
                    out = self.folder / "out"
                    convert(source, out, "--target", "mlx-lm", *flags)
                    load_model(out)
                    shutil.rmtree(out)

    def test_mlx_vlm_loads_every_case_strictly(self):
        from mlx_vlm.utils import load_model

        for case in VLM_CASES:
            with self.subTest(case):
                source = self.source_of("vlm", case)
                for flags in ([], ["-q"]):
                    out = self.folder / "out"
                    convert(source, out, "--target", "mlx-vlm", *flags)
                    load_model(out)
                    shutil.rmtree(out)


if __name__ == "__main__":
    if os.environ.get("PIPPIN_REFERENCE_VENV") != "1":
        python = subprocess.run([sys.executable, ROOT / "tools" / "reference_venv"], check=True, capture_output=True, text=True).stdout.strip()
        os.environ["PIPPIN_REFERENCE_VENV"] = "1"
        os.execv(python, [python, *sys.argv])
    PIPPIN, CONFORMANCE = (str(Path(argument).resolve()) for argument in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
