"""`pippin verify`: sound conversions pass, each kind of fault is found and named.

    python3 tests/cli/verify_test.py PIPPIN
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from weights_file import WeightsFile

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "kjv-tiny"
GENESIS = "In the beginning God created the heaven and the earth."
PIPPIN = ""


def pippin(*arguments, **options):
    return subprocess.run([PIPPIN, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)


class Verify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.held = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.held.name)
        for name, flags in [("f32", ["--dtype", "float32"]), ("bf16", []), ("8bit", ["-q", "--q-bits", "8"]), ("4bit", ["-q"])]:
            assert pippin("convert", EXAMPLE, cls.folder / name, "--quiet", *flags).returncode == 0

    @classmethod
    def tearDownClass(cls):
        cls.held.cleanup()

    def verified(self, model, *flags, source=EXAMPLE, status=0):
        """The JSON report."""
        result = pippin("verify", source, self.folder / model, "--json", *flags)
        self.assertEqual(result.returncode, status, result.stdout[-2000:] + result.stderr)
        return json.loads(result.stdout)

    def damaged(self, model, change):
        """A copy whose tensors `change` has altered."""
        copy = self.folder / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder / model, copy)
        weights = WeightsFile(copy / "model.safetensors")
        change(weights.tensors)
        weights.write()
        return "damaged"

    def test_float32_behaves_the_same(self):
        answer = self.verified("f32", source=self.folder / "f32")
        against = answer["behaviour"]["against"][0]
        self.assertEqual((against["precision"], against["passed"], len(against["layers"])), ("F32", True, 3))
        self.assertEqual((against["logits"]["largest_difference"], against["logits"]["top1"]), (0, 1))
        self.assertEqual(against["layers"][2]["relative_error"], 0)
        self.assertIsNone(against["first_diverging_layer"])

    def test_another_dtype_behaves_nearly_the_same(self):
        against = self.verified("f32")["behaviour"]["against"][0]
        self.assertEqual(against["precision"], "F16 or BF16")
        self.assertLess(against["logits"]["mean_kl"], 1e-3)
        self.assertGreater(against["logits"]["largest_difference"], 0)

    def test_four_bits_by_their_bounds(self):
        text = self.folder / "text"
        text.write_text(GENESIS + " And the earth was without form, and void; and darkness was upon the face of the deep.")
        against = self.verified("4bit", "--text", text)["behaviour"]["against"][0]
        self.assertEqual((against["precision"], against["passed"]), ("4 bits", True))
        self.assertTrue(0 < against["logits"]["mean_kl"] < 0.5)
        self.assertEqual(against["perplexity"]["of"], "text")
        self.assertLess(against["perplexity"]["model"], 60)  # the example was trained on it
        against = self.verified("4bit", "--max-kl", "1e-6", status=8)["behaviour"]["against"][0]
        self.assertEqual([check["what"] for check in against["checks"] if not check["passed"]], ["mean KL divergence"])

    def test_statistics_before_and_after(self):
        tensors = {one["name"]: one for one in self.verified("4bit", "--no-behaviour")["per_tensor"]}
        norm, packed = tensors["model.norm.weight"], tensors["lm_head.weight"]
        self.assertTrue(norm["exact"] and norm["before"] == norm["after"])
        self.assertNotEqual(packed["before"]["deviation"], packed["after"]["deviation"])
        self.assertLess(abs(packed["before"]["deviation"] / packed["after"]["deviation"] - 1), 0.05)
        self.assertLess(packed["before"]["smallest"], packed["before"]["mean"])

    def test_packed_layers_that_were_kept(self):
        for name, source, flags in [("8bit-f32", EXAMPLE, ["-q", "--q-bits", "8", "--dtype", "float32"]),
                                    ("8bit-f16", self.folder / "8bit-f32", ["--dtype", "float16"])]:
            self.assertEqual(pippin("convert", source, self.folder / name, "--quiet", *flags).returncode, 0)
        answer = self.verified("8bit-f16", source=self.folder / "8bit-f32")
        self.assertEqual(answer["per_tensor"][0]["format"], "affine 8 bits, group 64")

    def test_where_the_sources_tensors_went(self):
        structure = self.verified("bf16", "--no-behaviour")["structure"]
        self.assertEqual(structure, {"source_tensors": 30, "output_tensors": 30, "left_out": []})
        source = self.folder / "rotary"
        shutil.copytree(self.folder / "bf16", source)
        weights, name = WeightsFile(source / "model.safetensors"), "model.layers.0.self_attn.rotary_emb.inv_freq"
        weights.metadata = {"format": "pt"}  # not a stamped output, whose layout is kept
        weights.tensors[name] = ["F32", [1], bytearray(4)]
        weights.write()
        (source / "model.safetensors.index.json").unlink(missing_ok=True)
        self.assertEqual(self.verified("bf16", "--no-behaviour", source=source)["structure"]["left_out"], [name])
        self.assertIn(f"  {name}\n", pippin("verify", source, self.folder / "bf16", "--no-behaviour", "--all").stdout)

    def test_wrong_scales_name_the_layer(self):
        def change(tensors):
            data = tensors["model.layers.1.mlp.down_proj.scales"][2]
            for at in range(1, len(data), 2):
                data[at] += 2  # of BF16, the exponent's upper bits: 16 times as large

        result = self.verified(self.damaged("8bit", change), status=8)
        self.assertEqual([one["name"] for one in result["per_tensor"] if not one["exact"]], ["model.layers.1.mlp.down_proj.weight"])
        self.assertEqual(result["behaviour"]["against"][0]["first_diverging_layer"], 1)
        self.assertIn("layer 1 is the first beyond", pippin("verify", EXAMPLE, self.folder / "damaged").stdout)

    def test_a_transposed_tensor(self):
        name = "model.layers.2.self_attn.q_proj.weight"

        def change(tensors):
            _, (rows, columns), data = tensors[name]
            self.assertEqual(rows, columns)
            tensors[name][2] = bytearray().join(data[2 * (r * columns + c):2 * (r * columns + c) + 2] for c in range(columns) for r in range(rows))

        result = self.verified(self.damaged("bf16", change), status=8)
        self.assertEqual([one["name"] for one in result["per_tensor"] if not one["exact"]], [name])
        self.assertEqual(result["behaviour"]["against"][0]["first_diverging_layer"], 2)

    def test_missing_unexpected_and_misshapen_tensors(self):
        def lacks(tensors):
            del tensors["model.norm.weight"]

        def has_more(tensors):
            tensors["model.extra.weight"] = tensors["model.norm.weight"]

        def is_misshapen(tensors):
            tensors["model.layers.0.mlp.up_proj.weight"][1].reverse()

        for change, name in [(lacks, "model.norm.weight"), (has_more, "model.extra.weight"), (is_misshapen, "model.layers.0.mlp.up_proj.weight")]:
            copy = self.damaged("bf16", change)
            (self.folder / copy / "model.safetensors.index.json").unlink(missing_ok=True)
            result = pippin("verify", EXAMPLE, self.folder / copy)
            self.assertEqual(result.returncode, 8, result.stdout)
            self.assertIn(name, result.stderr)

    def test_prompts_of_a_file(self):
        (self.folder / "prompts").write_text("In the beginning\n\nAnd God said,\\nLet there be light\n")
        prompts = self.verified("bf16", "--prompts", self.folder / "prompts", "--prompt", "Amen")["behaviour"]["against"][0]["prompts"]
        self.assertEqual([one["text"] for one in prompts], ["Amen", "In the beginning", "And God said,\nLet there be light"])

    def test_the_html_report_is_well_formed_and_escapes_names(self):
        evil = self.folder / "<b>&'name"
        shutil.copytree(self.folder / "4bit", evil)
        page = self.folder / "report.html"
        result = pippin("verify", EXAMPLE, evil, "--html", page, "--quiet", "--prompt", "<script>alert('x')</script>")
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        text = page.read_text()
        tree = xml.etree.ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))
        tags = {one.tag for one in tree.iter()}
        self.assertTrue({"svg", "table", "polyline", "rect"} <= tags)
        self.assertFalse({"script", "b", "img", "link"} & tags)
        self.assertIn("<script>alert('x')</script>", "".join(tree.itertext()))
        self.assertNotIn("http", text)
        self.assertEqual(pippin("verify", EXAMPLE, self.folder / "bf16", "--no-behaviour", "--html", self.folder / "no" / "r").returncode, 10)

    def test_what_is_wrong_is_told(self):
        self.assertEqual(pippin("verify", EXAMPLE, self.folder / "bf16", "--text", "/nonexistent").returncode, 3)
        self.assertEqual(pippin("verify", EXAMPLE, self.folder / "bf16", "--reference", "/nonexistent").returncode, 3)
        self.assertEqual(pippin("verify", EXAMPLE, self.folder / "bf16", "--prompt", "and " * 600).returncode, 2)
        self.assertEqual(pippin("verify", EXAMPLE, self.folder / "bf16", "--behaviour", "--no-behaviour").returncode, 2)

    def test_without_the_runtime_it_is_skipped_or_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            alone = shutil.copy(PIPPIN, folder)
            run = lambda *flags: subprocess.run([alone, "verify", str(EXAMPLE), str(self.folder / "bf16"), *flags], capture_output=True, text=True)
            self.assertEqual(run().returncode, 0)
            self.assertIn("behaviour: skipped (pippin-runtime", run().stdout)
            self.assertEqual(run("--behaviour").returncode, 7)

    def test_without_a_tokenizer_fixed_ids_are_run(self):
        source = self.folder / "bare"
        shutil.copytree(EXAMPLE, source)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            (source / name).unlink()
        self.assertEqual(pippin("convert", source, self.folder / "bare-bf16", "--quiet").returncode, 0)
        answer = self.verified("bare-bf16", source=source)["behaviour"]
        self.assertTrue(answer["passed"])
        self.assertIn("fixed token ids", answer["warnings"][0])


if __name__ == "__main__":
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
