"""Prompt cache files of models that keep more than keys and values: pippin's hold what mlx_lm would keep, array by array,
and what follows in either program after the other's file is what mlx_lm gives.

    python3 tests/slow/recurrent_caches_test.py PIPPIN CONFORMANCE CARRY_CACHE [RUN...]       of tests/runtime/logits.json
"""

import json
import subprocess
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fault_count import count_faults
from reference_venv import enter

CASES = ROOT / "tests" / "conformance" / "lm"
# One of each form: latent keys, with and without an index, pairs of them; states of each kind and order; lists; chunks.
RUNS = ["deepseek_v3", "deepseek_v32", "longcat_flash", "longcat_flash_ngram", "mistral4_blocks", "kimi_linear", "kimi_k3", "kimi_k3_flat",
        "qwen3_next", "qwen3_5_moe", "olmo_hybrid", "bailing_moe_linear", "bailing_hybrid", "bailing_moe_v3", "mamba", "mamba2", "jamba",
        "nemotron_h", "granitemoehybrid", "falcon_h1", "plamo2", "lfm2", "recurrent_gemma", "recurrent_gemma, windows", "rwkv7",
        "baichuan_m1", "gear", "minimax_m3_vl_folded", "iquestloopcoder", "nanbeige", "gemma3n", "llama4",
        "llama4, chunks", "hunyuan"]
READ, MORE = 13, 4
CLOSE = 1e-4


def leaves(state, at=""):
    if isinstance(state, (list, tuple)):
        for k, part in enumerate(state):
            yield from leaves(part, f"{at}.{k}")
    else:
        yield at, state


def used(cache):
    """The state without the room that a growing cache has in reserve."""
    if type(cache).__name__ == "CacheList":
        return [(used(part), type(part).__name__) for part in cache.caches]
    if type(cache).__name__ == "ChunkedKVCache":
        cache.maybe_trim_front()
        return (*cache.keys_and_values(), *cache.state[2:])
    if type(cache).__name__ == "RotatingKVCache":  # the ring may begin anywhere
        kept = min(cache.offset, cache.max_size)
        return *(cache._temporal_order(x)[..., -kept:, :] for x in (cache.keys, cache.values)), *cache.state[2:5]
    if type(cache).__name__ == "KVCache":
        return *cache.keys_and_values(), cache.offset
    return cache.state


def difference(ours, theirs):
    import mlx.core as mx

    if [type(c).__name__ for c in ours] != [type(c).__name__ for c in theirs]:
        return f"classes {[type(c).__name__ for c in ours]}, not {[type(c).__name__ for c in theirs]}"
    a, b = (dict(leaves([used(c) for c in cache])) for cache in (ours, theirs))
    if a.keys() != b.keys():
        return f"places {sorted(a.keys() ^ b.keys())}"
    for place, x in a.items():
        y = b[place]
        if not isinstance(y, mx.array):
            if x != y:
                return f"{place}: {x}, not {y}"
        elif not isinstance(x, mx.array) or x.shape != y.shape:
            return f"{place}: {getattr(x, 'shape', x)}, not {y.shape}"
        elif y.size and mx.abs(x.astype(mx.float32) - y.astype(mx.float32)).max() > CLOSE * max(mx.abs(y).max().item(), 1e-3):
            return f"{place}: other values"
    return None


def merge(config, change):
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merge(config[key], value)
        else:
            config[key] = value


def far(found, wanted):
    import numpy

    found, wanted = numpy.array(found, dtype=numpy.float32), numpy.array(wanted, dtype=numpy.float32)
    return not numpy.abs(found - wanted).max() <= CLOSE * numpy.abs(wanted).max()


def logits_after(model, cache, ids):
    import mlx.core as mx

    rows = []
    for token in ids:
        out = model(mx.array([[token]]), cache=cache)
        rows.append((out[0] if isinstance(out, tuple) else out)[0, -1].astype(mx.float32).tolist())
    return rows


def check(tools, run, folder):
    import mlx.core as mx
    from mlx_lm.models.cache import load_prompt_cache, make_prompt_cache, save_prompt_cache
    from mlx_lm.utils import load_model

    pippin, conformance, carry = tools
    described = json.loads((CASES / f"{run['case']}.json").read_text())
    merge(described["config"], run.get("change", {}))
    for tensor in described["source"]:
        tensor[3:] = [{"fill": "const", "value": value} for end, value in run.get("fills", {}).items() if tensor[0].endswith(end)] or tensor[3:]
    (folder / "case.json").write_text(json.dumps(described))
    subprocess.run([conformance, "--write-source", folder / "case.json", folder / "source"], check=True)
    subprocess.run([pippin, "convert", folder / "source", folder / "mlx", "--target", "mlx-lm", "--dtype", "float32", "--quiet",
                    "--allow-nonfinite"], check=True)
    model, config = load_model(folder / "mlx", lazy=False, strict=True)[:2]
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size") or 64
    ids = [(7 * k * k + 3 * k + 1) % size for k in range(READ + MORE)]
    first, more = ids[:READ], ids[READ:]

    def carried(action, file, tokens):
        command = [carry, action, folder / "mlx", folder / file, ",".join(map(str, tokens)), "--arch", ROOT / "architectures"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{action}: " + " | ".join(line.strip() for line in done.stderr.splitlines())[:200])
        return [json.loads(line) for line in done.stdout.splitlines()]

    cache = make_prompt_cache(model)
    for piece in (first[:-1], first[-1:]):
        model(mx.array([piece]), cache=cache)
        mx.eval([leaf for c in cache for _, leaf in leaves(c.state) if isinstance(leaf, mx.array)])
    save_prompt_cache(str(folder / "theirs.safetensors"), cache, {"model": "a model"})
    carried("write", "ours.safetensors", first)
    trouble = difference(load_prompt_cache(str(folder / "ours.safetensors")), cache)
    if trouble:
        return trouble
    wanted = logits_after(model, cache, more)
    if far(logits_after(model, load_prompt_cache(str(folder / "ours.safetensors")), more), wanted):
        return "mlx_lm goes on otherwise with pippin's file"
    for file in ("ours.safetensors", "theirs.safetensors"):
        if far(carried("read", file, more), wanted):
            return f"pippin goes on otherwise with {file}"
    return broken_files(folder / "ours.safetensors", lambda: carried("read", "broken.safetensors", more))


def broken_files(file, read):
    """Files with one array cut, one left out, or a class that is another: refused, by name."""
    import mlx.core as mx

    arrays, metadata = mx.load(str(file), return_metadata=True)
    places = sorted(arrays)
    ways = [({**arrays, place: arrays[place][..., :-1]} if arrays[place].ndim else {**arrays, place: mx.zeros((2,))}, metadata)
            for place in (places[0], places[len(places) // 2])]
    ways += [({k: v for k, v in arrays.items() if k != places[0]}, metadata)]
    ways += [(arrays, {**metadata, "1.0": "QuantizedKVCache"}), (arrays, {**metadata, "1.0": "CacheList" * 9})]
    for number, (changed, texts) in enumerate(ways):
        mx.save_safetensors(str(file.with_name("broken.safetensors")), changed, texts)
        try:
            read()
        except RuntimeError as error:
            if "what to do" in str(error) or "rule" in str(error):
                continue
            return f"broken file {number}: {error}"
        if number != 1:  # what is none has no width to cut
            return f"broken file {number} is read"
    return None


def main():
    enter()
    import mlx.core as mx

    mx.set_default_device(mx.cpu)
    sys.modules["hf_olmo"] = types.ModuleType("hf_olmo")  # mlx-lm asks whether it is installed, and no more
    tools, names = [str(Path(path).resolve()) for path in sys.argv[1:4]], sys.argv[4:] or RUNS
    runs = json.loads((ROOT / "tests" / "runtime" / "logits.json").read_text())["runs"]

    def trouble(name, folder):
        try:
            return check(tools, runs[name], folder)
        except Exception as error:
            return f"{type(error).__name__} {error}"

    return count_faults(names, trouble, "runs")


if __name__ == "__main__":
    sys.exit(main())
