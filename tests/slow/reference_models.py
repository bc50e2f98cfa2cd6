"""The real converters on ghost checkpoints: what they expect of a source, and what they write.

Runs in the environment of tools/reference_venv. Only the loading of tokenizers and processors is replaced; a ghost has none.
"""

import contextlib
import hashlib
import importlib
import io
import json
import logging
import shutil
import struct
import tempfile
import warnings
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

DTYPES = {
    "F64": mx.float32, "F32": mx.float32, "F16": mx.float16, "BF16": mx.bfloat16, "U64": mx.uint64, "I64": mx.int64, "U32": mx.uint32,
    "I32": mx.int32, "U16": mx.uint16, "I16": mx.int16, "U8": mx.uint8, "I8": mx.int8, "BOOL": mx.bool_, "F8_E4M3": mx.uint8, "F8_E8M0": mx.uint8,
}
FLOATS = ("F32", "F16", "BF16", "F64")


class Captured(BaseException):
    pass


@contextlib.contextmanager
def quiet():
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def replaced(owner, **values):
    old = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in old.items():
            setattr(owner, name, value)


class NoTokenizer:
    def save_pretrained(self, *args, **kwargs):
        pass


class Reference:
    """mlx_lm or mlx_vlm."""

    def __init__(self, tool):
        self.tool = tool
        self.converter = importlib.import_module(f"{tool}.convert")
        self.utils = importlib.import_module(f"{tool}.utils")

    def load(self, folder, lazy=False):
        """Strict, as the package loads it."""
        model = self.utils.load_model(Path(folder), lazy=lazy)
        return model[0] if isinstance(model, tuple) else model

    def convert(self, source, destination, arguments):
        def load(path, *_, **__):
            model, config = self.utils.load_model(Path(path), lazy=True)
            return model, NoTokenizer(), config

        def fetch_from_hub(path, lazy=False, **_):
            return self.utils.load_model(Path(path), lazy), self.utils.load_config(Path(path)), NoTokenizer()

        module = importlib.sys.modules[f"{self.tool}.convert"]
        with quiet():
            if self.tool == "mlx_lm":
                with replaced(module, load=load), replaced(self.utils, create_model_card=lambda *a, **k: None):
                    module.convert(str(source), mlx_path=str(destination), **arguments)
            else:
                with replaced(module, fetch_from_hub=fetch_from_hub, create_model_card=lambda *a, **k: None):
                    module.convert(str(source), mlx_path=str(destination), **arguments)

    def look(self, case, tensors):
        """What becomes of the tensors (name -> array) before they are loaded, and the shapes that the model has."""
        caught = {}

        def load_weights(model, weights, strict=True):
            caught["weights"] = dict(weights)
            caught["shapes"] = {name: tuple(value.shape) for name, value in tree_flatten(model.parameters())}
            raise Captured

        # mlx-vlm takes out the towers that a checkpoint has no weights for.
        whole = replaced(self.utils, _drop_modules_without_weights=lambda *_: None) if self.tool == "mlx_vlm" else contextlib.nullcontext()
        folder = Path(tempfile.mkdtemp(prefix="pippin-look-"))
        try:
            (folder / "config.json").write_text(json.dumps(case["config"]))
            for name, text in case.get("files", {}).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text if isinstance(text, str) else json.dumps(text))
            (folder / "model.safetensors").write_bytes(b"")
            with quiet(), whole, replaced(mx, load=lambda *_: dict(tensors)), replaced(nn.Module, load_weights=load_weights):
                self.utils.load_model(folder, lazy=True)
        except Captured:
            pass
        finally:
            shutil.rmtree(folder)
        return caught["weights"], caught["shapes"]


def record(folder):
    """What a converted model holds, as conformance cases keep it."""
    tensors = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        with open(file, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            for name, entry in json.loads(stream.read(length)).items():
                if name == "__metadata__":
                    continue
                begin, end = entry["data_offsets"]
                stream.seek(8 + length + begin)
                tensors[name] = [entry["dtype"], entry["shape"], hashlib.sha256(stream.read(end - begin)).hexdigest()[:16]]
    result = {"tensors": tensors, "config": json.loads((Path(folder) / "config.json").read_text())}
    index = Path(folder) / "model.safetensors.index.json"
    if index.exists():
        result["index_metadata"] = json.loads(index.read_text()).get("metadata", {})
    return result
