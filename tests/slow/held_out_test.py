"""Configurations that no case records: the real mlx-lm and pippin convert the same source, every byte is compared.

    python3 tests/slow/held_out_test.py PIPPIN CONFORMANCE [--seconds 120] [--seed 1] [--cases REGEX]
    python3 tests/slow/held_out_test.py PIPPIN CONFORMANCE --full 20        20 rows for each case, however long it takes
    python3 tests/slow/held_out_test.py PIPPIN CONFORMANCE --row '{"case": "llama", "dtype": "F16", "args": {"quantize": true}}'

Rows are drawn from the seed: other dimensions and switches of the config, tied or not, F16 and F32 sources, three shards, all
bit widths, group sizes, modes and recipes, in the published layout and in MLX's own (held_out_sources.py). The cases
come in an order that the seed decides; the sample ends with its time. Each failing row is printed as the command that repeats it.
PIPPIN_HELD_OUT (as "--full 20") adds arguments. Runs itself again in the environment that tools/reference_venv makes.
"""

import argparse
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter
CASES = ROOT / "tests" / "conformance" / "lm"
RECIPES = ["mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"]


def draw_arguments(rng):
    kind = rng.choice(["plain", "affine", "affine", "affine", "mode", "recipe"])
    arguments = {}
    if kind == "affine":
        arguments = {"quantize": True, "q_bits": rng.choice([2, 3, 4, 5, 6, 8]), "q_group_size": rng.choice([32, 64, 128])}
    if kind == "mode":
        arguments = {"quantize": True, "q_mode": rng.choice(["mxfp4", "mxfp8", "nvfp4"])}
    if kind == "recipe":
        arguments = {"quantize": True, "quant_predicate": rng.choice(RECIPES), "q_group_size": rng.choice([32, 64, 128])}
    if rng.random() < 0.3:
        arguments["dtype"] = rng.choice(["float16", "bfloat16", "float32"])
    return arguments


def draw_row(name, case, rng):
    row = {"case": name}
    config = case["config"]
    if rng.random() < 0.65:
        change = held_out_sources.config_change(config, rng)
        if change:
            changes, names_stay = change
            row["set"] = changes
            if not names_stay or rng.random() < 0.3:
                row["layout"] = "mlx"
    if rng.random() < 0.2:
        row["tied"] = not held_out_sources._part_with(config, "tie_word_embeddings").get("tie_word_embeddings", False)
    if rng.random() < 0.4:
        row["dtype"] = rng.choice(["F16", "F32"])
    if rng.random() < 0.3:
        row["shards"] = 3
    return row | {"args": draw_arguments(rng)}


class Runner:
    def __init__(self, pippin, conformance, arch):
        self.pippin, self.conformance, self.arch = pippin, conformance, arch
        self.work = Path(tempfile.mkdtemp(prefix="pippin-held-out-"))

    def run(self, row):
        """("same" | "refused" | "better" | "not made" | "differs", lines)"""
        source, ours, theirs = (self.work / name for name in ("source", "ours", "theirs"))
        for folder in (source, ours, theirs):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            made = held_out_sources.case_of(json.loads((CASES / f"{row['case']}.json").read_text()), row)
        except (Exception, SystemExit) as error:  # the reference's own code, on a config that it was not made for
            return "not made", [f"{type(error).__name__}: {error}"]
        (self.work / "case.json").write_text(json.dumps(made))
        subprocess.run([self.conformance, "--write-source", self.work / "case.json", source], check=True)
        refusal = None
        try:
            order = reference_runs.convert("mlx-lm", source, theirs, row["args"])
        except (Exception, SystemExit) as error:
            refusal = f"{type(error).__name__}: {error}"
        command = [self.pippin, "convert", source, ours, "--target", "mlx-lm", "--rounding", "cpu", "--allow-nonfinite", "--json",
                   "--threads", "1", *reference_runs.flags_of(row["args"])]
        result = subprocess.run(command + (["--arch", self.arch] if self.arch else []), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode < 0:
            return "differs", [f"pippin ended by signal {-result.returncode}"]
        if refusal:
            return ("refused" if result.returncode else "better"), [refusal[:300], result.stdout[:300] if result.returncode else ""]
        if result.returncode:
            return "differs", ["refused by pippin alone:", *result.stderr.splitlines()[:12], result.stdout[:1500]]
        expected = reference_runs.with_agreed_deviations(reference_runs.record_of(theirs), row["args"])
        lines = reference_runs.record_differences(reference_runs.record_of(ours), expected)
        planned = [tensor["name"] for tensor in json.loads(result.stdout)["tensors"]]
        if not lines and planned != order:  # the order decides where files of 5 GiB are cut
            place = next(i for i, (a, b) in enumerate(zip(planned, order)) if a != b)
            lines = [f"other order from tensor {place}: {planned[place]}, expected {order[place]}"]
        return ("differs" if lines else "same"), lines


def rows_of(options, names):
    if options.row:
        yield json.loads(options.row)
        return
    rounds = options.full or 1000
    for number in range(rounds):
        order = names[:]
        random.Random(f"{options.seed} {number}").shuffle(order)
        for name in order:
            rng = random.Random(f"{options.seed} {number} {name}")
            yield draw_row(name, json.loads((CASES / f"{name}.json").read_text()), rng)


def main(options):
    names = sorted(path.stem for path in CASES.glob("*.json") if re.search(options.cases, path.stem))
    runner = Runner(options.pippin, options.conformance, options.arch)
    started, counts, failing, cases = time.monotonic(), {}, 0, set()
    for row in rows_of(options, names):
        if not options.row and not options.full and time.monotonic() - started > options.seconds:
            break
        verdict, lines = runner.run(row)
        counts[verdict] = counts.get(verdict, 0) + 1
        cases.add(row["case"])
        if verdict == "differs" or options.row or (options.verbose and verdict != "same"):
            failing += verdict == "differs"
            command = [sys.argv[0], options.pippin, options.conformance, "--row", json.dumps(row)]
            print(f"{verdict}: python3 {shlex.join(command)}", *(f"    {line}" for line in lines[:12]), sep="\n", flush=True)
    shutil.rmtree(runner.work)
    seconds = time.monotonic() - started
    print(f"held out: {sum(counts.values())} rows of {len(cases)} cases in {seconds:.0f} s, seed {options.seed}: "
          + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return 1 if failing or not counts.get("same") and not options.row else 0


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pippin", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("conformance", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--seconds", type=float, default=120, help="how long the sample goes on [120]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--full", type=int, metavar="ROWS", help="so many rows for each case")
    parser.add_argument("--cases", default="", help="a regular expression over the cases' names")
    parser.add_argument("--row", help="one row, as it was printed")
    parser.add_argument("--arch", help="specs that go before the built-in ones")
    parser.add_argument("--verbose", action="store_true", help="tell also of rows that could not be made or are refused")
    return parser.parse_args(sys.argv[1:] + shlex.split(os.environ.get("PIPPIN_HELD_OUT", "")))


if __name__ == "__main__":
    parsed = read_options()
    enter()
    sys.path[:0] = [str(ROOT / "tools")]
    import held_out_sources
    import reference_runs

    sys.exit(main(parsed))
