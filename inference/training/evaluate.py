"""Measures an ONNX digit model through the reference pre-processing.

    python evaluate.py [--model ../models/mnist/1/model.onnx] [--mnist DIR] [--digits ../testdata/digits] [--latency]

The input section of the model's config.yaml is read, so that what is measured is what is served.
"""

from __future__ import annotations

import argparse
import glob
import io
import os
import time
from collections import defaultdict

import numpy as np
import onnxruntime
import yaml
from PIL import Image

from preprocess import preprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def settings(model: str, session) -> dict:
    """Arguments of preprocess: the config's input section, the size from the ONNX file."""
    path = os.path.join(os.path.dirname(model), "..", "config.yaml")
    with open(path) as f:
        section = (yaml.safe_load(f) or {}).get("input") or {}
    height, width = session.get_inputs()[0].shape[2:]
    return {"width": width, "height": height, **{k: v for k, v in section.items() if k not in ("name", "size")}}


def classes(session, tensors: list[np.ndarray]) -> np.ndarray:
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: np.concatenate(tensors[i:i + 256])})[0].argmax(1)
                           for i in range(0, len(tensors), 256)])


def mnist(folder: str, session, how: dict) -> None:
    from train import read_mnist  # needs PyTorch, which the digits alone do not

    images, labels = read_mnist(folder, "t10k")
    tensors = []
    for image in images:
        data = io.BytesIO()
        Image.fromarray(image).save(data, "PNG", compress_level=0)
        tensors.append(preprocess(data.getvalue(), **how))
    wrong = int((classes(session, tensors) != labels).sum())
    print(f"MNIST test    {100 - 100 * wrong / len(labels):6.2f} %  {wrong} of {len(labels)} wrong")


def digits(folder: str, session, how: dict, show: bool) -> None:
    files = sorted(glob.glob(os.path.join(folder, "*_*_*.*")))
    tensors = []
    for path in files:
        with open(path, "rb") as f:
            tensors.append(preprocess(f.read(), **how))
    found = classes(session, tensors)
    hits = defaultdict(list)
    for path, got in zip(files, found):
        label, kind, _ = os.path.basename(path).split("_")
        hits[kind].append(int(label) == got)
        if show and int(label) != got:
            print(f"  {os.path.basename(path)} read as {got}")
    for kind, right in sorted(hits.items()):
        print(f"{kind:12s}  {100 * np.mean(right):6.2f} %  {len(right) - sum(right)} of {len(right)} wrong")
    right = sum(hits.values(), [])
    print(f"all digits    {100 * np.mean(right):6.2f} %  {len(right) - sum(right)} of {len(right)} wrong")


def latency(session) -> None:
    name = session.get_inputs()[0].name
    for batch in (1, 32):
        x = np.random.default_rng(0).random((batch, *session.get_inputs()[0].shape[1:]), np.float32)
        times = []
        for _ in range(4000 // batch + 200):
            start = time.perf_counter()
            session.run(None, {name: x})
            times.append(time.perf_counter() - start)
        print(f"batch {batch}: median {np.median(times) * 1e6:.0f} us, {np.median(times) / batch * 1e6:.0f} us a picture, 1 thread")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.path.join(HERE, "..", "models", "mnist", "1", "model.onnx"))
    parser.add_argument("--mnist", help="folder with MNIST's test files")
    parser.add_argument("--digits", default=os.path.join(HERE, "..", "testdata", "digits"))
    parser.add_argument("--latency", action="store_true", help="time the session on one thread")
    parser.add_argument("--show", action="store_true", help="name each digit that is read wrongly")
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    how = settings(os.path.abspath(args.model), session)
    if args.mnist:
        mnist(args.mnist, session, how)
    digits(args.digits, session, how, args.show)
    if args.latency:
        latency(session)


if __name__ == "__main__":
    main()
