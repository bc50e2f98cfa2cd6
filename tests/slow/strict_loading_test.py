"""The real mlx_lm and mlx_vlm load strictly what pippin wrote, for every recorded case, plain and -q.

    python3 tests/slow/strict_loading_test.py PIPPIN CONFORMANCE [--part K/N] [CASE...]

CASE is "lm/llama" or "vlm/gemma3"; without any, all are taken. --part 1/4 (or the variable PIPPIN_STRICT_PART) takes a fixed
quarter, chosen by a hash of the case's name; the default is all: a minute and a half of processor time.

Where a package does not load pippin's output, it must not load its own conversion of that source either, and the case must
stand in reference_cannot_load.json with the reason. An entry there that loads is an error too, so the list stays true.
Runs itself again in the environment that tools/reference_venv makes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter
CASES = ROOT / "tests" / "conformance"
LIST = Path(__file__).with_name("reference_cannot_load.json")
TOOLS = {"lm": "mlx_lm", "vlm": "mlx_vlm"}
RUNS = {"plain": ([], {}), "-q": (["-q"], {"quantize": True})}


def failure_of(action):
    """None, or what went wrong in one line."""
    try:
        action()
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
    return None


def judge(reference, pippin, source, work, run, flags, arguments):
    """(verdict, line): "loads", "refused" by both, "reference" cannot load its own, or "broken"."""
    ours, theirs = work / "ours", work / "theirs"
    command = [pippin, "convert", source, ours, "--target", reference.tool.replace("_", "-"), "--allow-nonfinite", "--quiet", *flags]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    try:
        if result.returncode != 0:
            if failure_of(lambda: reference.convert(source, theirs, arguments)):
                return "refused", ""
            return "broken", f"refused by pippin alone: {result.stderr.strip()[:300]}"
        own = failure_of(lambda: reference.load(ours))
        if own is None:
            return "loads", ""
        refusal = failure_of(lambda: reference.convert(source, theirs, arguments))
        if refusal:
            return "reference", f"does not convert it: {refusal}"
        refusal = failure_of(lambda: reference.load(theirs))
        if refusal:
            return "reference", f"does not load its own conversion: {refusal}"
        return "broken", f"loads its own conversion but not pippin's: {own}"
    finally:
        shutil.rmtree(ours, ignore_errors=True)
        shutil.rmtree(theirs, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pippin", type=Path)
    parser.add_argument("conformance", type=Path)
    parser.add_argument("--part", default=os.environ.get("PIPPIN_STRICT_PART", "1/1"))
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_intermixed_args()
    from reference_models import Reference, quiet

    part, parts = map(int, options.part.split("/"))
    names = options.cases or sorted(f"{file.parent.name}/{file.stem}" for file in CASES.glob("*/*.json"))
    names = [name for name in names if zlib.crc32(name.encode()) % parts == part - 1]
    listed = json.loads(LIST.read_text())
    references, counts, wrong = {}, {}, []
    for name in names:
        folder = name.split("/")[0]
        reference = references.setdefault(folder, Reference(TOOLS[folder]))
        work = Path(tempfile.mkdtemp(prefix="pippin-strict-"))
        try:
            source = work / "source"
            subprocess.run([options.conformance.resolve(), "--write-source", CASES / f"{name}.json", source], check=True)
            for run, (flags, arguments) in RUNS.items():
                with quiet():
                    verdict, line = judge(reference, options.pippin.resolve(), source, work, run, flags, arguments)
                counts[verdict] = counts.get(verdict, 0) + 1
                known = listed.get(name, {}).get(run)
                if verdict == "reference" and not known:
                    wrong.append(f"{name} {run}: not listed; {reference.tool} {line}")
                if verdict == "broken":
                    wrong.append(f"{name} {run}: {reference.tool} {line}")
                if known and verdict in ("loads", "refused"):
                    wrong.append(f"{name} {run}: listed, but it is {verdict}")
                if wrong and wrong[-1].startswith(f"{name} {run}"):
                    print(wrong[-1], flush=True)
        finally:
            shutil.rmtree(work)
        if options.verbose:
            print(f"{name} {counts}", flush=True)
    missing = [name for name in listed if not (CASES / f"{name}.json").exists()]
    wrong += [f"{name}: listed, but there is no such case" for name in missing]
    print(f"{len(names)} cases: {counts}; {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    enter()
    sys.exit(main())
