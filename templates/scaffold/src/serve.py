"""Answer Open Inference Protocol requests with the model in VISHWA_MODEL_DIR."""

import http.server
import json
import os
import pathlib

WEIGHTS = json.loads((pathlib.Path(os.environ["VISHWA_MODEL_DIR"]) / "model.json").read_text())["weights"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        if self.path in ("/v2/health/live", "/v2/health/ready", "/v2/models/price/ready"):
            return self.answer(200, {})
        return self.answer(404, {"error": "no such path"})

    def do_POST(self):
        if self.path != "/v2/models/price/infer":
            return self.answer(404, {"error": "no such path"})
        try:
            request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            sizes = [float(x) for x in request["inputs"][0]["data"]]
        except (ValueError, KeyError, IndexError, TypeError) as e:
            return self.answer(400, {"error": f"want inputs[0].data, a list of sizes: {e}"})
        prices = [sum(w * (s / 100) ** k for k, w in enumerate(WEIGHTS)) for s in sizes]
        self.answer(200, {"model_name": "price", "outputs": [
            {"name": "price", "datatype": "FP64", "shape": [len(prices)], "data": prices}]})

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["VISHWA_PORT"])), Handler).serve_forever()
