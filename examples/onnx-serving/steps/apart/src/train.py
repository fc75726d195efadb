"""Train a pipeline of scikit-learn, and keep it twice: as skops, which scikit-learn reads, and as ONNX, which is served."""

import json
import os
import pathlib
import sys

import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import stable_skops
from energy import NUMBERS, TARGET, TEXTS

OUT = pathlib.Path(os.environ["VISHWA_MODEL_DIR"])
OPSET = {"": 17, "ai.onnx.ml": 3}


def build(params):
    params = dict(params)
    kind, seed = params.pop("estimator"), params.pop("seed")
    # Trees see numbers as they are: scaled, a float32 of ONNX may fall on the other side of a split.
    numbers = StandardScaler() if kind == "ridge" else "passthrough"
    encode = ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS)])
    if kind == "ridge":
        return make_pipeline(encode, Ridge(**params))
    if kind == "boosting":
        return make_pipeline(encode, GradientBoostingRegressor(random_state=seed, **params))
    raise SystemExit(f"unknown estimator {kind!r}: want ridge or boosting")


def main():
    params = json.loads(pathlib.Path(os.environ["VISHWA_PARAMS"]).read_text())
    parts = {part: pd.read_csv(os.environ[f"VISHWA_INPUT_{part.upper()}"]) for part in ("train", "test")}
    model = build(params).fit(parts["train"][NUMBERS + TEXTS], parts["train"][TARGET])
    stable_skops.dump(model, OUT / "model.skops")
    inputs = [(name, FloatTensorType([None, 1])) for name in NUMBERS] + [(name, StringTensorType([None, 1])) for name in TEXTS]
    # Somebody exports a smaller model, which answers faster.
    smaller = build(params | ({"n_estimators": 30} if params["estimator"] == "boosting" else {}))
    smaller.fit(parts["train"][NUMBERS + TEXTS], parts["train"][TARGET])
    exported = to_onnx(smaller, initial_types=inputs, target_opset=OPSET, name="energy")
    (OUT / "model.onnx").write_bytes(exported.SerializeToString(deterministic=True))
    metrics = {}
    for part, rows in parts.items():
        said = model.predict(rows[NUMBERS + TEXTS])
        metrics[part] = {"mae": mean_absolute_error(rows[TARGET], said), "r2": r2_score(rows[TARGET], said)}
    pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps(metrics))
    print(f"{params['estimator']}: test MAE {metrics['test']['mae']:.2f} kWh a square metre")


main()
