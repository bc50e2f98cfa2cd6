"""Sound checkpoints that mlx-vlm or mlx-lm refuses and pippin converts, and what pippin refuses with its reason (docs/differences.md).

    python3 tests/cli/differences_test.py PIPPIN CONFORMANCE
"""

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = ROOT / "tests" / "conformance" / "vlm"
LM_CASES = ROOT / "tests" / "conformance" / "lm"
PIPPIN = CONFORMANCE = ""

# Case, tensors that the result must have, tensors that it must not have, what its config.json must say.
CONVERTED = [
    ("gemma3_model_prefix", ["language_model.model.embed_tokens.weight", "vision_tower.vision_model.post_layernorm.weight"], [], {}),
    ("xlm-roberta", ["embeddings.word_embeddings.weight"], [], {"model_type": "xlm_roberta"}),
    ("qwen2_5_vl-nested_config", ["language_model.model.norm.weight"], [],
     {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 160, "rms_norm_eps": 1e-06}),
    ("internlm2", ["language_model.output.weight"], ["output.weight"], {}),
    ("qwen3_vl-published_embedding", ["language_model.model.norm.weight"], ["language_model.lm_head.weight"],
     {"model_type": "qwen3_vl_embedding"}),
    ("llava_v5", ["vision_tower.vision_model.post_layernorm.weight"], ["vision_tower.post_layernorm.weight"], {}),
    ("internvl_chat-published", ["language_model.model.layers.3.mlp.up_proj.weight", "language_model.lm_head.weight"],
     ["language_model.model.layers.0.attention.wqkv.weight"], {"model_type": "internvl_chat"}),
    # The reference converts these and forgets to say in config.json how they are packed.
    ("qwen3_vl-fp8", ["language_model.model.layers.0.mlp.up_proj.scales"], [],
     {"quantization": {"group_size": 32, "bits": 8, "mode": "mxfp8"}}),
    ("mimo_v2_fp8", ["language_model.model.layers.1.self_attn.q_proj.weight", "language_model.model.layers.0.self_attn.o_proj.scales"],
     ["language_model.model.layers.1.self_attn.qkv_proj.weight"], {}),
    ("gliner2_5", ["encoder.embeddings.word_embeddings.weight"], [], {"model_type": "extractor"}),
]

# The same through mlx-lm.
CONVERTED_LM = [
    ("qwen3_vl-published", ["language_model.lm_head.weight"], ["model.visual.patch_embed.proj.weight"], {}),
    ("qwen3_5_moe_text-published", ["language_model.model.layers.0.mlp.switch_mlp.up_proj.weight"], [], {"model_type": "qwen3_5_moe"}),
    ("llava-published_original", ["language_model.model.norm.weight", "language_model.lm_head.weight"], ["model.mm_projector.0.weight"],
     {"model_type": "llava"}),
    ("gemma4-published_int4", ["language_model.model.layers.0.self_attn.q_proj.scales"], [], {}),
    ("qwen-published_vl", ["transformer.h.0.attn.c_attn.weight"], ["transformer.visual.conv1.weight"], {}),
    ("granite-gptq-g_idx", ["model.layers.0.mlp.up_proj.scales"], ["model.layers.0.mlp.up_proj.g_idx"], {}),
    ("gpt_oss-bf16", ["model.layers.0.mlp.experts.gate_proj.weight"], [], {}),
]

PIPELINES = ["bonsai", "ernie_image", "flux2", "flux3", "ideogram4", "llada_image", "mage_flow", "ming_image", "minimax_h3",
             "moss_image", "qwen_image", "z_image"]

# config.json and a part of the message.
REFUSED = [({"model_type": name}, "image generation pipeline") for name in PIPELINES] + [
    ({"model_type": "yolo11"}, "loaded from its own file format"),
    ({"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "openai/clip"}, "in another repository"),
]


def tensors_of(folder):
    """Name to (dtype, shape, bytes) of all safetensors files."""
    found = {}
    for path in folder.glob("*.safetensors"):
        data = path.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        for name, entry in json.loads(data[8 : 8 + length]).items():
            if name != "__metadata__":
                begin, end = (8 + length + offset for offset in entry["data_offsets"])
                found[name] = (entry["dtype"], entry["shape"], data[begin:end])
    return found


class Differences(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pippin-differences-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def source(self, case, cases=CASES):
        folder = self.folder / case
        subprocess.run([CONFORMANCE, "--write-source", cases / f"{case}.json", folder], check=True)
        return folder

    def convert(self, source, *flags, target="mlx-vlm"):
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = [PIPPIN, "convert", source, out, "--target", target, "--quiet", *flags]
        return out, subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def converted(self, source, *flags, target="mlx-vlm"):
        out, result = self.convert(source, *flags, target=target)
        self.assertEqual(result.returncode, 0, result.stderr)
        return tensors_of(out), json.loads((out / "config.json").read_text())

    def check(self, source, expected, target):
        present, absent, says = expected
        tensors, config = self.converted(source, target=target)
        for name in present:
            self.assertIn(name, tensors)
        for name in absent:
            self.assertNotIn(name, tensors)
        for key, value in says.items():
            self.assertEqual(config[key], value)

    def test_converted(self):
        for case, *expected in CONVERTED:
            with self.subTest(case=case):
                self.check(self.source(case), expected, "mlx-vlm")
                verified = subprocess.run([PIPPIN, "verify", self.folder / case, self.folder / "out", "--no-behaviour"], capture_output=True, text=True)
                self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_converted_through_mlx_lm(self):
        for case, *expected in CONVERTED_LM:
            with self.subTest(case=case):
                self.check(self.source(case, LM_CASES), expected, "mlx-lm")

    def test_qwen3_vl_without_a_head_says_that_it_is_tied(self):
        case = json.loads((LM_CASES / "qwen3_vl-published.json").read_text())
        case["source"] = [entry for entry in case["source"] if entry[0] != "lm_head.weight"]
        (self.folder / "headless.json").write_text(json.dumps(case))
        tensors, config = self.converted(self.source("headless", self.folder), target="mlx-lm")
        self.assertNotIn("language_model.lm_head.weight", tensors)
        self.assertTrue(config["text_config"]["tie_word_embeddings"])

    def test_gptq_biases_of_zeros_are_left_out(self):
        bias = "model.layers.0.mlp.up_proj.bias"
        case = json.loads((LM_CASES / "granite-gptq-g_idx.json").read_text())
        width = next(shape[1] for name, _, shape, *_ in case["source"] if name == "model.layers.0.mlp.up_proj.scales")
        expected, _ = self.converted(self.source("granite-gptq-g_idx", LM_CASES), target="mlx-lm")
        for value, status in [(0, 0), (1, 8)]:
            changed = case | {"source": [*case["source"], [bias, "F16", [width], {"fill": "const", "value": value}]]}
            (self.folder / "biased.json").write_text(json.dumps(changed))
            shutil.rmtree(self.folder / "biased", ignore_errors=True)
            out, result = self.convert(self.source("biased", self.folder), target="mlx-lm")
            self.assertEqual(result.returncode, status, result.stderr)
            if status == 0:
                self.assertTrue(tensors_of(out) == expected, "the model is another one")
            else:
                self.assertIn(f"unexpected {bias}", result.stderr)

    def test_refused_with_the_reason(self):
        for config, reason in REFUSED:
            with self.subTest(model_type=config["model_type"]):
                source = self.folder / "source"
                shutil.rmtree(source, ignore_errors=True)
                shutil.copytree(ROOT / "examples" / "kjv-tiny", source)
                (source / "config.json").write_text(json.dumps(config))
                _, result = self.convert(source)
                self.assertEqual(result.returncode, 7, result.stderr)
                self.assertIn(reason, result.stderr)

    def test_a_pipeline_of_several_models_is_explained(self):
        source = self.folder / "pipeline"
        shutil.copytree(ROOT / "examples" / "kjv-tiny", source / "text_encoder")
        index = {"_class_name": "SomePipeline", "text_encoder": ["transformers", "LlamaModel"], "vae": ["diffusers", "AutoencoderKL"]}
        (source / "model_index.json").write_text(json.dumps(index))
        _, result = self.convert(source)
        self.assertEqual(result.returncode, 7, result.stderr)
        self.assertIn("(SomePipeline): text_encoder (LlamaModel), vae (AutoencoderKL)", result.stderr)

    def test_deepseek_ocr_2_as_published_gives_the_same_model(self):
        source = self.source("deepseekocr_2")
        expected, _ = self.converted(source)
        config = json.loads((source / "config.json").read_text())
        config.update(model_type="deepseek_vl_v2", architectures=["DeepseekOCR2ForCausalLM"])
        (source / "config.json").write_text(json.dumps(config))
        tensors, config = self.converted(source)
        self.assertTrue(tensors == expected, "the model is another one")
        self.assertEqual(config["model_type"], "deepseekocr_2")

    # InternLM2 holds for each key head its queries, the key and the value; Qwen2 has three matrices, and biases.
    def test_internlm2_is_cut_by_groups_of_heads(self):
        source = self.source("internvl_chat-published")
        before, (after, _) = tensors_of(source), self.converted(source)
        config = json.loads((source / "config.json").read_text())["llm_config"]
        heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
        head = config["hidden_size"] // heads
        layer = "language_model.model.layers.2"
        dtype, _, wqkv = before[f"{layer}.attention.wqkv.weight"]
        size = head * config["hidden_size"] * 2
        rows = [wqkv[i : i + size] for i in range(0, len(wqkv), size)]
        each = heads // groups + 2
        parts = {
            "q": b"".join(row for i, row in enumerate(rows) if i % each < each - 2),
            "k": b"".join(rows[each - 2 :: each]),
            "v": b"".join(rows[each - 1 :: each]),
        }
        for name, expected in parts.items():
            weight = after[f"{layer}.self_attn.{name}_proj.weight"]
            self.assertTrue((weight[0], weight[2]) == (dtype, expected), f"{name}_proj.weight")
            bias = after[f"{layer}.self_attn.{name}_proj.bias"]
            rows_out = len(expected) // size * head
            self.assertTrue(bias == (dtype, [rows_out], bytes(2 * rows_out)), f"{name}_proj.bias")
        for old, new in [("w1", "gate"), ("w2", "down"), ("w3", "up")]:
            self.assertTrue(after[f"{layer}.mlp.{new}_proj.weight"] == before[f"{layer}.feed_forward.{old}.weight"], new)


if __name__ == "__main__":
    PIPPIN, CONFORMANCE = (str(Path(argument).resolve()) for argument in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
