"""Answer Open Inference Protocol (v2, REST) requests about raw students.

One named tensor a field; all have the same length, one value a student. The
answer holds the probability of enrollment and the decision at the threshold that
the infrastructure's outputs give."""

import http.server
import json
import os
import pathlib
import signal
import sys
import threading

import numpy as np

import encoding
import loading

NAME = "enrollment"
MODEL = pathlib.Path(os.environ["VISHWA_MODEL_DIR"])
SPEC = encoding.load(MODEL / "encoding.json")
PARAMS = json.loads(pathlib.Path(os.environ["VISHWA_PARAMS"]).read_text())
# What the stack that the deployment names gives out: VISHWA_INPUT_<STACK>.
SERVING = json.loads(pathlib.Path(os.environ["VISHWA_INPUT_" + PARAMS["stack"].upper()]).read_text())
THRESHOLD = float(SERVING["threshold"])
MOST = 4 << 20  # bytes of a request
REQUIRED = {"age", "prior_enrollments", "region", "course", *encoding.FLAGS}  # as the dataset declares
DATATYPES = {**{n: {"FP64", "FP32", "INT64", "INT32"} for n in encoding.NUMBERS},
             **{n: {"BOOL", "BYTES"} for n in encoding.FLAGS}, **{n: {"BYTES"} for n in encoding.CATEGORIES}}


class Bad(Exception):
    """What is wrong with a request, for the one who sent it."""


def students(request):
    """The raw students that a request asks about."""
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise Bad("want an object with a list of inputs")
    columns, count = {}, None
    for tensor in request["inputs"]:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str) or tensor["name"] not in DATATYPES:
            raise Bad(f"want inputs named among {encoding.FIELDS}")
        name, data = tensor["name"], tensor.get("data")
        if name in columns:
            raise Bad(f"{name}: given twice")
        if tensor.get("datatype") not in sorted(DATATYPES[name]):
            raise Bad(f"{name}: datatype is none of {sorted(DATATYPES[name])}")
        if not isinstance(data, list) or tensor.get("shape") not in ([len(data)], [len(data), 1]):
            raise Bad(f"{name}: shape is not that of its data")
        if count not in (None, len(data)):
            raise Bad(f"{name}: {len(data)} values, and the inputs before have {count}")
        count, columns[name] = len(data), [value(name, v) for v in data]
    if not count:
        raise Bad("no students to ask about")
    for name in sorted(REQUIRED):
        if name not in columns or None in columns[name]:
            raise Bad(f"{name}: missing; only {sorted(set(encoding.FIELDS) - REQUIRED)} may be")
    return [{name: column[i] for name, column in columns.items()} for i in range(count)]


def value(name, v):
    if v is None:
        return None
    if name in encoding.NUMBERS:
        if isinstance(v, bool) or not isinstance(v, (int, float)) or not abs(v) <= 1e300:
            raise Bad(f"{name}: want a finite number")
        return v
    if name in encoding.FLAGS and isinstance(v, bool):
        return v
    known = ["true", "false"] if name in encoding.FLAGS else SPEC["categories"][name]
    if not isinstance(v, str) or v not in known:
        raise Bad(f"{name}: want values among {known}")
    return v


def infer(model, request):
    rows = np.array([encoding.encode(SPEC, s) for s in students(request)])
    p = [float(x) for x in model.predict_proba(rows)[:, 1]]
    shape = [len(p)]
    answer = {"model_name": NAME, "outputs": [
        {"name": "probability", "datatype": "FP64", "shape": shape, "data": p},
        {"name": "enrolls", "datatype": "BOOL", "shape": shape, "data": [x >= THRESHOLD for x in p]}]}
    if isinstance(request.get("id"), str):
        answer["id"] = request["id"]
    return answer


METADATA = {
    "name": NAME, "platform": "python",
    "inputs": [{"name": n, "datatype": "FP64" if n in encoding.NUMBERS else "BOOL" if n in encoding.FLAGS else "BYTES", "shape": [-1]} for n in encoding.FIELDS],
    "outputs": [{"name": "probability", "datatype": "FP64", "shape": [-1]}, {"name": "enrolls", "datatype": "BOOL", "shape": [-1]}],
    "parameters": {"environment": SERVING["environment"], "threshold": THRESHOLD},
}
GETS = {
    "/v2": {"name": "vishwa-example", "version": "1", "extensions": []},
    "/v2/health/live": {"live": True},
    "/v2/health/ready": {"ready": True},
    f"/v2/models/{NAME}": METADATA,
    f"/v2/models/{NAME}/ready": {"name": NAME, "ready": True},
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one write: apart, they wait for an acknowledgement
    model = None

    def answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        body = GETS.get(self.path.rstrip("/"))
        self.answer(200, body) if body else self.answer(404, {"error": "no such path"})

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST:
            self.close_connection = True  # the body is left unread
            return self.answer(413 if length.isdigit() else 411, {"error": f"want a body of at most {MOST} bytes with its length"})
        raw = self.rfile.read(int(length))
        if self.path != f"/v2/models/{NAME}/infer":
            return self.answer(404, {"error": "no such path"})
        try:
            self.answer(200, infer(self.model, json.loads(raw)))
        except (Bad, ValueError) as e:
            self.answer(400, {"error": str(e)})
        except RecursionError:
            self.answer(400, {"error": "the request is nested too deeply"})

    def log_message(self, *args):
        pass


def main():
    Handler.model = loading.load(MODEL)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["VISHWA_PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"serving {NAME} at threshold {THRESHOLD} for {SERVING['environment']}", file=sys.stderr)
    server.serve_forever()


main()
