"""SmolLM2-135M-Instruct by pippin's kernels and by mlx-lm: how far the logits are apart, and the same greedy answer.

    python3 tests/slow/smollm2_test.py PIPPIN PRINT_LOGITS

In float32 both must agree to 1e-4 of the largest logit. In BF16 and at 4 bits each rounds in its own places: there the
measure is the same weights in float32, from which pippin may be at most twice as far as mlx-lm is.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter

PROMPT = 24
TOKENS = 28
QUESTION = "What is the capital of France?"


def told(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def own_logits(driver, folder, ids):
    import numpy as np

    lines = told(driver, folder, ",".join(map(str, ids)), PROMPT).splitlines()
    return np.array([json.loads(line) for line in lines])


def reference_logits(folder, ids):
    import mlx.core as mx
    import numpy as np
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.utils import load_model

    model = load_model(folder)[0]
    cache = make_prompt_cache(model)
    rows = [model(mx.array([ids[:PROMPT]]), cache=cache)[0]]
    rows += [model(mx.array([[i]]), cache=cache)[0] for i in ids[PROMPT:]]
    return np.array(mx.concatenate(rows, 0).astype(mx.float32))


def distance(logits, truth):
    return float((((logits - truth) ** 2).mean() / (truth**2).mean()) ** 0.5)


def check_logits(pippin, driver, source, work):
    import numpy as np

    ids = [int(i) for i in np.random.default_rng(1).integers(0, 49152, TOKENS)]
    convert = [(source, "f32", ["--dtype", "float32"]), (source, "bf16", []), (source, "q4", ["-q"]),
               (work / "q4", "q4-dense", ["-d", "--dtype", "float32"])]
    for origin, name, flags in convert:
        told(pippin, "convert", origin, work / name, "--quiet", *flags)
    truth = own_logits(driver, work / "f32", ids)
    apart = abs(truth - reference_logits(work / "f32", ids)).max() / abs(truth).max()
    print(f"float32: {apart:.1e} of the largest logit", flush=True)
    assert apart < 1e-4
    for name, exact in [("bf16", "f32"), ("q4", "q4-dense")]:
        truth = own_logits(driver, work / exact, ids)
        own = distance(own_logits(driver, work / name, ids), truth)
        other = distance(reference_logits(work / name, ids), truth)
        print(f"{name}: pippin {own:.4f}, mlx-lm {other:.4f} from float32", flush=True)
        assert own < 2 * other


def check_greedy(pippin, work):
    from mlx_lm import load, stream_generate

    answer = json.loads(told(pippin, "generate", work / "f32", "--prompt", QUESTION, "-m", 12, "--json"))
    model, tokenizer = load(str(work / "f32"))
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], add_generation_prompt=True)
    ids = [r.token for r in stream_generate(model, tokenizer, prompt, max_tokens=12)]
    ids = [i for i in ids if i not in tokenizer.eos_token_ids]
    print("greedy:", answer["text"], flush=True)
    assert answer["ids"] == ids, (answer["ids"], ids)


def main():
    enter()
    pippin, driver = sys.argv[1], sys.argv[2]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = Path(told(sys.executable, ROOT / "tools" / "smollm2_folder", sys.executable, ROOT / "build" / "smollm2").strip())
        check_logits(pippin, driver, source, work)
        check_greedy(pippin, work)


if __name__ == "__main__":
    main()
