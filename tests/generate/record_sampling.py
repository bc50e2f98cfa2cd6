"""What mlx_lm's samplers make of logits, for tests/generate/sampling_test.cpp.

    python3 tests/generate/record_sampling.py            write tests/generate/sampling.json
    python3 tests/generate/record_sampling.py --check    compare it with what mlx_lm does now
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter

FILE = Path(__file__).parent / "sampling.json"
VOCABULARY = 48
SEEN = [3, 5, 5, 9, 11, 3, 40, 41, 41, 41]

SAMPLERS = [
    {},
    {"temp": 0.7},
    {"temp": 1.5},
    {"top_p": 0.1},
    {"top_p": 0.5},
    {"top_p": 0.95},
    {"min_p": 0.05},
    {"min_p": 0.4},
    {"min_p": 0.9, "min_tokens_to_keep": 5},
    {"top_k": 1},
    {"top_k": 7},
    {"xtc_probability": 1.0, "xtc_threshold": 0.02},
    {"xtc_probability": 1.0, "xtc_threshold": 0.1},
    {"xtc_probability": 1.0, "xtc_threshold": 0.02, "xtc_special_tokens": [0, 1, 2]},
    {"temp": 0.8, "top_p": 0.9, "min_p": 0.02, "top_k": 9},
    {"temp": 1.2, "top_p": 0.97, "xtc_probability": 1.0, "xtc_threshold": 0.05, "top_k": 20},
]
PROCESSORS = [
    {"logit_bias": {"4": 2.5, "7": -100.0}},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 1.3, "repetition_context_size": 3},
    {"repetition_penalty": 0.8},
    {"presence_penalty": 0.5},
    {"presence_penalty": 0.5, "presence_context_size": 4},
    {"frequency_penalty": 0.5},
    {"frequency_penalty": 0.5, "frequency_context_size": 2},
    {"logit_bias": {"3": 1.0}, "repetition_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": 0.2},
]


def logits_of(seed):
    """The same numbers on every machine: a linear congruential generator, twelve draws a value."""
    state = seed
    values = []
    for _ in range(VOCABULARY):
        total = 0
        for _ in range(12):
            state = (state * 1103515245 + 12345) % 2**31
            total += state / 2**31
        values.append(round((total - 6) * 2, 4))
    return values


def probabilities(logits, sampler, processors):
    """The distribution that mlx_lm draws from: the real sampler, with the draw itself taken out."""
    import mlx.core as mx
    from mlx_lm import sample_utils

    options = dict(processors)
    if "logit_bias" in options:
        options["logit_bias"] = {int(k): v for k, v in options["logit_bias"].items()}
    values = mx.array(logits)[None]
    for process in sample_utils.make_logits_processors(**options):
        values = process(mx.array(SEEN), values)
    logprobs = values - mx.logsumexp(values, axis=-1, keepdims=True)
    drawn = []

    def keep(logprobs, temp):
        drawn.append(mx.softmax(logprobs.astype(mx.float32) * (1.0 / temp), axis=-1))
        return mx.argmax(logprobs, axis=-1)

    real = sample_utils.categorical_sampling
    sample_utils.categorical_sampling = keep
    try:
        sample_utils.make_sampler(**({"temp": 1.0} | sampler))(logprobs)
    finally:
        sample_utils.categorical_sampling = real
    return [float(f"{p:.7g}") for p in drawn[0][0].tolist()]


def record():
    rows = []
    for k, sampler in enumerate(SAMPLERS):
        for seed in (k + 1, k + 101):
            rows.append((seed, sampler, {}))
    for k, processors in enumerate(PROCESSORS):
        rows.append((k + 201, {}, processors))
    rows.append((301, {"temp": 0.9, "top_p": 0.9}, PROCESSORS[-1]))
    cases = []
    for seed, sampler, processors in rows:
        logits = logits_of(seed)
        cases.append({"sampler": {"temp": 1.0} | sampler, "processors": processors, "logits": logits,
                      "probabilities": probabilities(logits, sampler, processors)})
    return {"source": "mlx_lm/sample_utils.py", "seen": SEEN, "cases": cases}


def differences(recorded, found):
    if len(recorded["cases"]) != len(found["cases"]):
        return ["another number of cases"]
    rows = []
    for a, b in zip(recorded["cases"], found["cases"]):
        near = all((p == 0) == (q == 0) and abs(p - q) <= 1e-5 for p, q in zip(a["probabilities"], b["probabilities"]))
        if not near or any(a[key] != b[key] for key in ("sampler", "processors", "logits")):
            rows.append(f"{a['sampler']} {a['processors']}")
    return rows


def main():
    enter()
    found = record()
    if "--check" in sys.argv:
        rows = differences(json.loads(FILE.read_text()), found)
        print("\n".join(rows) or f"{len(found['cases'])} cases as recorded")
        sys.exit(1 if rows else 0)
    lines = ",\n".join(json.dumps(case) for case in found["cases"])
    FILE.write_text('{"source": %s, "seen": %s, "cases": [\n%s\n]}\n' % (
        json.dumps(found["source"]), json.dumps(found["seen"]), lines))


main()
