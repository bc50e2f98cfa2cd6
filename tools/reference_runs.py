"""The reference converters on checkpoints without a tokenizer, and the comparison of what two converters wrote.

For tools/drift and tests/slow. Only `convert` needs mlx-lm or mlx-vlm; the rest reads files.
"""

import contextlib
import hashlib
import importlib
import io
import json
import shutil
import struct
import sys
import types
import warnings
from pathlib import Path

# mlx-lm's olmo ends the program where this package, a tokenizer, is missing.
sys.modules.setdefault("hf_olmo", types.ModuleType("hf_olmo"))

FOLDERS = {"mlx-lm": "lm", "mlx-vlm": "vlm"}  # of tests/conformance


class WithoutTokenizer:
    def save_pretrained(self, folder, **_):
        pass


_written = []  # names in the order in which the last conversion cut them into files


def _lm_converter():
    converter = importlib.import_module("mlx_lm.convert")
    utils = importlib.import_module("mlx_lm.utils")
    make_shards = getattr(utils.make_shards, "replaced", utils.make_shards)

    def watched(weights, *arguments, **options):
        _written[:] = list(weights)
        return make_shards(weights, *arguments, **options)

    watched.replaced = make_shards
    utils.make_shards = watched

    def load(path, *_, **options):
        model, config = utils.load_model(Path(path), lazy=True)
        return (model, WithoutTokenizer(), config) if options.get("return_config", True) else (model, WithoutTokenizer())

    def fetch_from_hub(path, lazy=False, **_):
        model, config = utils.load_model(Path(path), lazy=lazy)
        return model, config, WithoutTokenizer()

    # Older versions name things differently.
    if hasattr(converter, "load"):
        converter.load = load
    if hasattr(converter, "fetch_from_hub"):
        converter.fetch_from_hub = fetch_from_hub
    for module in (converter, utils):
        if hasattr(module, "create_model_card"):
            module.create_model_card = lambda *_, **__: None
    return converter.convert


def _vlm_converter():
    converter = importlib.import_module("mlx_vlm.convert")
    utils = importlib.import_module("mlx_vlm.utils")

    def fetch_from_hub(path, lazy=False, **options):
        allowed = {key: value for key, value in options.items() if key == "trust_remote_code"}
        return utils.load_model(Path(path), lazy, **allowed), utils.load_config(Path(path)), WithoutTokenizer()

    converter.fetch_from_hub = fetch_from_hub
    converter.create_model_card = lambda *_, **__: None
    return converter.convert


def convert(target, source, out, arguments):
    """Converts the folder `source` into `out`, as the package would; what it refuses is raised. Prints nothing.

    Gives the tensors' names in the order in which they are cut into files (mlx-lm only)."""
    converter = _lm_converter() if target == "mlx-lm" else _vlm_converter()
    shutil.rmtree(out, ignore_errors=True)
    _written.clear()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter(str(source), mlx_path=str(out), **arguments)
    return list(_written)


def tensors_of(folder):
    """Name to [dtype, shape, first 16 hex digits of the SHA-256 of the bytes], over all weight files of a model."""
    tensors = {}
    for path in sorted(Path(folder).rglob("*.safetensors")):
        data = memoryview(path.read_bytes())
        (length,) = struct.unpack("<Q", data[:8])
        for name, entry in json.loads(bytes(data[8 : 8 + length])).items():
            if name != "__metadata__":
                begin, end = (8 + length + offset for offset in entry["data_offsets"])
                tensors[name] = [entry["dtype"], entry["shape"], hashlib.sha256(data[begin:end]).hexdigest()[:16]]
    return tensors


def record_of(folder):
    """What a converted model holds, in the form of a conformance case's `expect`."""
    folder = Path(folder)
    record = {"tensors": tensors_of(folder), "config": json.loads((folder / "config.json").read_text())}
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        record["index_metadata"] = json.loads(index.read_text()).get("metadata", {})
    return record


def _without_null_groups(value):
    if isinstance(value, dict):
        value = {key: _without_null_groups(inner) for key, inner in value.items()}
        if "bits" in value and value.get("group_size", 64) is None:
            value["group_size"] = 64
    return value


def record_differences(actual, expected):
    """Lines that say where two records differ; none where they agree. Configs are compared as they stand."""
    lines = []
    for name in sorted(actual["tensors"].keys() | expected["tensors"].keys()):
        ours, theirs = actual["tensors"].get(name), expected["tensors"].get(name)
        if ours is None or theirs is None:
            lines.append(f"{'missing' if ours is None else 'unexpected'} {name} {(ours or theirs)[:2]}")
        elif ours[:2] != theirs[:2]:
            lines.append(f"{name} is {ours[0]} {ours[1]}, expected {theirs[0]} {theirs[1]}")
        elif ours[2] != theirs[2]:
            lines.append(f"{name} {ours[0]} {ours[1]} has other bytes")
    a, b = actual.get("config") or {}, expected.get("config") or {}
    for key in sorted(a.keys() | b.keys()):
        if a.get(key) != b.get(key) or (key in a) != (key in b):
            lines.append(f"config.json: {key} is {_short(a, key)}, expected {_short(b, key)}")
    if "index_metadata" in expected and actual.get("index_metadata") != expected["index_metadata"]:
        lines.append(f"index: {actual.get('index_metadata')}, expected {expected['index_metadata']}")
    return lines


def _short(config, key):
    return json.dumps(config[key])[:200] if key in config else "absent"


def with_agreed_deviations(expected, arguments):
    """The reference's record with the plain defects of its config.json mended, as tests/conformance/comparison.h lists them."""
    config = _without_null_groups(expected["config"])
    if arguments.get("dequantize"):
        config = {key: value for key, value in config.items() if key not in ("quantization", "quantization_config")}
    return expected | {"config": config}


def flags_of(arguments):
    """Keyword arguments of the reference's convert as flags of `pippin convert`."""
    flags = []
    for key, value in arguments.items():
        name = {"quantize": "-q", "dequantize": "-d"}.get(key, "--" + key.replace("_", "-"))
        if value is True:
            flags.append(name)
        elif value is not None and value is not False:
            flags += [name, str(value)]
    return flags
