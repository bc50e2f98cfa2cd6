"""Prompt caches of pippin and of mlx_lm, each read by the other: the same tokens follow.

    python3 tests/slow/prompt_cache_test.py PIPPIN
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter

EXAMPLE = ROOT / "examples" / "kjv-tiny"
OPENING = "And God said unto Noah, The end of all flesh is come before me;\nfor the earth is filled with violence. "
QUESTION = "And what"
TOKENS = 24

# The example, and the same weights as models that mlx_lm gives other caches: Granite honours --max-kv-size, and Llama
# has rings in layers with a window.
MODELS = {
    "llama": {},
    "granite": {"model_type": "granite", "logits_scaling": 1.0, "attention_multiplier": 0.125,
                "embedding_multiplier": 1.0, "residual_multiplier": 1.0},
    "windows": {"sliding_window": 48, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
}

# Name, model, flags of both cache-prompt commands, of both generate commands, and how often the opening is said: one is
# 30 tokens.
QUANTIZED = ["--kv-bits", "8", "--quantized-kv-start", "0"]
KINDS = [
    ("plain", "llama", [], [], 1),
    ("ring", "granite", ["--max-kv-size", "64"], [], 1),
    ("full-ring", "granite", ["--max-kv-size", "64"], [], 4),
    ("window", "windows", [], [], 1),
    ("full-window", "windows", [], [], 4),
    ("8-bit", "llama", QUANTIZED, QUANTIZED, 1),
    ("later", "llama", [], ["--kv-bits", "8", "--kv-group-size", "32", "--quantized-kv-start", "0"], 1),
]


def pippin(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def reference(module, *arguments):
    """The command's own main, in this process: starting Python anew each time would take longer than the model."""
    import contextlib
    import io

    sys.argv = [module.__name__, *map(str, arguments)]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        module.main()
    return output.getvalue()


def our_answer(program, model, cache, flags):
    answer = json.loads(pippin(program, "generate", "--model", model, "--prompt-cache-file", cache, "--prompt", QUESTION,
                               "-m", TOKENS, "--json", "--mlx-kernels", *flags))
    return answer["text"].strip(), answer["cached_tokens"], answer["prompt_tokens"]


def their_answer(module, model, cache, flags):
    return reference(module, "--model", model, "--prompt-cache-file", cache, "--prompt", QUESTION, "-m", TOKENS,
                     "--verbose", "False", *flags).strip()


def check_kind(program, modules, model, folder, name, caching, answering, times):
    cache_prompt, generate = modules
    ours, theirs = folder / f"{name}-ours.safetensors", folder / f"{name}-theirs.safetensors"
    common = ["--model", model, "--prompt", OPENING * times]
    pippin(program, "cache-prompt", *common, "--prompt-cache-file", ours, "--mlx-kernels", "--quiet", *caching)
    reference(cache_prompt, *common, "--prompt-cache-file", theirs, *caching)
    expected = their_answer(generate, model, theirs, answering)
    by_us = our_answer(program, model, ours, answering)
    theirs_by_us = our_answer(program, model, theirs, answering)
    assert by_us == theirs_by_us, f"{name}:\n{by_us}\n{theirs_by_us}"
    assert by_us[0] == expected, f"{name}, read by pippin:\n{by_us[0]}\n{expected}"
    ours_by_them = their_answer(generate, model, ours, answering)
    assert ours_by_them == expected, f"{name}, read by mlx_lm:\n{ours_by_them}\n{expected}"
    # Without --model, the file says which it is.
    if name == "plain":
        assert reference(generate, "--prompt-cache-file", ours, "--prompt", QUESTION, "-m", TOKENS, "--verbose",
                         "False").strip() == expected


def main():
    enter()
    import mlx_lm.cache_prompt
    import mlx_lm.generate

    modules = sys.modules["mlx_lm.cache_prompt"], sys.modules["mlx_lm.generate"]
    program = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, changes in MODELS.items():
            source = folder / f"{model}-source"
            shutil.copytree(EXAMPLE, source)
            config = source / "config.json"
            config.write_text(json.dumps(json.loads(config.read_text()) | changes))
            pippin(program, "convert", source, folder / model, "--dtype", "float32", "--quiet")
        for kind, model, *rest in KINDS:
            check_kind(program, modules, folder / model, folder, kind, *rest)
    print("the same answers from prompt caches of both")


main()
