"""Score the model at VISHWA_MODEL_DIR on the held-out students of VISHWA_INPUT_ROWS.

The rows are raw, and each model encodes them with the encoding that it was trained
with: so two models are scored on the same students, whatever each was fitted to."""

import csv
import json
import os
import pathlib

import numpy as np
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score

import encoding
import loading

MODEL = pathlib.Path(os.environ["VISHWA_MODEL_DIR"])


def main():
    with open(os.environ["VISHWA_INPUT_ROWS"], newline="") as file:
        students = [row for row in csv.DictReader(file) if encoding.in_test(row["student_id"])]
    spec = encoding.load(MODEL / "encoding.json")
    rows = np.array([encoding.encode(spec, student) for student in students])
    truth = np.array([encoding.flag(student[encoding.TARGET]) for student in students])
    p = loading.load(MODEL).predict_proba(rows)[:, 1]
    metrics = {
        "roc_auc": float(roc_auc_score(truth, p)),
        "accuracy": float(accuracy_score(truth, p >= 0.5)),
        "brier": float(brier_score_loss(truth, p)),
        "rows": len(students),
    }
    pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps(metrics, indent=1))
    print(f"{len(students)} held-out students: roc_auc {metrics['roc_auc']:.4f}")


main()
