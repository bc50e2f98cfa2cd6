"""What tools/record_activations records, compared by `pippin verify --reference`.

    python3 tests/slow/recorded_activations_test.py PIPPIN

mlx-lm always; transformers where PyTorch can be imported, which the reference environment does not bring.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_venv import enter

EXAMPLE = ROOT / "examples" / "kjv-tiny"


def told(*command, status=0):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == status, done.stderr + done.stdout[:4000]
    return done.stdout


def record(model, file, *flags):
    told(sys.executable, "-B", ROOT / "tools" / "record_activations", model, file, *flags)
    return file


def compared(pippin, model, file, *flags, status=0):
    report = json.loads(told(pippin, "verify", EXAMPLE, model, "--json", "--reference", file, *flags, status=status))
    of_source, of_file = report["behaviour"]["against"]
    assert of_source["expected"] == str(EXAMPLE) and of_file["expected"] == str(file)
    return of_file


def check_mlx_lm(pippin, work):
    for name, flags, precision, most in [("f32", ["--dtype", "float32"], "F32", 1e-4), ("bf16", [], "F16 or BF16", 1),
                                         ("q8", ["-q", "--q-bits", "8"], "8 bits", 3)]:
        told(pippin, "convert", EXAMPLE, work / name, "--quiet", *flags)
        found = compared(pippin, work / name, record(work / name, work / f"{name}.safetensors", "--with", "mlx-lm"))
        print(name, found["logits"], [layer["relative_error"] for layer in found["layers"]], flush=True)
        assert found["passed"] and found["precision"] == precision and len(found["layers"]) == 3
        assert found["logits"]["largest_difference"] < most


def check_faults(pippin, work):
    """A recording of another model, and one of layers alone."""
    told(pippin, "convert", EXAMPLE, work / "q2", "--quiet", "-q", "--q-bits", "2")
    wrong = compared(pippin, work / "f32", record(work / "q2", work / "q2.safetensors", "--with", "mlx-lm"), status=8)
    assert wrong["first_diverging_layer"] == 0 and not wrong["passed"]
    layers = record(work / "f32", work / "layers.safetensors", "--with", "mlx-lm", "--no-logits", "--ids", "5,6,7")
    alone = compared(pippin, work / "f32", layers)
    assert alone["logits"] is None and len(alone["layers"]) == 3 and alone["passed"]


def check_transformers(pippin, work):
    if importlib.util.find_spec("torch") is None:
        print("transformers: not recorded, there is no torch")
        return
    found = compared(pippin, work / "f32", record(EXAMPLE, work / "hf.safetensors", "--dtype", "float32"))
    print("transformers", found["logits"])
    assert found["passed"] and found["logits"]["largest_difference"] < 1e-3 and len(found["layers"]) == 3


if __name__ == "__main__":
    enter()
    with tempfile.TemporaryDirectory() as folder:
        checks = Path(sys.argv[1]).absolute(), Path(folder)
        check_mlx_lm(*checks)
        check_faults(*checks)
        check_transformers(*checks)
