"""The network, its features, and its file: safetensors, which holds numbers and no code."""

import json
import struct

import numpy as np
import torch
from torch import nn

FEATURES = ["hours", "pressure_bar", "vibration_mm_s", "temperature_c", "flow_m3_h"]
TARGET = "failed"


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("scale", torch.ones(len(FEATURES)))
        self.layers = nn.Sequential(nn.Linear(len(FEATURES), width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x):
        return self.layers((x - self.mean) / self.scale).squeeze(-1)


def save(model, path):
    """Write the model as safetensors: the length of a header, the header as JSON, the numbers. Debian has no package for it."""
    header, blobs, at = {"__metadata__": {"width": str(model.layers[0].out_features)}}, [], 0
    for name, tensor in sorted(model.state_dict().items()):
        raw = tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load(path):
    with open(path, "rb") as source:
        header = json.loads(source.read(struct.unpack("<Q", source.read(8))[0]))
        data = source.read()
    state = {}
    for name, about in header.items():
        if name != "__metadata__":
            begin, end = about["data_offsets"]
            state[name] = torch.from_numpy(np.frombuffer(data[begin:end], "<f4").reshape(about["shape"]).copy())
    model = Net(int(header["__metadata__"]["width"]))
    model.load_state_dict(state)
    return model.eval()
