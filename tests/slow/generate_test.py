"""pippin generate against mlx_lm.generate: the same tokens, greedily, from the bundled example.

    python3 tests/slow/generate_test.py PIPPIN
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter

EXAMPLE = ROOT / "examples" / "kjv-tiny"
PROMPTS = ["In the beginning God", "The LORD is my", "And it came to pass", "Blessed are the"]
TOKENS = 60


def pippin(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def ids_of_pippin(program, model, prompt, *flags):
    answer = json.loads(pippin(program, "generate", model, "--prompt", prompt, "-m", TOKENS, "--json", *flags))
    return answer["ids"]


def ids_of_reference(model, tokenizer, prompt, chat):
    from mlx_lm import stream_generate

    if chat:
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True)
    else:
        prompt = tokenizer.encode(prompt)
    ids = []
    for response in stream_generate(model, tokenizer, prompt, max_tokens=TOKENS):
        if response.token not in tokenizer.eos_token_ids:
            ids.append(response.token)
    return ids


def check_greedy(program, folder, name, flags):
    from mlx_lm import load

    destination = folder / name
    pippin(program, "convert", EXAMPLE, destination, *flags, "--quiet")
    model, tokenizer = load(str(destination))
    for prompt in PROMPTS:
        for chat in (False, True):
            theirs = ids_of_reference(model, tokenizer, prompt, chat)
            # pippin's own kernels round elsewhere than MLX's: in BF16 that decides between tokens as good as equal.
            for kernels in [["--mlx-kernels"], []] if name == "f32" else [["--mlx-kernels"]]:
                template = [] if chat else ["--ignore-chat-template"]
                ours = ids_of_pippin(program, destination, prompt, *template, *kernels)
                assert ours == theirs, f"{name}, {prompt!r}, chat {chat}, {kernels}:\n{ours}\n{theirs}"
    # The published checkpoint itself is converted in memory: the same again.
    if not flags:
        assert ids_of_pippin(program, EXAMPLE, PROMPTS[0]) == ids_of_pippin(program, destination, PROMPTS[0])


def main():
    enter()
    program = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_greedy(program, folder, "bf16", [])
        check_greedy(program, folder, "f32", ["--dtype", "float32"])
        check_greedy(program, folder, "4bit", ["-q"])
    print("the same tokens as mlx_lm.generate")


main()
