"""The model: an image's tensor in, scores out."""

from __future__ import annotations

import numpy as np
import onnxruntime

LABELS = "0123456789"


class Model:
    """An ONNX classifier that runs on the calling thread: there is a worker for each core already."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.output = self._session.get_outputs()[0].name
        self.height, self.width = self._session.get_inputs()[0].shape[2:]

    def scores(self, tensor: np.ndarray) -> np.ndarray:
        """The scores of a tensor [1, 1, height, width]: FP32 [classes]."""
        return self._session.run(None, {self._input: tensor})[0][0]
