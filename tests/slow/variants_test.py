"""Configurations that no case records: recorded cases changed at random, converted by the real converter and by pippin.

    python3 tests/slow/variants_test.py PIPPIN CONFORMANCE [--tool mlx_vlm] [--mode change] [--seed 1] [--variants 1] [--count N] [CASE...]

--mode change   A variant changes some fields of a case's config.json (dimensions, layers, experts, flags; fields taken away, or added
                from the model's own config classes), its dtype and shards. The source's shapes follow (source_trace.py). What the reference does
                not take is thrown away. The rest are recorded and judged by the conformance runner: every byte and config.json.
--mode sweep    Each field alone, by names and shapes: pippin's dry run plans the tensors that the reference's model has. Large
                models too, since the sources are files of holes.
--mode again    The reference's own conversions, plain and quantized, converted once more by both.

Cases come in an order that the seed decides; --count takes the first of them. --keep FOLDER keeps the cases
that differ, --arch FOLDER takes the specs from there. Runs itself again in the environment that tools/reference_venv makes.
"""

import argparse
import copy
import gc
import json
import math
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter
MOST_ELEMENTS = 6_000_000

AFFINE = [{"quantize": True, "q_bits": bits, "q_group_size": group} for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)]
MODES = {
    "mlx_vlm": [{"quantize": True, "q_mode": mode, "q_group_size": None, "q_bits": None} for mode in ("mxfp4", "mxfp8", "nvfp4")],
    "mlx_lm": [{"quantize": True, "q_mode": mode} for mode in ("mxfp4", "mxfp8", "nvfp4")],
}
RECIPES = {
    "mlx_vlm": [{"quantize": True, "quant_predicate": name} for name in
                ("mixed_2_6", "mixed_3_4", "mixed_3_5", "mixed_3_6", "mixed_3_8", "mixed_4_6", "mixed_4_8")],
    "mlx_lm": [{"quantize": True, "q_group_size": 64, "quant_predicate": name} for name in ("mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6")],
}


def some_runs(random_, tool):
    runs = [{}, random_.choice(AFFINE), random_.choice(MODES[tool]), random_.choice(RECIPES[tool])]
    for run in runs:
        if random_.random() < 0.25:
            run = run.update(dtype=random_.choice(["float16", "bfloat16", "float32"])) or run
    return {f"{number}": dict(run) for number, run in enumerate(runs)}


def elements(case):
    return sum(math.prod(entry[2]) for entry in case["source"])


def changed(reference, trace, current, case, change):
    """The case with one more change of its config, its source following; None where the reference does not take it."""
    trial = copy.deepcopy(current)
    try:
        change_config(trial["config"], change)
        shapes = shapes_of(reference, trial["config"], case)
        if sum(map(math.prod, shapes.values())) > 10**12 or len(shapes) > 20000:
            return None
        trial["source"] = follow(reference, trace, case, trial["config"], shapes)
        return trial if trial["source"] is not None and accepts(reference, trial) else None
    except Exception:  # not every config makes a model
        return None


def variant(reference, random_, case, trace, fields, wanted=4, tries=24, seconds=20):
    """A case changed in some fields, and what was changed; None where nothing could be."""
    current, made, started = copy.deepcopy(case), [], time.monotonic()
    for change in changes(random_, case["config"], fields)[:tries]:
        if len(made) == wanted or time.monotonic() - started > seconds:
            break
        trial = changed(reference, trace, current, case, change)
        if trial is None or elements(trial) > max(MOST_ELEMENTS, 2 * elements(case)):
            continue
        current = trial
        made.append(said(change))
    if not made:
        return None, []
    if random_.random() < 0.4:
        made.append(change_dtype(random_, current["config"]))
    kind = random_.choice(["BF16", "BF16", "F16", "F32"])
    for entry in current["source"]:
        if entry[1] in ("BF16", "F16", "F32") and len(entry) == 3:
            entry[1] = kind
    current["shards"] = random_.choice([1, 3])
    return current, [*made, kind, f"{current['shards']} shards"]


def other_arguments(random_, case):
    """A source in low precision as it is, but for its shards and what config.json says of dtypes: only the runs are others."""
    made = copy.deepcopy(case)
    what = [change_dtype(random_, made["config"])] if random_.random() < 0.5 else []
    made["shards"] = random_.choice([1, 3])
    return made, [*what, f"{made['shards']} shards"]


def is_packed(case):
    """A source in low precision: its shapes do not follow so simply."""
    declared = any(value for path, value in leaves(case["config"]) if "quantization" in path or "quantization_config" in path)
    return declared or any(entry[1] in ("U32", "F8_E4M3", "F8_E8M0") or "packed" in entry[0] for entry in case["source"])


def record_runs(reference, case, conformance, work, arguments):
    case["runs"] = {"none": {"args": {}, "error": ""}}
    file = work / "case.json"
    file.write_text(json.dumps(case))
    source = work / "source"
    subprocess.run([conformance, "--write-source", file, source], check=True)
    case["runs"] = {}
    for name, run in arguments.items():
        out = work / "out"
        try:
            reference.convert(source, out, run)
            case["runs"][name] = {"args": run, "expect": record(out)}
        except Exception as error:
            case["runs"][name] = {"args": run, "error": f"{type(error).__name__}: {error}"[:300]}
        shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(source)


def run_variants(reference, case, name, options):
    """(variants run, variants that differ)"""
    packed = is_packed(case)
    try:
        trace = None if packed else Trace(reference, case)
    except Exception as error:
        print(f"left out {name}: cannot be traced: {type(error).__name__}: {str(error)[:150]}", flush=True)
        return 0, 0
    fields = model_fields(reference, case)
    tried = wrong = 0
    for number in range(options.variants):
        random_ = random.Random(f"{options.seed} {name} {number}")
        made, what = other_arguments(random_, case) if packed else variant(reference, random_, case, trace, fields)
        if made is None:
            print(f"left out {name} {number}: no change found", flush=True)
            continue
        gc.collect()
        work = Path(tempfile.mkdtemp(prefix="pippin-variant-"))
        try:
            runs = some_runs(random_, options.tool) | ({"back": {"dequantize": True}} if packed else {})
            record_runs(reference, made, options.conformance, work, runs)
            refused = [run["error"] for run in made["runs"].values() if "error" in run]
            made["runs"] = {run: record for run, record in made["runs"].items() if "expect" in record}
            if not made["runs"]:
                print(f"left out {name} {number}: {refused[0]}", flush=True)
                continue
            file = work / f"{name}-{options.seed}-{number}.json"
            file.write_text(json.dumps(made))
            arch = ["--arch", options.arch] if options.arch else []
            result = subprocess.run([options.conformance, *arch, file], capture_output=True, text=True)
            tried += 1
            print(f"{'ok  ' if result.returncode == 0 else 'FAIL'} {name} {number} ({len(made['runs'])} runs): {'; '.join(what)}", flush=True)
            if result.returncode != 0:
                wrong += 1
                print(result.stdout + result.stderr, flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, options.keep)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return tried, wrong


def write_holes(case, folder):
    """The case's source as a file of holes: header and size, no values."""
    width = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(case["config"]))
    for name, text in case.get("files", {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text if isinstance(text, str) else json.dumps(text))
    header, end = {}, 0
    for name, dtype, shape, *_ in case["source"]:
        size = math.prod(shape) * width.get(dtype, 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def planned(pippin, folder, target, arch):
    command = [pippin, "convert", folder, folder / "out", "--dry-run", "--json", "--target", target, *(["--arch", arch] if arch else [])]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        return None, (result.stderr or result.stdout)[:1200]
    return {tensor["name"]: tuple(tensor["shape"]) for tensor in json.loads(result.stdout)["tensors"]}, ""


def run_sweep(reference, case, name, options, seconds=25):
    """(changes tried, changes that differ)"""
    try:
        trace = Trace(reference, case)
    except Exception as error:
        print(f"left out {name}: cannot be traced: {type(error).__name__}: {str(error)[:150]}", flush=True)
        return 0, 0
    random_ = random.Random(f"{options.seed} {name}")
    present = {path for path, _ in leaves(case["config"])}
    seen, tried, wrong, started = set(), 0, 0, time.monotonic()
    without = [(path, "take away", None) for path in parts(case["config"])]
    for change in without + changes(random_, case["config"], model_fields(reference, case)):
        path, verb, value = change
        # Sizes are changed in variants.
        if said(change) in seen or (verb == "set" and type(value) is not bool and path in present):
            continue
        seen.add(said(change))
        if time.monotonic() - started > seconds:
            print(f"     {name}: out of time", flush=True)
            break
        trial = changed(reference, trace, case, case, change)
        if trial is None:
            continue
        tried += 1
        work = Path(tempfile.mkdtemp(prefix="pippin-sweep-"))
        try:
            shapes = shapes_of(reference, trial["config"], case)
            write_holes(trial, work / "source")
            tensors, error = planned(options.pippin, work / "source", options.tool.replace("_", "-"), options.arch)
            if tensors != shapes:
                wrong += 1
                print(f"FAIL {name}: {said(change)}\n{error}", flush=True)
                if tensors is not None:
                    lines = [f"  {n}: planned {tensors.get(n)}, the model has {shapes.get(n)}" for n in {**shapes, **tensors} if shapes.get(n) != tensors.get(n)]
                    print("\n".join(lines[:6]), flush=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    print(f"{'ok  ' if not wrong else 'FAIL'} {name}: {tried} changes, {wrong} differ", flush=True)
    return tried, wrong


AGAIN = [("plain", {}, {}), ("plain", {}, {"quantize": True}), ("q4", {"quantize": True}, {}), ("q4", {"quantize": True}, {"dequantize": True}),
         ("mxfp4", {"quantize": True, "q_mode": "mxfp4", "q_group_size": 32, "q_bits": 4}, {"dtype": "float16"})]
FLAGS = {"quantize": "-q", "dequantize": "-d", "dtype": "--dtype"}


def differences(ours, theirs, arguments):
    """Between two records; after -d the reference leaves entries that pippin takes out."""
    result = []
    for name in {**theirs["tensors"], **ours["tensors"]}:
        a, b = ours["tensors"].get(name), theirs["tensors"].get(name)
        if a != b:
            result.append(f"{name}: {a}, the reference has {b}")
    left, right = dict(ours["config"]), dict(theirs["config"])
    for key in ("quantization", "quantization_config") if arguments.get("dequantize") else ():
        left.pop(key, None), right.pop(key, None)
    for key in {**left, **right}:
        if left.get(key) != right.get(key):
            result.append(f"config.json {key}: {str(left.get(key))[:150]}, the reference has {str(right.get(key))[:150]}")
    return result


def run_again(reference, case, name, options):
    """The reference's own conversions converted once more, by both."""
    work = Path(tempfile.mkdtemp(prefix="pippin-again-"))
    tried = wrong = 0
    try:
        case = {**case, "runs": {"none": {"args": {}, "error": ""}}}
        (work / "case.json").write_text(json.dumps(case))
        subprocess.run([options.conformance, "--write-source", work / "case.json", work / "source"], check=True)
        made = {}
        for label, first, then in AGAIN:
            source = work / label
            if label not in made:
                try:
                    reference.convert(work / "source", source, first)
                    written = record(source)
                    # The agreed deviation: mlx-vlm forgets to say what is packed, and cannot load that.
                    made[label] = "quantization" in written["config"] or all(tensor[0] != "U32" for tensor in written["tensors"].values())
                except Exception:
                    made[label] = False
            if not made[label]:
                continue
            theirs, ours = work / "theirs", work / "ours"
            try:
                reference.convert(source, theirs, then)
                refusal = None
            except Exception as error:
                refusal = f"{type(error).__name__}: {error}"[:200]
            flags = [flag for key, value in then.items() for flag in ([FLAGS[key]] if value is True else [FLAGS[key], value])]
            command = [options.pippin, "convert", source, ours, "--target", options.tool.replace("_", "-"), "--rounding", "cpu", "--allow-nonfinite", "--quiet",
                       *flags, *(["--arch", options.arch] if options.arch else [])]
            result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
            tried += 1
            lines = []
            if refusal is None:
                lines = [result.stderr[:600]] if result.returncode else differences(record(ours), record(theirs), then)
            if lines:
                wrong += 1
                print(f"FAIL {name}: {label}, then {then}", *lines[:8], sep="\n  ", flush=True)
            for folder in (theirs, ours):
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(work)
    print(f"{'ok  ' if not wrong else 'FAIL'} {name}: {tried} again, {wrong} differ", flush=True)
    return tried, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pippin", type=Path)
    parser.add_argument("conformance", type=Path)
    parser.add_argument("--tool", choices=["mlx_lm", "mlx_vlm"], default="mlx_vlm")
    parser.add_argument("--mode", choices=["change", "sweep", "again"], default="change")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variants", type=int, default=1)
    parser.add_argument("--count", type=int, default=10**6)
    parser.add_argument("--arch")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("cases", nargs="*", type=Path)
    options = parser.parse_intermixed_args()
    options.pippin, options.conformance = options.pippin.resolve(), options.conformance.resolve()
    reference = Reference(options.tool)
    cases = options.cases
    if not cases:
        cases = sorted((ROOT / "tests" / "conformance" / ("lm" if options.tool == "mlx_lm" else "vlm")).glob("*.json"))
        random.Random(options.seed).shuffle(cases)
    tried, wrong, used = 0, 0, 0
    for path in cases:
        if used == options.count:
            break
        case = json.loads(path.read_text())
        if not any("expect" in run for run in case["runs"].values()) or (options.mode == "sweep" and is_packed(case)):
            continue
        one, other = {"change": run_variants, "sweep": run_sweep, "again": run_again}[options.mode](reference, case, path.stem, options)
        tried, wrong, used = tried + one, wrong + other, used + 1
    print(f"{used} cases: {tried} tried, {wrong} differ")
    return 1 if wrong or not tried else 0


if __name__ == "__main__":
    enter()
    from config_changes import change_config, change_dtype, changes, leaves, model_fields, parts, said
    from reference_models import Reference, record
    from source_trace import Trace, accepts, follow, shapes_of

    sys.exit(main())
