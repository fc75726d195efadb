"""Ask both formats of a model about the same rows: how far apart they are, and how good the ONNX one is."""

import json
import os
import pathlib
import sys

import numpy as np
import onnxruntime
import pandas as pd
import skops.io
from sklearn.metrics import mean_absolute_error

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from energy import NUMBERS, TARGET, TEXTS, tensors

# All that the pipeline of src/train.py is made of besides what skops trusts by itself.
TRUSTED = ["sklearn._loss.link.IdentityLink", "sklearn._loss.link.Interval", "sklearn._loss.loss.HalfSquaredError", "sklearn._loss._loss.CyHalfSquaredError", "sklearn.compose._column_transformer._RemainderColsList"]


def main():
    model = pathlib.Path(os.environ["VISHWA_MODEL_DIR"])
    rows = pd.read_csv(os.environ["VISHWA_INPUT_ROWS"])
    first = skops.io.load(model / "model.skops", trusted=TRUSTED).predict(rows[NUMBERS + TEXTS])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model / "model.onnx", options, providers=["CPUExecutionProvider"])
    second = session.run(None, tensors(rows))[0].reshape(-1)
    apart = np.abs(first - second)
    metrics = {"parity": {"largest": float(apart.max()), "mean": float(apart.mean())}, "mae": mean_absolute_error(rows[TARGET], second), "rows": len(rows)}
    pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps(metrics))
    print(f"the formats are {apart.max():.2g} apart at most, on {len(rows)} rows")


main()
