"""Serves a model repository with MLServer, for the tests of remote models:

    python serve.py REPOSITORY GRPC_PORT HTTP_PORT

Each <model>/<version>/model.onnx runs in Python's ONNX Runtime. MLServer is started in this process, by asyncio's own
loop, and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import pathlib
import sys

import numpy as np
import onnxruntime
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor, ResponseOutput

DATATYPES = {
    "tensor(float)": ("FP32", np.float32), "tensor(double)": ("FP64", np.float64),
    "tensor(float16)": ("FP16", np.float16), "tensor(uint8)": ("UINT8", np.uint8),
    "tensor(int64)": ("INT64", np.int64), "tensor(bool)": ("BOOL", np.bool_), "tensor(string)": ("BYTES", None),
}


def metadata(values) -> list[MetadataTensor]:
    def shape(value) -> list[int]:
        return [d if isinstance(d, int) else -1 for d in value.shape]

    return [MetadataTensor(name=v.name, datatype=DATATYPES[v.type][0], shape=shape(v)) for v in values]


class OnnxModel(MLModel):
    async def load(self) -> bool:
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, providers=["CPUExecutionProvider"])
        self.inputs = metadata(self.session.get_inputs())
        self.outputs = metadata(self.session.get_outputs())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        types = {v.name: DATATYPES[v.type][1] for v in self.session.get_inputs()}
        feed = {i.name: np.array(i.data.root, dtype=types[i.name]).reshape(i.shape) for i in payload.inputs}
        print("running", self.name, flush=True)
        values = await asyncio.to_thread(self.session.run, None, feed)
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[
                ResponseOutput(name=o.name, datatype=o.datatype, shape=list(v.shape), data=v.flatten().tolist())
                for o, v in zip(self.outputs, map(np.asarray, values), strict=True)
            ],
        )


def models(repository: pathlib.Path) -> list[ModelSettings]:
    return [
        ModelSettings(
            name=path.parts[-3],
            implementation=OnnxModel,
            parameters=ModelParameters(uri=str(path), version=path.parts[-2]),
        )
        for path in sorted(repository.glob("*/*/model.onnx"))
    ]


async def main(repository: str, grpc_port: str, http_port: str) -> None:
    settings = Settings(
        host="127.0.0.1", grpc_port=int(grpc_port), http_port=int(http_port), metrics_endpoint=None,
        parallel_workers=0, debug=False, load_models_at_startup=False,
    )
    await MLServer(settings).start(models(pathlib.Path(repository)))


asyncio.run(main(*sys.argv[1:]))
