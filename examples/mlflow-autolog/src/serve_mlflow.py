# Serves the model of a deployment as "mlflow models serve" of MLflow 3 does: POST /invocations.
import os

import mlflow.pyfunc
import uvicorn
from mlflow.pyfunc import scoring_server

app = scoring_server.init(mlflow.pyfunc.load_model(os.environ["VISHWA_MODEL_DIR"]))
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["VISHWA_PORT"]))
