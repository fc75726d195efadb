"""How a student becomes numbers: fitted once on the training rows, written as
plain JSON, and used alike by the features and the served model. The order of the
columns is this file's, never that of the JSON."""

import hashlib
import json
import pathlib

NUMBERS = ["age", "hours_studied", "attendance", "past_score", "prior_enrollments"]
FLAGS = ["part_time_job", "internet"]
CATEGORIES = ["region", "course", "parental_education"]
FIELDS = NUMBERS + FLAGS + CATEGORIES
TARGET = "enrolled"
UNKNOWN = "unknown"
TEST_SHARE = 0.25


def in_test(student_id):
    """Whether a student is held out: on one side of the split whatever rows come or go."""
    first = int(hashlib.sha256(student_id.encode()).hexdigest()[:8], 16)
    return first / 0xFFFFFFFF < TEST_SHARE


def fit(frame):
    """Learn medians, means, deviations and categories from a data frame of raw fields."""
    spec = {"numbers": {}, "categories": {}}
    for name in NUMBERS:
        column = frame[name].astype(float)
        median = float(column.median())
        filled = column.fillna(median)
        spec["numbers"][name] = {"median": median, "mean": float(filled.mean()), "std": float(filled.std(ddof=0)) or 1.0}
    for name in CATEGORIES:
        values = sorted(str(v) for v in frame[name].dropna().unique())
        spec["categories"][name] = values + [UNKNOWN]
    return spec


def names(spec):
    """The names of the encoded columns, in order."""
    out = []
    for name in NUMBERS:
        out += [name, f"{name}_missing"]
    out += FLAGS
    for name in CATEGORIES:
        out += [f"{name}={value}" for value in spec["categories"][name]]
    return out


def missing(value):
    return value is None or value == "" or value != value  # NaN is not itself


def flag(value):
    if isinstance(value, str):
        return 1.0 if value.lower() in ("true", "1") else 0.0
    return 1.0 if not missing(value) and bool(value) else 0.0


def encode(spec, student):
    """One raw student, a mapping of field to value, as a list of floats."""
    row = []
    for name in NUMBERS:
        fitted, value = spec["numbers"][name], student.get(name)
        gone = missing(value)
        value = fitted["median"] if gone else float(value)
        row += [(value - fitted["mean"]) / fitted["std"], 1.0 if gone else 0.0]
    row += [flag(student.get(name)) for name in FLAGS]
    for name in CATEGORIES:
        values, value = spec["categories"][name], student.get(name)
        value = UNKNOWN if missing(value) or str(value) not in values else str(value)
        row += [1.0 if value == known else 0.0 for known in values]
    return row


def load(path):
    return json.loads(pathlib.Path(path).read_text())


def save(spec, path):
    pathlib.Path(path).write_text(json.dumps(spec, indent=1, sort_keys=True) + "\n")
