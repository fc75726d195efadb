# Scores samples by the statistical tests of the installed Evidently: a JSON line a case in, one out.
import json
import sys
import warnings

import numpy as np
import pandas as pd
from evidently.legacy.calculations import stattests
from evidently.legacy.calculations.stattests.registry import _get_default_stattest, get_stattest
from evidently.legacy.core import ColumnType

warnings.filterwarnings("ignore")
np.seterr(all="ignore")


def series(side, kind):
    if "file" in side:
        values = pd.Series(np.fromfile(side["file"], dtype="<f8"))
    elif kind == "num":
        values = pd.Series([float(v) for v in side["values"]], dtype="float64")
    else:
        values = pd.Series(side["values"], dtype="object")
    if kind == "num":
        values = values.replace([-np.inf, np.inf], np.nan).dropna()
        if side.get("whole"):
            values = values.astype("int64")
    return values


for line in sys.stdin:
    case = json.loads(line)
    kind = {"num": ColumnType.Numerical, "cat": ColumnType.Categorical}[case["type"]]
    out = {}
    for name in case["methods"]:
        ref, cur = series(case["ref"], case["type"]), series(case["cur"], case["type"])
        try:
            test = get_stattest(ref, cur, kind, name)
            got = test(ref, cur, kind, None)
            score = float(got.drift_score)
            out[name] = {"score": repr(score), "drifted": bool(got.drifted)}
        except Exception as e:  # what has no score says so
            out[name] = {"error": type(e).__name__ + ": " + str(e)[:200]}
    ref, cur = series(case["ref"], case["type"]), series(case["cur"], case["type"])
    out["default"] = {"method": _get_default_stattest(ref, cur, kind).name}
    print(json.dumps(out), flush=True)
