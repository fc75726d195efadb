"""Leave out homes that are larger than the parameter says."""

import csv
import json
import os

with open(os.environ["VISHWA_PARAMS"]) as f:
    largest = json.load(f)["largest"]
with open(os.environ["VISHWA_INPUT_HOMES"], newline="") as f:
    rows = list(csv.DictReader(f))
with open(os.environ["VISHWA_OUTPUT_HOMES"], "w", newline="") as f:
    out = csv.DictWriter(f, fieldnames=rows[0].keys())
    out.writeheader()
    out.writerows(r for r in rows if float(r["size"]) <= largest)
