"""The net: a few convolutions, its cost counted, its export to ONNX.

The ONNX graph is written node by node rather than by PyTorch's exporter: names, opset and the order
of the nodes are then ours, and batch normalisation is folded into the convolutions before it.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

# (channels out, kernel, stride, padding) of each convolution.
LAYERS = ((32, 5, 2, 0), (32, 3, 1, 1), (64, 3, 2, 1), (128, 3, 2, 1), (128, 3, 1, 1))
CLASSES = 10
SIZE = 28
EPSILON = 1e-3  # added to the picture's variance: a blank picture's noise must not be blown up


class Net(nn.Module):
    """image [N,1,28,28] in 0..1 -> logits [N,10].

    The instance normalisation makes the net blind to contrast and brightness at the price of one
    cheap node. The first convolution has stride 2: it halves the picture before the costly ones.
    """

    def __init__(self, layers=LAYERS):
        super().__init__()
        self.contrast = nn.InstanceNorm2d(1, eps=EPSILON)
        body, channels, side = [], 1, SIZE
        for out, kernel, stride, padding in layers:
            body += [nn.Conv2d(channels, out, kernel, stride, padding, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
            channels, side = out, (side + 2 * padding - kernel) // stride + 1
        self.body = nn.Sequential(*body)
        self.drop = nn.Dropout(.1)
        self.head = nn.Linear(channels * side * side, CLASSES)

    def forward(self, image):
        return self.head(self.drop(self.body(self.contrast(image)).flatten(1)))


def cost(layers=LAYERS) -> tuple[int, int]:
    """Multiply-adds of one picture, and parameters once the batch normalisation is folded."""
    macs, params, channels, side = 0, 0, 1, SIZE
    for out, kernel, stride, padding in layers:
        side = (side + 2 * padding - kernel) // stride + 1
        weights = out * channels * kernel * kernel
        macs, params, channels = macs + weights * side * side, params + weights + out, out
    weights = channels * side * side * CLASSES
    return macs + weights, params + weights + CLASSES


def export(net: Net, path: str) -> None:
    """Writes the ONNX file: `image` FP32 [N,1,28,28] -> `probabilities` FP32 [N,10]."""
    net = net.eval()
    tensors = {"one": np.ones(1, np.float32), "zero": np.zeros(1, np.float32)}
    nodes = [helper.make_node("InstanceNormalization", ["image", "one", "zero"], ["x0"], epsilon=EPSILON)]
    last, n = "x0", 0
    for conv, norm in zip(net.body[0::3], net.body[1::3]):
        n += 1
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        tensors[f"w{n}"] = (conv.weight * gain[:, None, None, None]).detach().numpy()
        tensors[f"b{n}"] = (norm.bias - norm.running_mean * gain).detach().numpy()
        pad = conv.padding[0]
        nodes += [
            helper.make_node("Conv", [last, f"w{n}", f"b{n}"], [f"c{n}"], kernel_shape=list(conv.kernel_size),
                             strides=list(conv.stride), pads=[pad] * 4),
            helper.make_node("Relu", [f"c{n}"], [f"x{n}"]),
        ]
        last = f"x{n}"
    tensors["w"] = net.head.weight.detach().numpy()
    tensors["b"] = net.head.bias.detach().numpy()
    nodes += [
        helper.make_node("Flatten", [last], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="sibyl")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
