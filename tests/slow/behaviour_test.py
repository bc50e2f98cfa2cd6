"""Every recorded case that has a decoder: the published checkpoint and what is converted from it behave the same.

    python3 tests/slow/behaviour_test.py PIPPIN CONFORMANCE [CASE...]

The runtime plans the checkpoint's conversion in memory, by the same rules: what both compute keeps the bounds, and layers are seen. Tensors are exact.
"""

import json
import subprocess
import sys
from pathlib import Path

from fault_count import count_faults

TESTS = Path(__file__).resolve().parent.parent
CASES = TESTS / "conformance" / "lm"
LEFT_OUT = {"llama_mlx_8bit_g64_dequantize": "its numbers overflow"}

def behaviour(pippin, conformance, case, fills, folder):
    described = json.loads((CASES / f"{case}.json").read_text())
    for tensor in described["source"]:
        tensor[3:] = [{"fill": "const", "value": value} for end, value in fills.items() if tensor[0].endswith(end)] or tensor[3:]
    (folder / "case.json").write_text(json.dumps(described))
    subprocess.run([conformance, "--write-source", folder / "case.json", folder / "source"], check=True)
    done = subprocess.run([pippin, "convert", folder / "source", folder / "out", "--target", "mlx-lm", "--quiet", "--allow-nonfinite"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return f"not converted: {done.stderr}"
    done = subprocess.run([pippin, "verify", folder / "source", folder / "out", "--target", "mlx-lm", "--json", "--behaviour"],
                          capture_output=True, text=True)
    report = json.loads(done.stdout)
    if "error" in report:
        return report["error"]["rule"] + ": " + report["error"]["value"]
    found = report["behaviour"]["against"][0]
    if not found["layers"]:
        return "no layer was seen"
    if not report["verified"]:
        return f"{report['tensors'] - report['exact']} tensors are not exact"
    return None if found["passed"] else str([check for check in found["checks"] if not check["passed"]])


def main():
    pippin, conformance = (str(Path(path).resolve()) for path in sys.argv[1:3])
    runs = json.loads((TESTS / "runtime" / "logits.json").read_text())["runs"]
    cases = sys.argv[3:] or sorted({run["case"] for run in runs.values()} - set(LEFT_OUT))
    fills = {run["case"]: run["fills"] for run in runs.values() if "fills" in run}
    return count_faults(cases, lambda case, folder: behaviour(pippin, conformance, case, fills.get(case, {}), folder), "cases")


if __name__ == "__main__":
    sys.exit(main())
