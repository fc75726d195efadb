"""Score the model at VISHWA_MODEL_DIR on the homes at VISHWA_INPUT_ROWS."""

import csv
import json
import math
import os
import pathlib

weights = json.loads((pathlib.Path(os.environ["VISHWA_MODEL_DIR"]) / "model.json").read_text())["weights"]
with open(os.environ["VISHWA_INPUT_ROWS"], newline="") as f:
    homes = [(float(r["size"]), float(r["price"])) for r in csv.DictReader(f)]
errors = [sum(w * (size / 100) ** k for k, w in enumerate(weights)) - price for size, price in homes]
rmse = math.sqrt(sum(e * e for e in errors) / len(errors))
pathlib.Path(os.environ["VISHWA_METRICS"]).write_text(json.dumps({"rmse": rmse, "rows": len(homes)}))
