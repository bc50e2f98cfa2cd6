"""Reads and writes safetensors files with the standard library alone, to make faults in them."""

import json


class WeightsFile:
    """A file's tensors: `tensors` maps a name to [dtype, shape, bytes]."""

    def __init__(self, path):
        self.path = path
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + size])
        self.metadata = header.pop("__metadata__", None)
        data = data[8 + size:]
        self.tensors = {name: [one["dtype"], one["shape"], bytearray(data[slice(*one["data_offsets"])])] for name, one in header.items()}

    def write(self):
        header, at = ({"__metadata__": self.metadata} if self.metadata else {}), 0
        for name, (dtype, shape, data) in self.tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self.path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in self.tensors.values()))
