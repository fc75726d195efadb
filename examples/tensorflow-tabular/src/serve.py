"""Answer as TensorFlow Serving's REST interface does: rows of features in, a prediction a row out."""

import http.server
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf  # noqa: E402

MODEL = tf.saved_model.load(os.environ["VISHWA_MODEL_DIR"], tags=["serve"])
PREDICT = MODEL.signatures["serving_default"]
FEATURES = PREDICT.structured_input_signature[1]["features"]
NAME = "/v1/models/rides"


def answer(asked):
    rows = asked["instances"]
    if not rows or any(len(row) != FEATURES.shape[1] for row in rows):
        raise ValueError(f"want rows of {FEATURES.shape[1]} numbers in instances")
    return {"predictions": PREDICT(features=tf.constant(rows, tf.float32))["rides"].numpy().tolist()}


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
        if self.path != NAME:
            return self.say(404, {"error": f"ask {NAME}"})
        self.say(200, {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != NAME + ":predict":
            return self.say(404, {"error": f"ask {NAME}:predict"})
        try:
            said = answer(json.loads(raw))
        except (ValueError, KeyError, TypeError) as wrong:
            return self.say(400, {"error": str(wrong)})
        self.say(200, said)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["VISHWA_PORT"])), Handler).serve_forever()
