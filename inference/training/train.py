"""Trains the digit model on MNIST and on digits of our own drawing, and exports it to ONNX.

    python train.py --mnist DIR [--out ../models/mnist/1/model.onnx]

Two steps: all training pictures are rendered once into memory, in parallel, through the service's
pre-processing (render.py); then a small net is trained on them. Same seed, same pictures, whatever
the number of processes; the weights agree on the same machine and PyTorch.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import hashlib
import math
import multiprocessing
import os
import time

import cv2
import numpy as np
import torch
from torch.nn import functional

import net
import render
import strokes

MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
HERE = os.path.dirname(os.path.abspath(__file__))
CHUNK = 2000  # pictures rendered with one random stream

# How many of a thousand training pictures are of which kind.
MIXTURE = {"native": 250, "bitmap": 260, "traced": 240, "template": 150, "font": 80, "segments": 20}

SOURCES: dict[str, list] = {}  # kind -> [(label, what to draw)]; global, so that forked processes share it


def read_mnist(folder: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, 28, 28] and labels of "train" or "t10k", checked against the published md5."""
    arrays = []
    for what, head in (("images-idx3", 16), ("labels-idx1", 8)):
        name = f"{part}-{what}-ubyte.gz"
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        if hashlib.md5(data).hexdigest() != MD5[name]:
            raise SystemExit(f"{name} is not the published file (md5 differs)")
        arrays.append(np.frombuffer(gzip.decompress(data), np.uint8, offset=head))
    return arrays[0].reshape(-1, 28, 28), arrays[1]


def traced(images: np.ndarray) -> list:
    """The pen's way through each of some MNIST digits."""
    big = np.stack([cv2.resize(i, (56, 56), interpolation=cv2.INTER_CUBIC) for i in images]) > 110
    return [strokes.trace(s) for s in strokes.thin(np.pad(big, ((0, 0), (2, 2), (2, 2))))]


def draw(job: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Renders chunk number `job[1]`, by its own random stream."""
    rng = np.random.default_rng(job)
    kinds = rng.choice(list(MIXTURE), CHUNK, p=np.array(list(MIXTURE.values())) / sum(MIXTURE.values()))
    pictures, labels = np.empty((CHUNK, net.SIZE, net.SIZE), np.uint8), np.empty(CHUNK, np.uint8)
    for i, kind in enumerate(kinds):
        pool = SOURCES[kind]
        labels[i], source = pool[rng.integers(len(pool))]
        pictures[i] = render.sample(str(kind), source, rng)
    return pictures, labels


def build(count: int, seed: int, pool) -> tuple[torch.Tensor, torch.Tensor]:
    chunks = pool.map(draw, [(seed, i) for i in range(math.ceil(count / CHUNK))], chunksize=1)
    x = torch.from_numpy(np.concatenate([c[0] for c in chunks]))
    y = torch.from_numpy(np.concatenate([c[1] for c in chunks])).long()
    return x[:, None], y


def accuracy(model, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        hits = sum((model(x[i:i + 1000].float() / 255).argmax(1) == y[i:i + 1000]).sum().item() for i in range(0, len(x), 1000))
    return hits / len(x)


def fit(x, y, held_out: dict, epochs: int, seed: int, rate: float, batch: int = 512):
    """AdamW along half a cosine; what is returned is the running average of the weights."""
    torch.manual_seed(seed)
    model = net.Net().to(memory_format=torch.channels_last)
    average = copy.deepcopy(model)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": .05}, {"params": plain, "weight_decay": 0}], lr=rate, foreach=True)
    per_epoch = len(x) // batch
    steps, warm, step = epochs * per_epoch, 300, 0
    started = time.time()
    for epoch in range(epochs):
        model.train()
        order, losses = torch.randperm(len(x)), 0.
        for b in range(per_epoch):
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1, step / warm) * (.5 + .5 * math.cos(math.pi * step / steps)) + 1e-6
            pick = order[b * batch:(b + 1) * batch]
            image, label = x[pick].float() / 255, y[pick]
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(image).float()
            loss = functional.cross_entropy(logits, label, label_smoothing=.03)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += loss.item()
            step += 1
            keep = min(.999, step / (step + 20))
            with torch.no_grad():
                for a, m in zip(average.state_dict().values(), model.state_dict().values()):
                    a.lerp_(m, 1 - keep) if a.is_floating_point() else a.copy_(m)
        scores = "  ".join(f"{k} {100 * accuracy(average, *v):.2f} %" for k, v in held_out.items())
        print(f"epoch {epoch + 1}/{epochs}  {time.time() - started:.0f} s  loss {losses / per_epoch:.3f}  {scores}", flush=True)
    return average


def pictures(args):
    """The training pictures, and a few thousand drawn like them from other random numbers."""
    images, labels = read_mnist(args.mnist, "train")
    fork = multiprocessing.get_context("fork")
    with fork.Pool(args.processes) as pool:
        ways = sum(pool.map(traced, np.array_split(images, 60)), [])
    SOURCES["native"] = SOURCES["bitmap"] = list(zip(labels.tolist(), images))
    SOURCES["traced"] = list(zip(labels.tolist(), ways))
    SOURCES["template"] = SOURCES["segments"] = [(d, d) for d in range(10)]
    SOURCES["font"] = render.font_glyphs()
    with fork.Pool(args.processes) as pool:  # after SOURCES, which the processes inherit
        x, y = build(args.pictures, args.seed, pool)
        dev = build(10_000, args.seed + 1_000_000, pool)
    return x, y, dev


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", required=True, help="folder with the four idx files")
    parser.add_argument("--out", default=os.path.join(HERE, "..", "models", "mnist", "1", "model.onnx"))
    parser.add_argument("--pictures", type=int, default=500_000, help="training pictures to render")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--cache", help="file that keeps the rendered pictures between runs (.npz)")
    args = parser.parse_args()
    torch.set_num_threads(args.processes)

    started = time.time()
    test_images, test_labels = read_mnist(args.mnist, "t10k")
    test = torch.from_numpy(np.stack([render.tensor(i) for i in test_images]))[:, None], torch.from_numpy(test_labels.astype(np.int64))
    if args.cache and os.path.exists(args.cache):  # for trying another net on the same pictures
        kept = np.load(args.cache)
        x, y, dev = torch.from_numpy(kept["x"]), torch.from_numpy(kept["y"]), (torch.from_numpy(kept["dx"]), torch.from_numpy(kept["dy"]))
    else:
        x, y, dev = pictures(args)
        if args.cache:
            np.savez(args.cache, x=x, y=y, dx=dev[0], dy=dev[1])
    print(f"{len(x)} pictures in {time.time() - started:.0f} s", flush=True)

    model = fit(x, y, {"MNIST test": test, "drawn": dev}, args.epochs, args.seed, args.rate)
    os.makedirs(os.path.dirname(args.out), exist_ok=True)
    net.export(model, args.out)
    macs, params = net.cost()
    print(f"{macs:,} multiply-adds, {params:,} parameters, {os.path.getsize(args.out):,} bytes, {time.time() - started:.0f} s in all")


if __name__ == "__main__":
    main()
