"""What training, parity and serving agree on: the columns of a building, and how they stand in each format."""

import numpy as np

NUMBERS = ["area_m2", "year", "floors", "glazing", "outside_c"]
TEXTS = ["use"]
TARGET = "kwh_m2"


def tensors(columns):
    """The inputs of the ONNX model, by name, from a mapping of columns: one column of a tensor each."""
    out = {name: np.asarray(columns[name], dtype=np.float32).reshape(-1, 1) for name in NUMBERS}
    out |= {name: np.asarray(columns[name], dtype=object).reshape(-1, 1) for name in TEXTS}
    return out
