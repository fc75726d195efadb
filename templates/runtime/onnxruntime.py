"""Serves one model of ONNX by onnxruntime, for one deployment: the REST interface of the Open Inference Protocol, at the port that it is given.

It is asked through Vishwa's serving host, which bounds what is sent. Operators are those of onnxruntime itself: no library of others is loaded.
"""
import http.server
import json
import os
import sys

import numpy
import onnxruntime

KINDS = {
    "BOOL": ("tensor(bool)", numpy.bool_), "BYTES": ("tensor(string)", numpy.object_),
    "UINT8": ("tensor(uint8)", numpy.uint8), "UINT16": ("tensor(uint16)", numpy.uint16), "UINT32": ("tensor(uint32)", numpy.uint32), "UINT64": ("tensor(uint64)", numpy.uint64),
    "INT8": ("tensor(int8)", numpy.int8), "INT16": ("tensor(int16)", numpy.int16), "INT32": ("tensor(int32)", numpy.int32), "INT64": ("tensor(int64)", numpy.int64),
    "FP16": ("tensor(float16)", numpy.float16), "FP32": ("tensor(float)", numpy.float32), "FP64": ("tensor(double)", numpy.float64),
}
NAMES = {tensor: name for name, (tensor, _) in KINDS.items()}


class Wrong(Exception):
    """A request that cannot be answered, and why."""


def described(tensors):
    return [{"name": t.name, "datatype": NAMES[t.type], "shape": [d if isinstance(d, int) else -1 for d in t.shape]} for t in tensors]


def flat(data):
    for v in data:
        if isinstance(v, list):
            yield from flat(v)
        else:
            yield v


def tensor(given, want):
    """The array of an input, as the model takes it."""
    name, kind = given.get("name"), given.get("datatype")
    if kind not in KINDS:
        raise Wrong("input %r has the datatype %r; give one of %s" % (name, kind, ", ".join(KINDS)))
    if KINDS[kind][0] != want.type:
        raise Wrong("input %r is %s, and the model takes %s" % (name, kind, NAMES[want.type]))
    shape, data = given.get("shape"), given.get("data")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape) or not isinstance(data, list):
        raise Wrong("input %r needs shape, a list of whole numbers, and data, a list" % name)
    try:
        whole = "INT" in kind
        takes = {"BYTES": str, "BOOL": bool}.get(kind, int if whole else (int, float))
        if not all(isinstance(v, takes) and isinstance(v, bool) == (kind == "BOOL") for v in flat(data)):
            raise Wrong("input %r is %s, and its data has other values" % (name, kind) + (": give whole numbers, without a point" if whole else ""))
        if whole:  # numpy itself, up to its version 1, takes 300 for a UINT8 of 44
            of = numpy.iinfo(KINDS[kind][1])
            if not all(of.min <= v <= of.max for v in flat(data)):
                raise Wrong("input %r is %s, whose values are from %d to %d" % (name, kind, of.min, of.max))
        with numpy.errstate(over="raise"):
            return numpy.array(data, dtype=KINDS[kind][1]).reshape(shape)
    except (ValueError, TypeError, OverflowError, FloatingPointError) as e:
        raise Wrong("input %r is not %s of shape %s: %s" % (name, kind, shape, e)) from e


class Model:
    def __init__(self, name, path):
        self.name = name
        self.session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        self.inputs = {t.name: t for t in self.session.get_inputs()}
        every = self.session.get_outputs()
        self.outputs = {t.name: t for t in every if t.type in NAMES}
        odd = [t.name for t in self.inputs.values() if t.type not in NAMES]
        if odd or not self.outputs:
            sys.exit("the model takes or gives what is no tensor, %s: export it without, such as with zipmap=False" % ", ".join(odd or [t.name for t in every]))

    def metadata(self):
        return {"name": self.name, "versions": [], "platform": "onnxruntime_onnx", "inputs": described(self.inputs.values()), "outputs": described(self.outputs.values())}

    def infer(self, asked):
        if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), list) or not all(isinstance(i, dict) for i in asked["inputs"]):
            raise Wrong("the request needs inputs, a list")
        feeds = {}
        for given in asked["inputs"]:
            want = self.inputs.get(given.get("name"))
            if want is None:
                raise Wrong("the model has no input %r; it has %s" % (given.get("name"), ", ".join(self.inputs)))
            feeds[want.name] = tensor(given, want)
        lacks = [n for n in self.inputs if n not in feeds]
        if lacks:
            raise Wrong("input %s is missing" % ", ".join(lacks))
        names = list(self.outputs)
        if asked.get("outputs"):
            names = [o.get("name") if isinstance(o, dict) else None for o in asked["outputs"]]
            if not all(n in self.outputs for n in names):
                raise Wrong("the model has no such output; it has %s" % ", ".join(self.outputs))
        try:
            made = self.session.run(names, feeds)
        except Exception as e:  # onnxruntime has no kind of its own for what was asked wrongly
            raise Wrong(str(e).strip()) from e
        out = {"model_name": self.name, "outputs": [
            {"name": n, "datatype": NAMES[self.outputs[n].type], "shape": list(a.shape), "data": a.reshape(-1).tolist()} for n, a in zip(names, made)]}
        if "id" in asked:
            out["id"] = asked["id"]
        return out


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def answer(self, code, body):
        try:
            raw = json.dumps(body, allow_nan=False).encode()
        except ValueError:
            code, raw = 500, b'{"error": "the model gave a number that JSON does not have: NaN, or an infinite one"}'
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        of = "/v2/models/" + self.model.name
        found = {
            "/v2": {"name": "onnxruntime", "version": onnxruntime.__version__, "extensions": []},
            "/v2/health/live": {"live": True}, "/v2/health/ready": {"ready": True},
            of: self.model.metadata(), of + "/ready": {"name": self.model.name, "ready": True},
        }.get(self.path.split("?")[0].rstrip("/"))
        self.answer(200 if found else 404, found or {"error": "there is no " + self.path})

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True
            return self.answer(411, {"error": "the request has no Content-Length"})
        raw = self.rfile.read(int(length))
        if self.path.split("?")[0] != "/v2/models/%s/infer" % self.model.name:
            return self.answer(404, {"error": "there is no " + self.path})
        if self.headers.get("Inference-Header-Content-Length"):
            return self.answer(400, {"error": "tensors are taken as JSON, and not as binary data"})
        try:
            self.answer(200, self.model.infer(json.loads(raw)))
        except (Wrong, ValueError, TypeError, RecursionError) as e:
            self.answer(400, {"error": str(e) or "the request is no JSON"})

    def log_message(self, *_):
        pass  # the serving host logs what is asked


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


host, name, file = sys.argv[1:]
Handler.model = Model(name, os.path.join(os.environ["VISHWA_MODEL_DIR"], file))
Server((host, int(os.environ["VISHWA_PORT"])), Handler).serve_forever()
