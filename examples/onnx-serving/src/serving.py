"""The model as MLServer loads it: ONNX, by onnxruntime, without scikit-learn."""

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri

from src.energy import NUMBERS, TEXTS, tensors


class Energy(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(await get_model_uri(self._settings), options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        asked = {tensor.name: tensor for tensor in payload.inputs}
        missing = [name for name in NUMBERS + TEXTS if name not in asked]
        if missing or len(asked) != len(NUMBERS + TEXTS):
            raise InferenceError(f"want one tensor for each of {', '.join(NUMBERS + TEXTS)}; missing: {', '.join(missing) or 'none'}")
        columns = {name: NumpyCodec.decode_input(asked[name]) for name in NUMBERS}
        columns |= {name: StringCodec.decode_input(asked[name]) for name in TEXTS}
        said = self.session.run(None, tensors(columns))[0].reshape(-1)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("kwh_m2", said)])
