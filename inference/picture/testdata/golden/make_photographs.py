#!/usr/bin/env python3
"""Makes the photographs and reference values of inference/picture/photograph_test.go.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install pillow==13.0.0 numpy
    npm ci --ignore-scripts
    /tmp/golden/bin/python inference/picture/testdata/golden/make_photographs.py

They are large enough to be read by libvips, and drawn here. The references are made as those of make_golden.py; where
the picture was compressed with loss, only their mean counts.
"""

from __future__ import annotations

import ctypes
import io
import pathlib
import sys

import numpy as np
from PIL import Image, ImageDraw

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "training"))

import pictures as pic  # noqa: E402
import preprocess  # noqa: E402
import store  # noqa: E402

PHOTOGRAPHS = HERE / "photographs"
EXACT, MEAN = "each", "mean"
MODEL = 8  # the side of the test models' input

files: dict[str, bytes] = {}
cases: list[dict] = []
values: list[bytes] = []


def photograph(width: int, height: int, seed: int, noise: float = 3) -> Image.Image:
    """Clouds of every size, things with edges in front of them, and a sensor's noise."""
    random = np.random.default_rng(seed)
    planes, strength = np.full((height, width, 3), 120.0), 60.0
    for octave in range(1, 9):
        shape = (max(2, 2**octave * height // width + 1), 2**octave + 1, 3)
        coarse = random.normal(0, 1, shape).astype(np.float32)
        fine = np.stack([np.asarray(Image.fromarray(coarse[..., c]).resize((width, height))) for c in range(3)], axis=-1)
        planes += strength * (0.4 * fine + 0.6 * fine.mean(axis=-1, keepdims=True))
        strength *= 0.75
    planes += random.normal(0, noise, (height, width, 1))
    image = Image.fromarray(planes.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for i in range(40):
        x, y, size = random.integers(0, width), random.integers(0, height), int(random.integers(width // 60, width // 9))
        color = tuple(int(v) for v in random.integers(0, 256, 3))
        if i % 3 == 0:
            draw.ellipse((x, y, x + size, y + size // 2), fill=color)
        elif i % 3 == 1:
            draw.rectangle((x, y, x + size // 3, y + size), fill=color)
        else:
            draw.line((x, y, x + size, y - size), fill=color, width=max(1, size // 30))
    return image


def woven(width: int, height: int) -> Image.Image:
    """Fine stripes and checks at full contrast, which alias where a picture is made smaller carelessly."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x // 2 + y // 2) % 2, (x // 3) % 2, ((x + 2 * y) // 5) % 2]
    return Image.fromarray(np.stack([p * 255 for p in planes], axis=-1).astype(np.uint8))


def page(width: int, height: int) -> Image.Image:
    """A digit on paper, unevenly lit."""
    ink = np.asarray(pic.digit(width, height)).astype(float) / 255
    light = 230 - 25 * np.linspace(0, 1, width)[None, :] - 10 * np.linspace(0, 1, height)[:, None]
    values = 30 + (light - 30) * ink + np.random.default_rng(5).normal(0, 2, (height, width))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


def saved(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def case(name: str, compare=MEAN, **options):
    options = {"color": "RGB", **options}
    image = preprocess.decode(files[name], keep_alpha=options["color"] == "RGBA")
    cases.append({"image": name, "compare": compare, **options})
    values.append(np.ascontiguousarray(preprocess.prepare(image, **options)).tobytes())


def deep_avif(image: Image.Image, bits: int) -> bytes:
    """An AVIF of more than 8 bits, which Pillow does not write; libvips does."""
    [library] = (HERE.parents[3] / "node_modules" / "@img").glob("sharp-libvips-*/lib/libvips-cpp*")
    vips = ctypes.CDLL(str(library))
    vips.vips_init(b"make_photographs")
    samples = np.asarray(image).astype(np.uint16) * 257
    make = vips.vips_image_new_from_memory_copy
    make.restype = ctypes.c_void_p
    size = ctypes.c_size_t(samples.nbytes)
    ushort, av1, rgb16 = 2, 4, 25
    handle = ctypes.c_void_p(make(samples.tobytes(), size, image.width, image.height, 3, ushort))
    wide, data, length = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
    end = ctypes.c_void_p(None)
    vips.vips_copy(handle, ctypes.byref(wide), b"interpretation", rgb16, end)
    options = (b"bitdepth", bits, b"compression", av1, b"Q", 80)
    if vips.vips_heifsave_buffer(wide, ctypes.byref(data), ctypes.byref(length), *options, end):
        vips.vips_error_buffer.restype = ctypes.c_char_p
        raise RuntimeError(vips.vips_error_buffer().decode())
    return ctypes.string_at(data, length.value)


def jpegs():
    photo = photograph(1281, 963, 1)
    files["420.jpg"] = saved(photo, "JPEG", quality=75)
    files["444-progressive.jpg"] = saved(photo.crop((7, 5, 806, 604)), "JPEG", subsampling=0, quality=75, progressive=True)
    files["422.jpg"] = saved(photo.crop((200, 300, 703, 701)), "JPEG", subsampling=1, quality=80)
    files["grey.jpg"] = saved(photo.convert("L").crop((100, 100, 601, 402)), "JPEG", quality=75)
    files["woven.jpg"] = saved(woven(517, 389), "JPEG", quality=70)
    files["page.jpg"] = saved(page(1201, 901), "JPEG", quality=75)
    for method in preprocess.FILTERS:
        case("420.jpg", width=64, height=64, filter=method)
        case("444-progressive.jpg", width=40, height=31, filter=method)
    for how in preprocess.RESIZES:
        case("420.jpg", width=71, height=32, resize=how, color="BGR")
        case("420.jpg", width=32, height=71, resize=how, filter="lanczos")
        case("420.jpg", width=150, height=100, resize=how)
        case("page.jpg", width=28, height=28, resize=how, trim=True, margin=2, invert="auto", color="GRAY")
    case("420.jpg", width=64, height=64, resize="contain", margin=5, invert="always")
    case("420.jpg", width=64, height=48, trim=True)
    case("422.jpg", width=48, height=48)
    case("422.jpg", width=130, height=100)
    for size in (24, 48, 100):
        case("woven.jpg", width=size, height=size)
        case("grey.jpg", width=size, height=size, color="GRAY", filter="area")
    case("page.jpg", width=28, height=28, invert="auto", color="GRAY")


def orientations():
    photo = photograph(403, 301, 2)
    for value in range(1, 9):
        exif = Image.Exif()
        exif[274] = value
        name = f"exif-{value}.jpg"
        files[name] = saved(photo, "JPEG", quality=60, exif=exif)
        case(name, width=24, height=24)
        case(name, width=20, height=30, resize="cover")
        case(name, width=33, height=20, resize="contain", filter="bilinear")
        if value in (5, 6):
            files[f"exif-{value}.avif"] = saved(photo, "AVIF", quality=50, exif=exif)
            case(f"exif-{value}.avif", width=40, height=30)


def others():
    photo = photograph(640, 480, 6)
    clear = pic.with_alpha(photo)
    files["lossy.webp"] = saved(photo, "WEBP", quality=70)
    files["lossy-alpha.webp"] = saved(clear, "WEBP", quality=70)
    files["lossless.webp"] = saved(photo.crop((0, 0, 240, 180)), "WEBP", lossless=True)
    files["420.avif"] = saved(photo, "AVIF", quality=55)
    files["444.avif"] = saved(photo, "AVIF", quality=55, subsampling="4:4:4")
    files["alpha.avif"] = saved(clear, "AVIF", quality=55)
    files["grey.avif"] = saved(photo.convert("L"), "AVIF", quality=55, subsampling="4:0:0")
    files["sequence.avif"] = saved(photo, "AVIF", quality=45, save_all=True, append_images=[photo.rotate(180)])
    for bits in (10, 12):
        files[f"{bits}-bits.avif"] = deep_avif(photo.crop((60, 50, 361, 250)), bits)
    for name in list(files):
        if name.endswith((".avif", ".webp")) and "exif" not in name:
            exact = EXACT if name == "lossless.webp" else MEAN
            case(name, exact, width=48, height=36)
            case(name, exact, width=36, height=36, resize="cover", filter="area", color="GRAY")
    for name in ("lossy-alpha.webp", "alpha.avif"):
        case(name, width=50, height=50, color="RGBA")
    small = photograph(240, 180, 4, noise=1)
    files["rgb.png"] = saved(small, "PNG", optimize=True)
    files["grey.png"] = saved(small.convert("L"), "PNG", optimize=True)
    files["rgba.png"] = saved(pic.with_alpha(small), "PNG", optimize=True)
    for name, color in (("rgb.png", "RGB"), ("grey.png", "GRAY"), ("rgba.png", "RGBA"), ("rgba.png", "RGB")):
        case(name, EXACT, width=120, height=180, color=color)
        case(name, EXACT, width=50, height=41, color=color, resize="cover")


def main():
    for part in (jpegs, orientations, others):
        part()
    for name in files:
        case(name, EXACT if name.endswith(".png") else MEAN, width=MODEL, height=MODEL)
    store.store(PHOTOGRAPHS, files, "photographs.json", cases, "photographs.gz", values)


if __name__ == "__main__":
    main()
