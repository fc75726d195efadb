"""Holds the example to what it promises: the same bytes, no leak from the test rows, the same answer on- and offline.

    python -B -m unittest discover tests       # -B leaves no __pycache__ behind

Each script runs as Vishwa runs it: in a process of its own, told by VISHWA_* variables alone.
"""

import csv
import hashlib
import http.client
import io
import json
import os
import pathlib
import re
import runpy
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent
CANDIDATES = ("logistic", "xgboost")
sys.dont_write_bytecode = True


def run(script, expect=0, source=EXAMPLE, **variables):
    """Runs a script to its end with these variables and no other."""
    done = subprocess.run([sys.executable, script], cwd=source, env=world(variables), capture_output=True, text=True, timeout=300)
    if done.returncode != expect:
        raise AssertionError(f"{script} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def world(variables):
    own = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return own | {name: str(value) for name, value in variables.items()}


def declared(file):
    """The parameters of each candidate, as the declarations have them; the lock file holds no YAML parser."""
    text = (EXAMPLE / file).read_text()
    common = pairs(re.search(r"^  params: \{(.*)\}$", text, re.MULTILINE)[1])
    return {name: common | pairs(inner) for name, inner in re.findall(r"^    (\w+): \{params: \{(.*)\}\}$", text, re.MULTILINE)}


def pairs(inner):
    values = (part.split(": ") for part in inner.split(", "))
    return {name: json.loads(value) if re.match(r"[\d-]", value) else value for name, value in values}


def make_features(students, folder):
    folder.mkdir()
    (folder / "params.json").write_text("{}")
    run("src/features.py", VISHWA_INPUT_STUDENTS=students, VISHWA_PARAMS=folder / "params.json",
        VISHWA_OUTPUT_TRAIN=folder / "train.csv", VISHWA_OUTPUT_TEST=folder / "test.csv", VISHWA_OUTPUT_ENCODING=folder / "encoding.json")
    return folder


def train(params, folder, source=EXAMPLE, **more):
    """Trains on the shared features; returns the metrics. The model is in folder/model."""
    (folder / "model").mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(params))
    run("src/train.py", source=source, VISHWA_PARAMS=folder / "params.json", VISHWA_MODEL_DIR=folder / "model", VISHWA_METRICS=folder / "metrics.json",
        VISHWA_INPUT_TRAIN=FEATURES / "train.csv", VISHWA_INPUT_TEST=FEATURES / "test.csv", VISHWA_INPUT_ENCODING=FEATURES / "encoding.json", **more)
    return json.loads((folder / "metrics.json").read_text())


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def setUpModule():
    global WORK, FEATURES, PARAMS, METRICS, STUDENTS
    work = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(work.cleanup)
    WORK = pathlib.Path(work.name)
    with open(EXAMPLE / "data" / "students.csv", newline="") as file:
        STUDENTS = list(csv.DictReader(file))
    FEATURES = make_features(EXAMPLE / "data" / "students.csv", WORK / "features")
    PARAMS = declared("vishwa/training.yaml")
    METRICS = {name: train(PARAMS[name], WORK / name) for name in CANDIDATES}


def held_out():
    """The students of the test part, as src/encoding.py splits them."""
    in_test = runpy.run_path(str(EXAMPLE / "src" / "encoding.py"))["in_test"]
    return {row["student_id"] for row in STUDENTS if in_test(row["student_id"])}


class Data(unittest.TestCase):
    def test_generator_makes_the_committed_bytes(self):
        made = subprocess.run([sys.executable, "data/generate.py"], cwd=EXAMPLE, env=world({}), capture_output=True, check=True).stdout
        self.assertEqual(hashlib.sha256(made).hexdigest(), hashlib.sha256((EXAMPLE / "data" / "students.csv").read_bytes()).hexdigest())


class Features(unittest.TestCase):
    def rewritten(self, name, rows):
        path = WORK / f"{name}.csv"
        with open(path, "w", newline="") as file:
            out = csv.DictWriter(file, STUDENTS[0].keys(), lineterminator="\n")
            out.writeheader()
            out.writerows(rows)
        return make_features(path, WORK / name)

    def test_held_out_rows_teach_the_encoding_nothing(self):
        test = held_out()
        strange = [row | ({"hours_studied": "24", "past_score": "", "course": "design"} if row["student_id"] in test else {}) for row in STUDENTS]
        again = self.rewritten("strange", strange)
        for name in ("encoding.json", "train.csv"):
            self.assertEqual((again / name).read_bytes(), (FEATURES / name).read_bytes(), name)
        self.assertNotEqual((again / "test.csv").read_bytes(), (FEATURES / "test.csv").read_bytes())

    def test_gaps_are_filled_with_the_training_median(self):
        test, fitted = held_out(), json.loads((FEATURES / "encoding.json").read_text())
        for name in ("hours_studied", "attendance", "past_score"):
            known = [float(row[name]) for row in STUDENTS if row[name] and row["student_id"] not in test]
            self.assertAlmostEqual(fitted["numbers"][name]["median"], statistics.median(known), msg=name)

    def test_rows_that_go_move_no_other_across_the_split(self):
        gone = set(sorted(held_out())[:100])
        fewer = self.rewritten("fewer", [row for row in STUDENTS if row["student_id"] not in gone])
        self.assertEqual((fewer / "train.csv").read_bytes(), (FEATURES / "train.csv").read_bytes())
        before, after = ((folder / "test.csv").read_text().splitlines() for folder in (FEATURES, fewer))
        self.assertEqual(len(before) - len(after), len(gone))
        self.assertLessEqual(set(after), set(before))


class Training(unittest.TestCase):
    def test_same_inputs_make_the_same_bytes(self):
        for name in CANDIDATES:
            with self.subTest(name):
                again = train(PARAMS[name], WORK / f"{name}-again", PYTHONHASHSEED=1)
                self.assertEqual(again, METRICS[name])
                self.assertEqual(contents(WORK / f"{name}-again" / "model"), contents(WORK / name / "model"))

    def test_candidates_are_good_and_one_is_better(self):
        logistic, xgboost = (METRICS[name]["test"]["roc_auc"] for name in CANDIDATES)
        self.assertGreater(min(logistic, xgboost), 0.80)
        self.assertGreater(abs(logistic - xgboost), 0.005)

    def test_metrics_are_complete(self):
        for name in CANDIDATES:
            for part in ("train", "test"):
                self.assertEqual(set(METRICS[name][part]), {"roc_auc", "accuracy", "log_loss", "brier", "f1", "rows"})
            self.assertEqual(METRICS[name]["train"]["rows"] + METRICS[name]["test"]["rows"], len(STUDENTS))

    def test_models_are_saved_in_formats_that_run_nothing(self):
        self.assertEqual(set(contents(WORK / "logistic" / "model")), {"model.skops", "encoding.json"})
        self.assertEqual(set(contents(WORK / "xgboost" / "model")), {"model.json", "encoding.json"})
        self.assertEqual(set(json.loads((WORK / "xgboost" / "model" / "model.json").read_text())), {"learner", "version"})

    def test_served_encoding_is_the_one_of_the_training(self):
        for name in CANDIDATES:
            self.assertEqual((WORK / name / "model" / "encoding.json").read_bytes(), (FEATURES / "encoding.json").read_bytes())

    def test_unknown_estimator_is_named(self):
        with self.assertRaisesRegex(AssertionError, "forest"):
            train({"estimator": "forest", "seed": 7}, WORK / "forest")


class Evaluation(unittest.TestCase):
    def test_raw_students_score_as_they_did_in_training(self):
        for name in CANDIDATES:
            with self.subTest(name):
                run("src/evaluate.py", VISHWA_MODEL_DIR=WORK / name / "model", VISHWA_INPUT_ROWS=EXAMPLE / "data" / "students.csv",
                    VISHWA_METRICS=WORK / "scores.json")
                scores = json.loads((WORK / "scores.json").read_text())
                for metric in ("roc_auc", "accuracy", "brier", "rows"):
                    self.assertAlmostEqual(scores[metric], METRICS[name]["test"][metric], places=4, msg=metric)


class Steps(unittest.TestCase):
    def test_better_params_change_one_candidate_for_the_better(self):
        better = declared("steps/better-params/vishwa/training.yaml")
        self.assertEqual(better["logistic"], PARAMS["logistic"])
        self.assertNotEqual(better["xgboost"], PARAMS["xgboost"])
        tuned = train(better["xgboost"], WORK / "tuned")
        self.assertGreater(tuned["test"]["roc_auc"], METRICS["xgboost"]["test"]["roc_auc"])

    def test_pickle_step_saves_a_pickle_under_an_innocent_name(self):
        source = WORK / "careless"
        shutil.copytree(EXAMPLE / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(EXAMPLE / "steps" / "pickle", source, dirs_exist_ok=True)
        train(PARAMS["logistic"], WORK / "pickled", source=source)
        self.assertEqual((WORK / "pickled" / "model" / "model.json").read_bytes()[:1], b"\x80")


class Served:
    """One served model, on a port of its own."""

    def __init__(self, model):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        serving = WORK / "serving.json"
        serving.write_text('{"environment": "staging", "threshold": 0.5}')
        params = WORK / "serving-params.json"
        params.write_text('{"stack": "staging"}')
        variables = world({"VISHWA_MODEL_DIR": model, "VISHWA_PORT": self.port, "VISHWA_INPUT_STAGING": serving, "VISHWA_PARAMS": params})
        self.process = subprocess.Popen([sys.executable, "src/serve.py"], cwd=EXAMPLE, env=variables, stderr=subprocess.PIPE, text=True)

    def ready(self, within=60):
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.ask("GET", "/v2/health/ready")[0] == 200
            except OSError:
                time.sleep(0.05)
        return False

    def ask(self, method, path, body=None, **headers):
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            wire.request(method, path, body=body, headers=headers)
            answer = wire.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            wire.close()

    def infer(self, inputs):
        return self.ask("POST", "/v2/models/enrollment/infer", json.dumps({"inputs": inputs}))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        with self.process.stderr:
            return self.process.wait(timeout=20)


def tensor(name, datatype, data):
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def question(rows):
    """Rows of the CSV as raw tensors, a gap as null."""
    def column(name, read):
        return [read(row[name]) if row[name] else None for row in rows]

    return [tensor(name, "FP64", column(name, float)) for name in ("age", "hours_studied", "attendance", "past_score", "prior_enrollments")] + [
        tensor(name, "BOOL", column(name, "true".__eq__)) for name in ("part_time_job", "internet")] + [
        tensor(name, "BYTES", column(name, str)) for name in ("region", "course", "parental_education")]


def offline(name):
    """The chances that the saved model gives the held-out rows, without serve.py."""
    import numpy

    with open(FEATURES / "test.csv", newline="") as file:
        rows = numpy.array([row[:-1] for row in list(csv.reader(file))[1:]], dtype=float)
    if name == "xgboost":
        from xgboost import XGBClassifier

        model = XGBClassifier()
        model.load_model(WORK / name / "model" / "model.json")
    else:
        import skops.io

        model = skops.io.load(WORK / name / "model" / "model.skops", trusted=[])
    return model.predict_proba(rows)[:, 1]


class Serving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.served = {name: Served(WORK / name / "model") for name in CANDIDATES}
        for name, served in cls.served.items():
            cls.addClassCleanup(served.stop)
            if not served.ready():
                raise AssertionError(f"the {name} model does not become ready")

    def test_raw_answers_score_as_they_do_offline(self):
        test = held_out()
        rows = [row for row in STUDENTS if row["student_id"] in test]
        for name, served in self.served.items():
            with self.subTest(name):
                status, answer = served.infer(question(rows))
                self.assertEqual(status, 200, answer)
                probability, enrolls = answer["outputs"]
                for on, off in zip(probability["data"], offline(name), strict=True):
                    self.assertAlmostEqual(on, off, places=6)
                self.assertEqual(enrolls["data"], [p >= 0.5 for p in probability["data"]])
                self.assertEqual((probability["datatype"], enrolls["datatype"], probability["shape"]), ("FP64", "BOOL", [len(rows)]))

    def test_the_demo_question_is_answered(self):
        for name, served in self.served.items():
            with self.subTest(name):
                status, answer = served.ask("POST", "/v2/models/enrollment/infer", (EXAMPLE / "steps" / "ask.json").read_bytes())
                self.assertEqual((status, answer["id"], answer["outputs"][1]["data"]), (200, "two students", [True, False]))

    def test_metadata_names_every_raw_field(self):
        status, about = self.served["xgboost"].ask("GET", "/v2/models/enrollment")
        self.assertEqual((status, {field["name"] for field in about["inputs"]}), (200, set(STUDENTS[0]) - {"student_id", "enrolled"}))
        self.assertEqual(about["parameters"], {"environment": "staging", "threshold": 0.5})
        for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/enrollment/ready"):
            self.assertEqual(self.served["xgboost"].ask("GET", path)[0], 200, path)

    def test_malformed_requests_are_refused_with_their_reason(self):
        good = question(STUDENTS[:2])
        age = good[0]
        for why, body in {
            "no JSON": "{",
            "no object": "[]",
            "no inputs": "{}",
            "no tensors": json.dumps({"inputs": []}),
            "unknown field": json.dumps({"inputs": good + [tensor("enrolled", "BOOL", [True, True])]}),
            "twice": json.dumps({"inputs": good + [age]}),
            "datatype": json.dumps({"inputs": [age | {"datatype": "BYTES"}] + good[1:]}),
            "shape": json.dumps({"inputs": [age | {"shape": [3]}] + good[1:]}),
            "no shape": json.dumps({"inputs": [tensor("age", "FP64", [20]) | {"shape": None}]}),
            "lengths": json.dumps({"inputs": [tensor("age", "FP64", [20])] + good[1:]}),
            "text for a number": json.dumps({"inputs": [tensor("age", "FP64", ["twenty", "twenty"])]}),
            "boolean for a number": json.dumps({"inputs": [tensor("age", "FP64", [True, False])]}),
            "not a number": '{"inputs": [{"name": "age", "datatype": "FP64", "shape": [1], "data": [NaN]}]}',
            "number for a text": json.dumps({"inputs": [tensor("course", "BYTES", [1, 2])]}),
            "nobody": json.dumps({"inputs": [tensor("age", "FP64", [])]}),
            "name is not text": json.dumps({"inputs": [age | {"name": ["age"]}]}),
            "datatype is not text": json.dumps({"inputs": [age | {"datatype": ["FP64"]}]}),
            "too large a number": json.dumps({"inputs": [tensor("age", "INT64", [10**400])]}),
            "too deep": "[" * 100_000 + "]" * 100_000,
        }.items():
            with self.subTest(why):
                try:
                    status, answer = self.served["logistic"].ask("POST", "/v2/models/enrollment/infer", body)
                except http.client.RemoteDisconnected:
                    self.fail("the connection is dropped without an answer")
                self.assertEqual((status, list(answer)), (400, ["error"]))
                self.assertTrue(answer["error"])

    def test_paths_and_sizes_are_bounded(self):
        served = self.served["logistic"]
        self.assertEqual(served.ask("GET", "/v2/models/other")[0], 404)
        self.assertEqual(served.ask("POST", "/v2/models/other/infer", "{}")[0], 404)
        self.assertEqual(served.ask("POST", "/v2/models/enrollment/infer", None, **{"Content-Length": str(1 << 30)})[0], 413)
        self.assertEqual(served.ask("POST", "/v2/models/enrollment/infer", io.BytesIO(b"{}"), **{"Transfer-Encoding": "chunked"})[0], 411)

    def test_asked_to_end_it_ends_well(self):
        served = Served(WORK / "xgboost" / "model")
        self.assertTrue(served.ready())
        self.assertEqual(served.stop(), 0)

    def test_a_model_of_unknown_types_is_not_loaded(self):
        import skops.io

        folder = WORK / "stranger"
        folder.mkdir()
        shutil.copy(FEATURES / "encoding.json", folder)
        (folder / "model.skops").write_bytes(skops.io.dumps(Served.__new__(Served)))
        served = Served(folder)
        self.assertFalse(served.ready())
        with served.process.stderr as said:
            self.assertIn("not trusted", said.read())
        self.assertNotEqual(served.process.wait(timeout=20), 0)


if __name__ == "__main__":
    unittest.main()
