"""Fit price by size: least squares of the degree in VISHWA_PARAMS, standard library only."""

import csv
import json
import math
import os
import pathlib


def solve(a, b):
    """Solve a x = b by Gaussian elimination with partial pivoting."""
    n = len(b)
    m = [row[:] + [b[i]] for i, row in enumerate(a)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(m[r][i]))
        m[i], m[pivot] = m[pivot], m[i]
        for r in range(i + 1, n):
            f = m[r][i] / m[i][i]
            m[r] = [x - f * y for x, y in zip(m[r], m[i])]
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (m[i][n] - sum(m[i][j] * x[j] for j in range(i + 1, n))) / m[i][i]
    return x


def predict(weights, size):
    return sum(w * (size / 100) ** k for k, w in enumerate(weights))


def rmse(weights, rows):
    return math.sqrt(sum((predict(weights, s) - p) ** 2 for s, p in rows) / len(rows))


def main():
    params = json.loads(pathlib.Path(os.environ["VISHWA_PARAMS"]).read_text())
    with open(os.environ["VISHWA_INPUT_HOMES"], newline="") as f:
        rows = [(float(r["size"]), float(r["price"])) for r in csv.DictReader(f)]
    train = [r for i, r in enumerate(rows) if i % 4]
    test = [r for i, r in enumerate(rows) if not i % 4]
    terms = range(params["degree"] + 1)
    a = [[sum((s / 100) ** (i + j) for s, _ in train) for j in terms] for i in terms]
    b = [sum(p * (s / 100) ** i for s, p in train) for i in terms]
    weights = solve(a, b)
    out = pathlib.Path(os.environ["VISHWA_MODEL_DIR"])
    (out / "model.json").write_text(json.dumps({"weights": weights}))
    metrics = {"train": {"rmse": rmse(weights, train)}, "test": {"rmse": rmse(weights, test)}}
    pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps(metrics))
    print(f"degree {params['degree']}: test rmse {metrics['test']['rmse']:.2f}")


main()
