"""Makes the models of the engine's tests, a repository in this directory, and expected.json beside them; and the proof of providers.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    /tmp/venv/bin/python make_models.py

Every model that works is run here with Python's ONNX Runtime on the four pictures of `pixels`, pre-processed with
NumPy; the Go tests make the same pictures and must get the same outputs.
"""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
repository = HERE
SIZE = 8
PICTURES = 4
NUMPY = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.FLOAT16: np.float16,
         TensorProto.UINT8: np.uint8}
NAMES = {"float32": "FP32", "float64": "FP64", "float16": "FP16", "uint8": "UINT8", "int64": "INT64", "bool": "BOOL"}
expected: dict[str, dict] = {}


def pixels(k: int, channels: int) -> np.ndarray:
    """Picture k: uint8 [SIZE, SIZE, channels]."""
    y, x, c = np.meshgrid(np.arange(SIZE), np.arange(SIZE), np.arange(channels), indexing="ij")
    return ((x * 7 + y * 13 + c * 29 + k * 41 + x * y * (k + 1)) % 256).astype(np.uint8)


def weights(*shape: int, dtype=np.float32) -> np.ndarray:
    n = int(np.prod(shape))
    return (np.sin(np.arange(1, n + 1) * 1.7) * 0.5).reshape(shape).astype(dtype)


def constant(name: str, value: np.ndarray):
    return numpy_helper.from_array(np.ascontiguousarray(value), name)


def save(name: str, nodes, inputs, outputs, initializers=(), version=1, opset=17, config="", labels="", domains=()) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), name, list(inputs), list(outputs), list(initializers))
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=imports, producer_name="make_models.py")
    model.ir_version = 8
    write(name, model.SerializeToString(), version, config, labels)
    return model


def write(name: str, data: bytes, version=1, config="", labels="") -> None:
    directory = repository / name / str(version)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(data)
    if config:
        (repository / name / "config.yaml").write_text(config)
    if labels:
        (repository / name / "labels.txt").write_text(labels)


def value(name: str, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def record(name: str, feed, batched=True, version=1, fixed=1, names=None) -> None:
    """Runs the model on each picture; feed(k) is its input without the batch dimension."""
    session = onnxruntime.InferenceSession(HERE / name / str(version) / "model.onnx", providers=["CPUExecutionProvider"])
    runs = []
    for k in range(PICTURES):
        tensor = feed(k)
        if batched:
            tensor = np.concatenate([tensor[None], np.zeros((fixed - 1, *tensor.shape), tensor.dtype)])
        others = {i.name: np.zeros([1 if isinstance(d, str) else d for d in i.shape], np.float32)
                  for i in session.get_inputs()[1:]}
        wanted = names or [spec.name for spec in session.get_outputs()]
        outputs = session.run(wanted, {session.get_inputs()[0].name: tensor, **others})
        runs.append([output(o, name, batched, fixed) for o, name in zip(outputs, wanted)])
    expected[f"{name}/{version}"] = {"channels": int(feed.channels), "runs": runs}


def output(o, name: str, batched: bool, fixed: int) -> dict:
    if isinstance(o, list):  # of a map for each image
        o = np.array([list(scores.values()) for scores in o], np.float32)
    if batched and o.ndim and o.shape[0] == fixed:
        o = np.asarray(o[0])
    words = {float("inf"): "Infinity", float("-inf"): "-Infinity"}
    if o.dtype.kind in "OU":
        return {"name": name, "datatype": "BYTES", "shape": list(o.shape), "data": [str(v) for v in o.reshape(-1)]}
    data = [None] if o.size > 100_000 else [
        "NaN" if v != v else words.get(v, v) for v in np.asarray(o, np.float64).reshape(-1).tolist()]
    return {"name": name, "datatype": NAMES[str(o.dtype)], "shape": list(o.shape), "data": data}


def feeder(channels: int, layout="NCHW", dtype=np.float32, scale=1 / 255, mean=0.0, std=1.0):
    def feed(k: int) -> np.ndarray:
        values = (pixels(k, channels).astype(np.float64) * scale - np.asarray(mean)) / np.asarray(std)
        values = values.transpose(2, 0, 1) if layout == "NCHW" else values
        return np.ascontiguousarray(values.astype(np.float32).astype(dtype))
    feed.channels = channels
    return feed


def classifier(channels: int, classes: int, dtype=np.float32, tail=()):
    """Nodes from `x` (NCHW) to `logits` [N, classes], and their weights."""
    w = weights(4, channels, 3, 3, dtype=dtype)
    dense = weights(4 * SIZE * SIZE, classes, dtype=dtype)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Flatten", ["relu"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["logits"]),
        *tail,
    ]
    return nodes, [constant("w", w), constant("dense", dense)]


def layouts_and_datatypes() -> None:
    nodes, init = classifier(3, 5)
    save("nchw", nodes, [value("x", ["N", 3, SIZE, SIZE])], [value("logits", ["N", 5])], init,
         labels="red\r\ngreen\r\nblue\r\nwhite\r\nblack\r\n")
    (HERE / "nchw" / "2").mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "nchw" / "1" / "model.onnx", HERE / "nchw" / "2" / "model.onnx")
    (HERE / "nchw" / "2" / "labels.txt").write_text("a\nb\nc\nd\ne")
    record("nchw", feeder(3))
    record("nchw", feeder(3), version=2)

    turn = helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2])
    save("nhwc", [turn, *nodes], [value("image", ["N", SIZE, SIZE, 3])], [value("logits", ["M", 5])], init)
    record("nhwc", feeder(3, "NHWC"))

    for name, element in (("fp16", TensorProto.FLOAT16), ("fp64", TensorProto.DOUBLE)):
        dense = weights(SIZE * SIZE, 5, dtype=NUMPY[element])
        save(name, [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "dense"], ["logits"])],
             [value("x", ["N", 1, SIZE, SIZE], element)], [value("logits", ["N", 5], element)], [constant("dense", dense)])
        record(name, feeder(1, dtype=NUMPY[element]))

    save("uint8", [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
                   helper.make_node("Transpose", ["float"], ["x"], perm=[0, 3, 1, 2]), *nodes],
         [value("image", ["N", SIZE, SIZE, 3], TensorProto.UINT8)], [value("logits", ["N", 5])], init)
    record("uint8", feeder(3, "NHWC", np.uint8, scale=1))


def batches() -> None:
    nodes, init = classifier(1, 5)
    for name, n in (("batch1", 1), ("batch4", 4)):
        save(name, nodes, [value("x", [n, 1, SIZE, SIZE])], [value("logits", [n, 5])], init)
        record(name, feeder(1), fixed=n)
    axis = constant("axis", np.array([0], np.int64))
    add, drop = (helper.make_node("Unsqueeze", ["chw", "axis"], ["x"]), helper.make_node("Squeeze", ["logits", "axis"], ["y"]))
    save("nobatch", [add, *nodes, drop], [value("chw", [1, SIZE, SIZE])], [value("y", [5])], [*init, axis])
    record("nobatch", feeder(1), batched=False)
    axis = constant("axis", np.array([1], np.int64))
    save("gray3d", [helper.make_node("Unsqueeze", ["nhw", "axis"], ["x"]), *nodes],
         [value("nhw", ["N", SIZE, SIZE])], [value("logits", ["N", 5])], [*init, axis])
    feed = lambda k: feeder(1)(k)[0]
    feed.channels = 1
    record("gray3d", feed)


def outputs() -> None:
    image = [value("x", ["N", 1, SIZE, SIZE])]
    for name, op in (("probabilities", "Softmax"), ("logsoftmax", "LogSoftmax")):
        nodes, init = classifier(1, 5, tail=[helper.make_node(op, ["logits"], ["y"], axis=1)])
        save(name, nodes, image, [value("y", ["N", 5])], init)
        record(name, feeder(1))

    nodes, init = classifier(1, 10, tail=[helper.make_node("Reshape", ["logits", "shape"], ["y"])])
    save("spatial", nodes, image, [value("y", ["N", 10, 1, 1])], [*init, constant("shape", np.array([-1, 10, 1, 1], np.int64))])
    record("spatial", feeder(1))

    nodes, init = classifier(1, 1)
    save("regression", nodes, image, [value("logits", ["N", 1])], init)
    record("regression", feeder(1))
    nodes, init = classifier(1, 3)
    save("vector", nodes, image, [value("logits", ["N", 3])], init, config="output: {kind: regression}\n")
    record("vector", feeder(1))
    save("scalar", [helper.make_node("ReduceMean", ["chw"], ["y"], keepdims=0)], [value("chw", [1, SIZE, SIZE])], [value("y", [])])
    record("scalar", feeder(1), batched=False)

    nodes, init = classifier(1, 5, tail=[
        helper.make_node("ArgMax", ["logits"], ["best"], axis=1, keepdims=0),
        helper.make_node("Greater", ["logits", "zero"], ["positive"])])
    save("several", nodes, image,
         [value("best", ["N"], TensorProto.INT64), value("logits", ["N", 5]), value("positive", ["N", 5], TensorProto.BOOL)],
         [*init, constant("zero", np.array(0, np.float32))],
         config="output:\n  name: logits\n  activation: sigmoid\n")
    record("several", feeder(1))

    nodes, init = classifier(1, 3, tail=[helper.make_node("Div", ["logits", "divisor"], ["y"])])
    save("nan", [*nodes, ], image, [value("y", ["N", 3])],
         [*init, constant("divisor", np.array([1, np.nan, 0], np.float32))])
    record("nan", feeder(1))

    save("huge", [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest")], image,
         [value("y", ["N", 1, 400, 400])], [constant("scales", np.array([1, 1, 50, 50], np.float32))])
    record("huge", feeder(1))
    save("segmentation", [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], image,
         [value("y", ["N", 2, "H", "W"])], [constant("w", weights(2, 1, 3, 3))])
    record("segmentation", feeder(1))
    save("boxes", [helper.make_node("NonZero", ["flat"], ["nz"]), helper.make_node("Flatten", ["dark"], ["flat"]),
                   helper.make_node("Greater", ["x", "half"], ["dark"])][::-1], image,
         [value("nz", [2, "found"], TensorProto.INT64)], [constant("half", np.array(0.5, np.float32))])
    record("boxes", feeder(1))
    nodes, init = classifier(1, 5, tail=[helper.make_node("SequenceConstruct", ["logits"], ["sequence"])])
    sequence = helper.make_value_info("sequence", helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 5])))
    save("sequence", nodes, image, [sequence, value("logits", ["N", 5])], init)
    record("sequence", feeder(1), names=["logits"])
    save("sequenceonly", nodes, image, [sequence], init)
    save("strings", [helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
                     helper.make_node("Flatten", ["mean"], ["flat"]),
                     helper.make_node("Cast", ["flat"], ["y"], to=TensorProto.STRING)], image,
         [value("y", ["N", 1], TensorProto.STRING)])


def awkward_outputs() -> None:
    """Outputs whose shapes the file does not tell, or not truly, and 16-bit floats."""
    nodes, init = classifier(1, 5)
    total = helper.make_node("ReduceSum", ["logits"], ["y"], keepdims=0)
    save("scalarunknown", [*nodes, total], [value("x", [1, 1, SIZE, SIZE])], [value("y", None), value("logits", None)], init)
    record("scalarunknown", feeder(1))
    save("scalaruint8", [helper.make_node("ReduceMax", ["image"], ["y"], keepdims=0)],
         [value("image", [1, SIZE, SIZE], TensorProto.UINT8)], [value("y", [], TensorProto.UINT8)])
    record("scalaruint8", feeder(1, dtype=np.uint8, scale=1), batched=False)

    half = helper.make_node("Cast", ["logits"], ["y"], to=TensorProto.FLOAT16)
    for name, shape in (("fp16open", ["M", "K"]), ("fp16unknown", None)):
        save(name, [*nodes, half], [value("x", ["N", 1, SIZE, SIZE])], [value("y", shape, TensorProto.FLOAT16)], init)
        record(name, feeder(1))

    x, logits = value("x", ["N", 1, SIZE, SIZE]), value("logits", ["N", 5])
    save("listedtwice", nodes, [x], [logits, logits], init)
    record("listedtwice", feeder(1), names=["logits"])
    save("passthrough", nodes, [x], [logits, x], init)
    record("passthrough", feeder(1))
    # As many rows as there are dark pixels; neither dimension has a name, like the batch.
    save("found", [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("Less", ["flat", "half"], ["dark"]),
                   helper.make_node("NonZero", ["dark"], ["nz"]), helper.make_node("Transpose", ["nz"], ["y"])],
         [value("x", [None, 1, SIZE, SIZE])], [value("y", [None, 2], TensorProto.INT64)],
         [constant("half", np.array(0.5, np.float32))])
    record("found", feeder(1))
    white_rows()


def white_rows() -> None:
    """As many boxes as there are white rows, of which the warm-up's pictures have none, as they have nothing to detect; in
    `first` the first row always counts."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[3], keepdims=0),
             helper.make_node("Greater", ["mean", "bright"], ["white"]),
             helper.make_node("Or", ["white", "always"], ["row"]),
             helper.make_node("NonZero", ["row"], ["nz"]), helper.make_node("Transpose", ["nz"], ["found"]),
             helper.make_node("Slice", ["found", "one", "three", "one"], ["y"])]  # without the picture's number
    for name, n, always in (("rows", "N", 0), ("rows4", 4, 0), ("first", "N", 1)):
        mask = np.arange(SIZE) < always
        save(name, nodes, [value("x", [n, 1, SIZE, SIZE])], [value("y", ["found", 2], TensorProto.INT64)],
             [constant("bright", np.array(0.9, np.float32)), constant("always", mask[None, None]),
              constant("one", np.array([1], np.int64)), constant("three", np.array([3], np.int64))])
        record(name, feeder(1), fixed=n if isinstance(n, int) else 1)


def sklearn_outputs() -> None:
    """A label and scores, as scikit-learn's classifiers give them: the scores as a sequence of maps."""
    classes = ["ant", "bee", "cat", "dog"]
    weight = weights(4, SIZE * SIZE)
    classifier = helper.make_node(
        "LinearClassifier", ["flat"], ["label", "scores"], domain="ai.onnx.ml", classlabels_strings=classes,
        coefficients=weight.reshape(-1).tolist(), intercepts=[0.1, 0.2, 0.3, 0.4], multi_class=1, post_transform="SOFTMAX")
    zipped = helper.make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_strings=classes)
    maps = helper.make_value_info("probabilities", helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))))
    save("zipmap", [helper.make_node("Flatten", ["x"], ["flat"]), classifier, zipped], [value("x", ["N", 1, SIZE, SIZE])],
         [value("label", ["N"], TensorProto.STRING), maps], domains=["ai.onnx.ml"])
    record("zipmap", feeder(1), names=["label", "probabilities"])

    nodes, init = classifier_of_deviation()
    save("nanblack", nodes, [value("x", ["N", 1, SIZE, SIZE])], [value("y", ["N", 3])], init)
    record("nanblack", feeder(1))


def classifier_of_deviation():
    """Probabilities of a picture that is divided by its deviation, as some exporters standardise: NaN for a black one."""
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]),
             helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[1]),
             helper.make_node("Sub", ["flat", "mean"], ["centred"]),
             helper.make_node("ReduceL2", ["centred"], ["deviation"], axes=[1]),
             helper.make_node("Div", ["centred", "deviation"], ["standard"]),
             helper.make_node("MatMul", ["standard", "dense"], ["logits"]),
             helper.make_node("Softmax", ["logits"], ["y"], axis=1)]
    return nodes, [constant("dense", weights(SIZE * SIZE, 3))]


def configurations() -> None:
    nodes, init = classifier(3, 5)
    pool = [helper.make_node("GlobalAveragePool", ["x"], ["mean"]), helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "dense"], ["logits"])]
    dense = [constant("dense", weights(3, 5))]
    open_size = [value("x", ["N", 3, "H", "W"])]
    save("opensize", pool, open_size, [value("logits", ["N", 5])], dense, config=f"input:\n  size: [{SIZE}, {SIZE}]\n")
    record("opensize", feeder(3))
    # Values in a row, and a grey picture alone: two dimensions, which only a size tells of.
    row = [helper.make_node("MatMul", ["x", "dense"], ["logits"])]
    save("row", row, [value("x", ["N", SIZE * SIZE])], [value("logits", ["N", 5])], [constant("dense", weights(SIZE * SIZE, 5))],
         config=f"input: {{size: [{SIZE}, {SIZE}]}}\n")
    flat = lambda k: feeder(1)(k).reshape(-1)
    flat.channels = 1
    record("row", flat)
    save("rowcolor", row, [value("x", ["N", 3 * SIZE * SIZE])], [value("logits", ["N", 5])],
         [constant("dense", weights(3 * SIZE * SIZE, 5))], config=f"input: {{size: [{SIZE}, {SIZE}], layout: NHWC}}\n")
    flat = lambda k: feeder(3, "NHWC")(k).reshape(-1)
    flat.channels = 3
    record("rowcolor", flat)
    save("plane", row, [value("x", [SIZE, SIZE])], [value("logits", [SIZE, 2])], [constant("dense", weights(SIZE, 2))],
         config=f"input: {{size: [{SIZE}, {SIZE}]}}\noutput: {{kind: none}}\n")
    plane = lambda k: feeder(1)(k)[0]
    plane.channels = 1
    record("plane", plane, batched=False)

    save("allopen", pool, [value("x", ["N", "C", "H", "W"])], [value("logits", ["N", 5])], dense)
    save("noshape", pool, [value("x", None)], [value("logits", ["N", 5])], dense)
    save("nosize", pool, open_size, [value("logits", ["N", 5])], dense)

    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    save("imagenet", nodes, [value("x", ["N", 3, SIZE, SIZE])], [value("logits", ["N", 5])], init,
         config=f"input: {{mean: {mean}, std: {std}, color: RGB, layout: NCHW}}\n")
    record("imagenet", feeder(3, mean=mean, std=std))

    save("bgr", nodes, [value("x", ["N", 3, SIZE, SIZE])], [value("logits", ["N", 5])], init, config="input: {color: BGR}\n")
    blue_first = lambda k: feeder(3)(k)[::-1].copy()
    blue_first.channels = 3
    record("bgr", blue_first)
    nodes, init = classifier(4, 5)
    save("rgba", nodes, [value("x", ["N", 4, SIZE, SIZE])], [value("logits", ["N", 5])], init)
    record("rgba", feeder(4))
    # Gives back the tensor itself, of any size and colour: for tests of what pre-processing makes.
    save("echo", [helper.make_node("Identity", ["x"], ["y"])], [value("x", ["N", "H", "W", "C"])],
         [value("y", ["N", "H", "W", "C"])], config=f"input: {{size: [{SIZE}, {SIZE}], layout: NHWC, color: RGB, scale: 1}}\n")
    record("echo", feeder(3, "NHWC", scale=1))

    nodes, init = classifier(1, 5, tail=[helper.make_node("Add", ["logits", "sum"], ["y"]),
                                         helper.make_node("ReduceSum", ["other", "axes"], ["sum"], keepdims=0)][::-1])
    two = [value("x", ["N", 1, SIZE, SIZE]), value("other", ["N", 1, SIZE, SIZE])]
    init = [*init, constant("axes", np.array([0, 1, 2, 3], np.int64))]
    save("twoinputs", nodes, two, [value("y", ["N", 5])], init)
    save("twoinputsnamed", nodes, two, [value("y", ["N", 5])], init, config="input:\n  name: x\n")
    record("twoinputsnamed", feeder(1))


def scalar(name: str, value, dtype):
    return numpy_helper.from_array(np.array(value, dtype), name)


def endless(name: str, image) -> None:
    """Classifies, but for pictures whose first pixel is white: then it counts to 2^40 first."""
    nodes, init = classifier(1, 5, tail=[
        helper.make_node("Slice", ["x", "zeros", "ones", "axes"], ["corners"]),
        helper.make_node("ReduceMax", ["corners"], ["corner"], keepdims=0),
        helper.make_node("Greater", ["corner", "white"], ["is_white"]),
        helper.make_node("Where", ["is_white", "many", "one"], ["times"]),
        helper.make_node("Loop", ["times", "yes", "zero"], ["counted"], body=helper.make_graph(
            [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["before", "step"], ["after"])], "body",
            [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("before", [])],
            [value("go_on", [], TensorProto.BOOL), value("after", [])], [scalar("step", 0, np.float32)])),
        helper.make_node("Add", ["logits", "counted"], ["y"])])
    save(name, nodes, image, [value("y", ["N", 5])], [
        *init, constant("zeros", np.array([0, 0], np.int64)), constant("ones", np.array([1, 1], np.int64)),
        constant("axes", np.array([2, 3], np.int64)), scalar("white", 0.9, np.float32),
        scalar("many", 1 << 40, np.int64), scalar("one", 1, np.int64),
        scalar("yes", True, np.bool_), scalar("zero", 0, np.float32)])
    record(name, feeder(1))


def picky(name: str, n) -> None:
    """Classifies, but a picture whose first pixel is white is an error of the run."""
    nodes, init = classifier(1, 5, tail=[
        helper.make_node("Slice", ["x", "zeros", "ones", "axes"], ["corner"]),
        helper.make_node("Greater", ["corner", "white"], ["is_white"]),
        helper.make_node("Cast", ["is_white"], ["index4"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["index4", "flat_shape"], ["index"]),
        helper.make_node("Gather", ["nothing", "index"], ["added"]),
        helper.make_node("Add", ["logits", "added"], ["y"])])
    save(name, nodes, [value("x", [n, 1, SIZE, SIZE])], [value("y", [n, 5])], [
        *init, constant("zeros", np.array([0, 0], np.int64)), constant("ones", np.array([1, 1], np.int64)),
        constant("axes", np.array([2, 3], np.int64)), constant("white", np.array(0.9, np.float32)),
        constant("flat_shape", np.array([-1], np.int64)), constant("nothing", np.zeros((1, 5), np.float32))])
    record(name, feeder(1), fixed=n if isinstance(n, int) else 1)


def decides(name: str, image) -> None:
    """Classifies, but by the negative logits where all pictures of a run together are bright."""
    branch = lambda op, out: helper.make_graph([helper.make_node(op, ["logits"], [out])], op, [], [value(out, ["N", 5])])
    nodes, init = classifier(1, 5, tail=[
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0), helper.make_node("Greater", ["mean", "bright"], ["is_bright"]),
        helper.make_node("If", ["is_bright"], ["y"], then_branch=branch("Neg", "no"), else_branch=branch("Identity", "yes"))])
    save(name, nodes, image, [value("y", ["N", 5])], [*init, constant("bright", np.array(0.6, np.float32))])
    record(name, feeder(1))


def hostile() -> None:
    nodes, init = classifier(1, 5)
    image, logits = [value("x", ["N", 1, SIZE, SIZE])], [value("logits", ["N", 5])]
    endless("endless", image)
    picky("picky", "N")
    picky("picky4", 4)
    # These take several images, but mix them up, or take them only one by one.
    mixing = classifier(1, 5, tail=[helper.make_node("ReduceMean", ["logits"], ["mean"], axes=[0], keepdims=1),
                                    helper.make_node("Add", ["logits", "mean"], ["y"])])
    save("mixing", mixing[0], image, [value("y", ["N", 5])], mixing[1])
    record("mixing", feeder(1))
    decides("decides", image)
    label = helper.make_node("ArgMax", ["y"], ["label"], axis=1, keepdims=0)
    save("mixinglabels", [*mixing[0], label], image, [value("label", ["N"], TensorProto.INT64)], mixing[1])
    record("mixinglabels", feeder(1))
    save("mixing4", mixing[0], [value("x", [4, 1, SIZE, SIZE])], [value("y", [4, 5])], mixing[1])
    record("mixing4", feeder(1), fixed=4)
    single = classifier(1, 5, tail=[helper.make_node("Reshape", ["logits", "one_five"], ["y"])])
    save("single", single[0], image, [value("y", ["N", 5])], [*single[1], constant("one_five", np.array([1, 5], np.int64))])
    record("single", feeder(1))
    whole = save("truncated", nodes, image, logits, init).SerializeToString()
    write("truncated", whole[: len(whole) // 2])
    write("text", b"this is no model, it is a text file\n")
    write("empty", b"")
    save("unknownop", [helper.make_node("Frobnicate", ["x"], ["logits"])], image, logits)
    save("flat", [helper.make_node("Identity", ["x"], ["y"])], [value("x", ["N", 20])], [value("y", ["N", 20])])
    save("fived", [helper.make_node("Identity", ["x"], ["y"])], [value("x", ["N", 1, 3, 8, 8])], [value("y", ["N", 1, 3, 8, 8])])
    save("noinput", [helper.make_node("Identity", ["c"], ["y"])], [], [value("y", [2])], [constant("c", np.zeros(2, np.float32))])
    save("int64", [helper.make_node("Identity", ["x"], ["y"])], [value("x", ["N", 1, 8, 8], TensorProto.INT64)],
         [value("y", ["N", 1, 8, 8], TensorProto.INT64)])
    save("fivechannels", [helper.make_node("GlobalAveragePool", ["x"], ["y"])], [value("x", ["N", 5, 8, 8])],
         [value("y", ["N", 5, 1, 1])], config="input: {layout: NCHW}\n")
    save("labels", nodes, image, logits, init, labels="one\ntwo\nthree\n")
    save("key", nodes, image, logits, init, config="input:\n  colour: GRAY\n")
    save("size", nodes, image, logits, init, config="input:\n  scale: 1\n  size: [32, 32]\n")
    huge = TensorProto(name="dense", data_type=TensorProto.FLOAT, dims=[4 * SIZE * SIZE, 1 << 32], raw_data=b"\0" * 64)
    save("terabytes", nodes, image, [value("logits", None)], [init[0], huge])
    save("wideinput", [helper.make_node("Identity", ["x"], ["y"])], [value("x", [1, 3, 100000, 100000])], [value("y", None)])
    for name, location in (("external_inside", "weights.bin"), ("external_parent", "../weights.bin"),
                           ("external_sibling", "../../external_inside/1/weights.bin"), ("external_absolute", "/etc/passwd"),
                           ("external_missing", "missing.bin"), ("external_memory", "*/_ORT_MEM_ADDR_/*")):
        dense = TensorProto(name="dense", data_type=TensorProto.FLOAT, dims=init[1].dims, data_location=TensorProto.EXTERNAL)
        for key, text in (("location", location), ("offset", "0"), ("length", str(len(init[1].raw_data)))):
            dense.external_data.add(key=key, value=text)
        save(name, nodes, image, logits, [init[0], dense])
    (HERE / "external_inside" / "1" / "weights.bin").write_bytes(init[1].raw_data)
    (HERE / "external_parent" / "weights.bin").write_bytes(init[1].raw_data)
    record("external_inside", feeder(1))
    # The same, hidden in a branch that is never taken.
    hidden = helper.make_graph([helper.make_node("Constant", [], ["c"], value=TensorProto(
        data_type=TensorProto.FLOAT, dims=[5], data_location=TensorProto.EXTERNAL,
        external_data=[onnx.StringStringEntryProto(key="location", value="/etc/passwd")]))], "hidden", [], [value("c", [5])])
    plain = helper.make_graph([helper.make_node("Identity", ["logits"], ["p"])], "plain", [], [value("p", ["N", 5])])
    save("external_hidden", [*nodes, helper.make_node("If", ["no"], ["y"], then_branch=hidden, else_branch=plain)], image,
         [value("y", ["N", 5])], [*init, constant("no", np.array(False))])


def proof() -> None:
    """The model by which the engine finds out whether an execution provider works."""
    graph = helper.make_graph([helper.make_node("Conv", ["x", "ones"], ["y"], pads=[1, 1, 1, 1])], "probe",
                              [value("x", [1, 1, 4, 4])], [value("y", [1, 1, 4, 4])],
                              [constant("ones", np.ones((1, 1, 3, 3), np.float32))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="make_models.py")
    model.ir_version = 8
    (HERE.parents[1] / "models" / "proof.onnx").write_bytes(model.SerializeToString())


def ruinous() -> None:
    """Models that end the process that loads them, or never let it go on: a repository of their own."""
    nodes, init = classifier(1, 5)
    image = [value("x", ["N", 1, SIZE, SIZE])]
    # The one division of integers that a processor refuses beside that by zero.
    save("divides", [*nodes, helper.make_node("Div", ["least", "minus"], ["quotient"]),
                     helper.make_node("Cast", ["quotient"], ["float"], to=TensorProto.FLOAT),
                     helper.make_node("Add", ["logits", "float"], ["y"])], image, [value("y", ["N", 5])],
         [*init, constant("least", np.array([-(1 << 63)], np.int64)), constant("minus", np.array([-1], np.int64))])
    # Minutes of multiplying constants while the model is read, when nothing can stop it.
    products = [helper.make_node("MatMul", [f"m{k}", "m0"], [f"m{k + 1}"]) for k in range(200)]
    save("folds", [helper.make_node("ConstantOfShape", ["side"], ["m0"]), *products, *nodes,
                   helper.make_node("ReduceSum", ["m200"], ["sum"], keepdims=0),
                   helper.make_node("Add", ["logits", "sum"], ["y"])], image, [value("y", ["N", 5])],
         [*init, constant("side", np.array([3000, 3000], np.int64))])
    # Four megabytes more in each of 2^40 rounds.
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["before"], ["after"]),
         helper.make_node("Identity", ["block"], ["kept"])], "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("before", None)],
        [value("go_on", [], TensorProto.BOOL), value("after", None), value("kept", None)])
    save("grows", [*nodes, helper.make_node("ConstantOfShape", ["side"], ["block"]),
                   helper.make_node("Loop", ["many", "yes", "logits"], ["y", "all"], body=body)], image,
         [value("y", ["N", 5])],
         [*init, constant("side", np.array([1000, 1000], np.int64)), scalar("many", 1 << 40, np.int64),
          scalar("yes", True, np.bool_)])


def gpu() -> None:
    """What ONNX Runtime runs on GPUs alone: there is no BiasAdd for the CPU."""
    width = 320  # one of the three that it takes
    save("biasadd",
         [helper.make_node("Reshape", ["x", "sequence"], ["pixels"]),
          helper.make_node("BiasAdd", ["pixels", "bias", "skip"], ["sum"], domain="com.microsoft"),
          helper.make_node("Reshape", ["sum", "row"], ["y"])],
         [value("x", [1, 1, 16, 20])], [value("y", [1, width])],
         [constant("sequence", np.array([1, 1, width], np.int64)), constant("row", np.array([1, width], np.int64)),
          constant("bias", weights(width)), constant("skip", weights(1, 1, width))], domains=["com.microsoft"])


if __name__ == "__main__":
    for old in [*HERE.iterdir(), HERE.parent / "ruinous", HERE.parent / "gpu"]:
        if old.is_dir():
            shutil.rmtree(old)
    layouts_and_datatypes()
    batches()
    outputs()
    awkward_outputs()
    sklearn_outputs()
    configurations()
    hostile()
    proof()
    repository = HERE.parent / "ruinous"
    ruinous()
    repository = HERE.parent / "gpu"
    gpu()
    text = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in expected.items())
    (HERE / "expected.json").write_text("{\n" + text + "\n}\n")
