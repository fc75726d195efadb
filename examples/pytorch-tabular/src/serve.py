"""Answer questions about pumps by the Open Inference Protocol: one tensor a feature, one number a pump."""

import http.server
import json
import os

import torch

from model import FEATURES, load

MODEL = load(os.path.join(os.environ["VISHWA_MODEL_DIR"], "model.safetensors"))
INFER = "/v2/models/pumps/infer"


def answer(asked):
    tensors = {t["name"]: t["data"] for t in asked["inputs"]}
    if set(tensors) != set(FEATURES):
        raise ValueError(f"want one tensor for each of {', '.join(FEATURES)}")
    x = torch.tensor([tensors[name] for name in FEATURES], dtype=torch.float32).T
    with torch.no_grad():
        said = torch.sigmoid(MODEL(x)).tolist()
    return {"model_name": "pumps", "outputs": [{"name": "probability", "datatype": "FP32", "shape": [len(said)], "data": said}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self.say(200 if self.path == "/v2/health/ready" else 404, {})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != INFER:
            return self.say(404, {"error": f"ask {INFER}"})
        try:
            said = answer(json.loads(raw))
        except (ValueError, KeyError, TypeError) as wrong:
            return self.say(400, {"error": str(wrong)})
        self.say(200, said)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["VISHWA_PORT"])), Handler).serve_forever()
