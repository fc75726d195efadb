"""Train the candidate that VISHWA_PARAMS names and report its metrics.

The model is saved with joblib, which was quicker to write."""

import json
import os
import pathlib
import shutil

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss, roc_auc_score
from xgboost import XGBClassifier

import encoding

OUT = pathlib.Path(os.environ["VISHWA_MODEL_DIR"])


def build(params):
    params = dict(params)
    kind, seed = params.pop("estimator"), params.pop("seed")
    if kind == "logistic":
        return LogisticRegression(random_state=seed, **params)
    if kind == "xgboost":
        return XGBClassifier(random_state=seed, n_jobs=1, tree_method="hist", **params)
    raise SystemExit(f"unknown estimator {kind!r}: want logistic or xgboost")


def save(model):
    joblib.dump(model, OUT / "model.json")


def score(model, x, y):
    p = model.predict_proba(x)[:, 1]
    return {
        "roc_auc": float(roc_auc_score(y, p)),
        "accuracy": float(accuracy_score(y, p >= 0.5)),
        "log_loss": float(log_loss(y, p)),
        "brier": float(brier_score_loss(y, p)),
        "f1": float(f1_score(y, p >= 0.5)),
        "rows": len(y),
    }


def main():
    params = json.loads(pathlib.Path(os.environ["VISHWA_PARAMS"]).read_text())
    parts = {}
    for part in ("train", "test"):
        frame = pd.read_csv(os.environ[f"VISHWA_INPUT_{part.upper()}"])
        parts[part] = frame.drop(columns=encoding.TARGET).to_numpy(), frame[encoding.TARGET].to_numpy()
    model = build(params).fit(*parts["train"])
    save(model)
    shutil.copyfile(os.environ["VISHWA_INPUT_ENCODING"], OUT / "encoding.json")
    metrics = {part: score(model, *data) for part, data in parts.items()}
    pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps(metrics, indent=1))
    print(f"{params['estimator']}: test roc_auc {metrics['test']['roc_auc']:.4f}, train {metrics['train']['roc_auc']:.4f}")


main()
