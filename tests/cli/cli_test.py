"""The command line tool as a user meets it: flags, exit statuses, what it prints, what it leaves on the disk.

    python3 tests/cli/cli_test.py PIPPIN
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "kjv-tiny"
PIPPIN = ""


def pippin(*arguments, **options):
    return subprocess.run([PIPPIN, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.name != "README.md"}


def place_of(folder, tensor):
    """The file that holds a tensor, and where in it."""
    for file in folder.glob("*.safetensors"):
        content = file.read_bytes()
        begin = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:begin])
        if tensor in header:
            return file, *(begin + offset for offset in header[tensor]["data_offsets"])
    raise KeyError(tensor)


def copy_tensor(folder, tensor, over):
    file, begin, end = place_of(folder, tensor)
    data = file.read_bytes()[begin:end]
    file, begin, end = place_of(folder, over)
    content = bytearray(file.read_bytes())
    content[begin:end] = data
    file.write_bytes(content)


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-cli-"))
        self.out = self.folder / "out"
        self.addCleanup(shutil.rmtree, self.folder)

    def test_version_and_help(self):
        self.assertRegex(pippin("--version").stdout, r"^pippin \d+\.\d+\.\d+\n$")
        self.assertIn("convert", pippin("--help").stdout)

    def test_convert_prints_its_numbers(self):
        result = pippin("convert", EXAMPLE, self.out, "-q")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("bits per weight", result.stdout)
        config = json.loads((self.out / "config.json").read_text())
        self.assertEqual(config["quantization"], {"group_size": 64, "bits": 4, "mode": "affine"})

    def test_flags_of_the_reference(self):
        result = pippin("convert", "--hf-path", EXAMPLE, "--mlx-path", self.out, "-q", "--q-bits", 8, "--q-group-size", 32,
                        "--dtype", "float16", "--trust-remote-code", "--quiet")
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        config = json.loads((self.out / "config.json").read_text())
        self.assertEqual(config["quantization"], {"group_size": 32, "bits": 8, "mode": "affine"})

    def test_dry_run_writes_nothing(self):
        result = pippin("convert", EXAMPLE, self.out, "-q", "--dry-run", "--json")
        plan = json.loads(result.stdout)
        self.assertEqual(plan["model_type"], "llama")
        self.assertGreater(plan["bits_per_weight"], 4)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_exit_statuses(self):
        (self.folder / "empty").mkdir()
        broken = self.folder / "broken"
        shutil.copytree(EXAMPLE, broken)
        (broken / "config.json").write_text('{"model_type": "lama"}')
        corrupt = self.folder / "corrupt"
        shutil.copytree(EXAMPLE, corrupt)
        shard = next(corrupt.glob("*.safetensors"))
        shard.write_bytes(shard.read_bytes()[:-4])
        short = self.folder / "short"
        shutil.copytree(EXAMPLE, short)
        (short / "config.json").write_text((EXAMPLE / "config.json").read_text().replace('"num_hidden_layers": 3', '"num_hidden_layers": 4'))
        not_a_spec = self.folder / "llama.toml"
        not_a_spec.write_text("[modules\n")
        for arguments, status in [
            (["convert"], 2),
            (["convert", EXAMPLE, self.out, "-q", "-d"], 2),
            (["convert", EXAMPLE, self.out, "-q", "--q-bits", "7"], 2),
            (["convert", EXAMPLE, self.out, "--nonsense"], 2),
            (["convert", self.folder / "missing", self.out], 3),
            (["convert", self.folder / "empty", self.out], 3),
            (["convert", corrupt, self.out], 4),
            (["convert", EXAMPLE, self.out, "--arch", not_a_spec], 6),
            (["convert", broken, self.out], 7),
            (["convert", short, self.out], 8),
            (["convert", EXAMPLE, EXAMPLE / "inside"], 10),
        ]:
            with self.subTest(arguments=arguments):
                result = pippin(*arguments)
                self.assertEqual(result.returncode, status, result.stderr)
                self.assertFalse(self.out.exists())

    def test_unknown_model_names_the_nearest(self):
        broken = self.folder / "broken"
        shutil.copytree(EXAMPLE, broken)
        (broken / "config.json").write_text('{"model_type": "lama"}')
        self.assertIn("mlx_lm/llama", pippin("convert", broken, self.out).stderr)

    def test_unknown_model_of_a_known_shape_is_offered_not_taken(self):
        unknown = self.folder / "unknown"
        shutil.copytree(EXAMPLE, unknown)
        config = json.loads((EXAMPLE / "config.json").read_text()) | {"model_type": "bible"}
        (unknown / "config.json").write_text(json.dumps(config))
        result = pippin("convert", unknown, self.out)
        self.assertEqual((result.returncode, self.out.exists()), (7, False))
        self.assertIn("looks like llama (all parameters match): use --arch llama", result.stderr)
        self.assertEqual(pippin("convert", unknown, self.out, "--arch", "llama", "--quiet").returncode, 0)
        self.assertEqual(json.loads((self.out / "config.json").read_text())["model_type"], "llama")

        (unknown / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
        self.assertNotIn("looks like", pippin("convert", unknown, self.out).stderr)

    def test_missing_tensors_are_all_listed(self):
        short = self.folder / "short"
        shutil.copytree(EXAMPLE, short)
        (short / "config.json").write_text((EXAMPLE / "config.json").read_text().replace('"num_hidden_layers": 3', '"num_hidden_layers": 4'))
        error = json.loads(pippin("convert", short, self.out, "--json").stdout)["error"]
        self.assertEqual(error["tag"], "mismatch")
        self.assertEqual(len(error["details"]), 9)
        self.assertIn("missing model.layers.3.self_attn.q_proj.weight [256, 256]", error["details"])

    def test_a_tied_head_that_differs_is_told(self):
        tied = self.folder / "tied"
        shutil.copytree(EXAMPLE, tied)
        (tied / "config.json").write_text((EXAMPLE / "config.json").read_text().replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'))
        told = "lm_head.weight is left out, since by config.json the output head is tied to model.embed_tokens.weight"
        self.assertIn(told, pippin("convert", tied, self.out).stderr)

        copy_tensor(tied, "model.embed_tokens.weight", "lm_head.weight")
        same = pippin("convert", tied, self.out, "--overwrite")
        self.assertEqual((same.returncode, "left out, since" in same.stderr), (0, False))

    def test_destination_is_kept_without_overwrite(self):
        self.assertEqual(pippin("convert", EXAMPLE, self.out).returncode, 0)
        before = bytes_of(self.out)
        self.assertEqual(pippin("convert", EXAMPLE, self.out, "-q").returncode, 10)
        self.assertEqual(bytes_of(self.out), before)
        self.assertEqual(pippin("convert", EXAMPLE, self.out, "-q", "--overwrite").returncode, 0)
        self.assertNotEqual(bytes_of(self.out), before)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["out"])

    def test_converting_twice_gives_the_same(self):
        again = self.folder / "again"
        self.assertEqual(pippin("convert", EXAMPLE, self.out).returncode, 0)
        self.assertEqual(pippin("convert", self.out, again).returncode, 0)
        self.assertEqual(bytes_of(again), bytes_of(self.out))

    def test_eight_bits_asked_of_a_4_bit_model(self):
        again = self.folder / "again"
        pippin("convert", EXAMPLE, self.out, "-q")
        self.assertIn("--requantize", pippin("convert", self.out, again, "-q", "--q-bits", 8).stderr)
        self.assertEqual(pippin("convert", self.out, again, "--overwrite", "--requantize", "--q-bits", 8).returncode, 0)
        self.assertEqual(json.loads((again / "config.json").read_text())["quantization"]["bits"], 8)

    def test_dequantize_leaves_no_quantization(self):
        dense = self.folder / "dense"
        pippin("convert", EXAMPLE, self.out, "-q")
        self.assertEqual(pippin("convert", self.out, dense, "-d").returncode, 0)
        config = json.loads((dense / "config.json").read_text())
        self.assertFalse({"quantization", "quantization_config"} & set(config))

    def test_overrides_and_recipes(self):
        result = pippin("convert", EXAMPLE, self.out, "-q", "--quantize-module", "**.down_proj=8,32", "--keep", "lm_head", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        quantization = json.loads((self.out / "config.json").read_text())["quantization"]
        self.assertEqual(quantization["model.layers.0.mlp.down_proj"], {"group_size": 32, "bits": 8, "mode": "affine"})
        dtypes = {tensor["name"]: tensor["dtype"] for tensor in json.loads(result.stdout)["tensors"]}
        self.assertEqual(dtypes["lm_head.weight"], "BF16")
        recipe = self.folder / "mine.toml"
        recipe.write_text('[[rules]]\nmodules = "**v_proj"\nbits = 8\ngroup_size = "group_size"\n\n[[rules]]\nmodules = "**"\nbits = 2\ngroup_size = "group_size"\n')
        self.assertEqual(pippin("convert", EXAMPLE, self.out, "-q", "--overwrite", "--quant-predicate", recipe).returncode, 0)
        quantization = json.loads((self.out / "config.json").read_text())["quantization"]
        self.assertEqual(quantization["model.layers.1.self_attn.v_proj"]["bits"], 8)

    def test_own_spec_file(self):
        spec = self.folder / "my_model.toml"
        spec.write_text('extends = "llama"\nmodel_type = "my_model"\n')
        source = self.folder / "source"
        shutil.copytree(EXAMPLE, source)
        config = json.loads((EXAMPLE / "config.json").read_text()) | {"model_type": "my_model"}
        (source / "config.json").write_text(json.dumps(config))
        self.assertEqual(pippin("convert", source, self.out).returncode, 7)
        result = pippin("convert", source, self.out, "--arch", spec)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(pippin("convert", source, self.out, "--overwrite", "--arch", "llama").returncode, 0)

    def test_architectures_are_listed_and_one_is_shown_whole(self):
        specs = {spec["name"]: spec for spec in json.loads(pippin("architectures", "--json").stdout)}
        deepseek = specs["mlx_lm/deepseek_v3"]
        self.assertEqual((deepseek["target"], deepseek["model_types"]), ("mlx-lm", ["deepseek_v3", "kimi_k2", "joyai_llm_flash"]))
        self.assertEqual(deepseek["sources"], ["experts one by one", "fp8 blocks", "whole kv_b_proj"])
        self.assertEqual(deepseek["quantization"], ["never cast: **e_score_correction_bias**"])
        text = pippin("architectures").stdout
        for name in ("deepseek_v3, kimi_k2", "source layouts: experts one by one, fp8 blocks", "quantization: 8 bits, group 64: **mlp.gate", "refused: "):
            self.assertIn(name, text)
        mixtral = json.loads(pippin("architectures", "show", "mixtral").stdout)
        self.assertEqual(mixtral["model_type"], "mixtral")
        self.assertIn("q_proj", mixtral["modules"]["attention"])  # from the spec that it extends
        self.assertEqual(pippin("architectures", "show", "nothing").returncode, 3)

    def test_verify(self):
        pippin("convert", EXAMPLE, self.out, "-q", "--rounding", "cpu")
        result = pippin("verify", EXAMPLE, self.out, "--no-behaviour")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("bit for bit", result.stdout)
        shard = self.out / "model.safetensors"
        damaged = bytearray(shard.read_bytes())
        damaged[-1] ^= 1
        shard.write_bytes(bytes(damaged))
        self.assertEqual(pippin("verify", EXAMPLE, self.out, "--no-behaviour").returncode, 8)

    def test_side_files_are_carried_byte_for_byte(self):
        pippin("convert", EXAMPLE, self.out)
        for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            self.assertEqual((self.out / name).read_bytes(), (EXAMPLE / name).read_bytes())
        self.assertIn("library_name: mlx", (self.out / "README.md").read_text())

    def test_killed_and_resumed(self):
        whole = self.folder / "whole"
        self.assertEqual(pippin("convert", EXAMPLE, whole, "-q").returncode, 0)
        for delay in (0.002, 0.005, 0.01):
            child = subprocess.Popen([PIPPIN, "convert", str(EXAMPLE), str(self.out), "-q", "--resume"], stdout=subprocess.DEVNULL)
            time.sleep(delay)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            if not self.out.exists():
                result = pippin("convert", EXAMPLE, self.out, "-q", "--resume")
                self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(bytes_of(self.out), bytes_of(whole))
            shutil.rmtree(self.out)

    def test_json_progress_and_no_colour(self):
        result = pippin("convert", EXAMPLE, self.out, "-q", "--progress", "json")
        events = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
        self.assertEqual(events[-1]["done"], events[-1]["total"])
        self.assertNotIn("\033", result.stdout + result.stderr)

    def test_completions(self):
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("--q-bits" if shell != "fish" else "q-bits", pippin("completions", shell).stdout)


if __name__ == "__main__":
    PIPPIN = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
