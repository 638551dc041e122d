#!/usr/bin/env python3
"""Makes the images and reference values of the golden tests in inference/picture/golden_test.go.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install pillow==13.0.0 numpy
    /tmp/golden/bin/python inference/picture/testdata/golden/make_golden.py

All pictures are drawn here. The references are what inference/training/preprocess.py makes of the files with Pillow,
before scaling: uint8 [height, width, channels]. cases.json lists the cases; expected.gz holds their values one after
another.
"""

from __future__ import annotations

import io
import pathlib
import sys

import numpy as np
from PIL import Image, ImageChops

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "training"))

import pictures as pic  # noqa: E402
import preprocess  # noqa: E402
import store  # noqa: E402

IMAGES = HERE / "images"
# What the tolerance is about. Go's and libjpeg's inverse DCT round differently: luma and chroma may be off by one each,
# which can add up to three in blue ("most").
EXACT, MEAN, MOST = "each", "mean", "most"

files: dict[str, bytes] = {}
cases: list[dict] = []
values: list[bytes] = []


def saved(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def case(name: str, data: bytes, compare=EXACT, picture: Image.Image | None = None, **options):
    """One case; `picture` replaces Pillow's decoding where this service decides otherwise."""
    if name not in files:
        files[name] = data
    image = picture or preprocess.decode(data, keep_alpha=options.get("color") == "RGBA")
    options = {"width": image.width, "height": image.height, "color": "RGB", **options}
    reference = preprocess.prepare(image, **options)
    cases.append({"image": name, "compare": compare, **options})
    values.append(np.ascontiguousarray(reference).tobytes())


def resizing():
    photo = saved(pic.scene(60, 43), "PNG", optimize=True)
    for method in preprocess.FILTERS:
        case("scene.png", photo, width=31, height=20, filter=method)
        case("scene.png", photo, width=77, height=64, filter=method)
        case("scene.png", photo, width=20, height=70, filter=method, color="GRAY")
    for how in preprocess.RESIZES:
        for size in [(28, 28), (33, 14), (14, 33), (81, 60)]:
            case("scene.png", photo, width=size[0], height=size[1], resize=how)
        case("scene.png", photo, width=24, height=24, resize=how, filter="nearest", color="BGR")
    case("scene.png", photo, width=60, height=20)  # one pass only
    case("scene.png", photo, width=20, height=43)
    case("scene.png", photo, width=32, height=32, resize="contain", margin=3)
    tall = saved(pic.scene(31, 111), "PNG", optimize=True)
    for how in preprocess.RESIZES:
        case("tall.png", tall, width=26, height=30, resize=how)  # Pillow 13 makes the vertical pass first
    for size in [(1, 50), (50, 1), (1, 1), (2, 3), (3, 200)]:
        name, data = f"thin-{size[0]}x{size[1]}.png", saved(pic.scene(*size), "PNG")
        for how in preprocess.RESIZES:
            case(name, data, width=12, height=9, resize=how)
        case(name, data, width=12, height=12, trim=True, margin=1, color="GRAY", invert="auto")


def digits():
    pages = {
        "digit-28.png": pic.digit(28, 28, ink=255, paper=0),
        "digit-280.png": pic.digit(280, 280),
        "digit-wide.png": pic.digit(181, 90, ink=40, paper=200),
        "digit-color.png": pic.digit(101, 120, ink=(30, 60, 160), paper=(250, 240, 200), mode="RGB"),
        "digit-edge.png": pic.digit(120, 120).crop((40, 20, 90, 83)),
        "blank.png": Image.new("L", (40, 30), 250),
        "digit-clear.png": transparent_digit(),
    }
    for name, page in pages.items():
        data = saved(page, "PNG", optimize=True)
        case(name, data, width=28, height=28, color="GRAY", trim=True, margin=4, invert="auto")
        case(name, data, width=28, height=28, color="GRAY", invert="auto")
        case(name, data, width=28, height=28, color="GRAY", resize="contain", invert="always")
        case(name, data, width=21, height=26, color="RGB", trim=True, resize="contain", margin=1)
        case(name, data, width=21, height=26, color="RGBA", trim=True, resize="cover", filter="area", invert="auto")
    case("digit-28.png", files["digit-28.png"], color="GRAY")


def transparent_digit() -> Image.Image:
    ink = pic.digit(90, 90, ink=255, paper=0)
    page = Image.new("RGBA", ink.size, (20, 20, 20, 0))
    page.putalpha(ink)
    return page


def pngs():
    photo = pic.scene(33, 21)
    rgb, grey = np.asarray(photo).astype(int), np.asarray(photo.convert("L")).astype(int)[..., None]
    alpha = np.asarray(pic.with_alpha(photo))[..., 3:].astype(int)
    wide = lambda a: a * 257 - (a % 7) * 13 * (a > 1)  # noqa: E731  low bytes that matter
    for interlaced in (False, True):
        tail = "-interlaced" if interlaced else ""
        for depth in (1, 2, 4, 8):
            case(f"grey{depth}{tail}.png", pic.png(grey >> (8 - depth), depth, 0, interlaced))
        case(f"grey16{tail}.png", pic.png(wide(grey), 16, 0, interlaced))
        case(f"rgb8{tail}.png", pic.png(rgb, 8, 2, interlaced))
        case(f"rgb16{tail}.png", pic.png(wide(rgb), 16, 2, interlaced))
        for samples, kind, name in ((grey, 4, "grey-alpha"), (rgb, 6, "rgba")):
            both = np.concatenate([samples, alpha], axis=-1)
            case(f"{name}8{tail}.png", pic.png(both, 8, kind, interlaced))
            case(f"{name}16{tail}.png", pic.png(wide(both), 16, kind, interlaced))
    palettes(photo)
    case("grey8-key.png", pic.png(grey & 0xF0, 8, 0, trns=[0, 0x80]))
    data = pic.png(grey >> 4, 4, 0, trns=[0, 8])
    page = Image.fromarray(np.where(grey >> 4 == 8, 255, (grey >> 4) * 17)[..., 0].astype(np.uint8))
    case("grey4-key.png", data, picture=page)  # Pillow compares the key with 136, not 8
    case("rgb8-key.png", pic.png(rgb & 0xC0, 8, 2, trns=[0, 0x80, 0, 0x80, 0, 0x80]))
    rgba = saved(pic.with_alpha(photo), "PNG")
    case("fading.png", rgba, color="RGBA")
    case("fading.png", rgba, color="RGBA", width=50, height=30)
    case("fading.png", rgba, color="RGBA", width=13, height=13, resize="contain", filter="lanczos")
    case("fading.png", rgba, width=17, height=17, color="GRAY", trim=True)
    frames = [photo, ImageChops.invert(photo)]
    case("animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))


def palettes(photo: Image.Image):
    for colors, depth in ((2, 1), (4, 2), (16, 4), (256, 8)):
        indexed = photo.quantize(colors, dither=Image.Dither.NONE)
        samples, palette = np.asarray(indexed).astype(int)[..., None], indexed.getpalette("RGB")[: 3 * colors]
        case(f"palette{depth}.png", pic.png(samples, depth, 3, palette=palette))
        trns = [255 * i // (colors - 1) for i in range(colors)]
        case(f"palette{depth}-clear.png", pic.png(samples, depth, 3, palette=palette, trns=trns))
        if depth == 4:
            case("palette4-clear.png", b"", color="RGBA", picture=preprocess.decode(files["palette4-clear.png"], True))


def jpegs():
    photo = pic.scene(61, 43)
    case("444.jpg", saved(photo, "JPEG", subsampling=0, quality=92), MOST)
    case("444.jpg", files["444.jpg"], width=32, height=32)
    case("444.jpg", files["444.jpg"], color="GRAY")
    case("444-progressive.jpg", saved(photo, "JPEG", subsampling=0, quality=80, progressive=True), MOST)
    case("444-progressive.jpg", files["444-progressive.jpg"], width=40, height=24)
    case("grey.jpg", saved(photo.convert("L"), "JPEG", quality=85))
    case("grey.jpg", files["grey.jpg"], width=28, height=28, color="GRAY", trim=True, margin=2)
    case("rgb.jpg", saved(photo, "JPEG", keep_rgb=True, quality=92))
    case("restart.jpg", saved(photo, "JPEG", subsampling=0, quality=90, restart_marker_blocks=3), MOST)
    case("trailing.jpg", files["444.jpg"] + b"garbage \xff\xd8 after the end", MOST)
    case("422.jpg", saved(photo, "JPEG", subsampling=1, quality=90), MEAN)
    case("420.jpg", saved(photo, "JPEG", subsampling=2, quality=90), MEAN)
    case("420-progressive.jpg", saved(photo, "JPEG", subsampling=2, quality=70, progressive=True), MEAN)
    case("420.jpg", files["420.jpg"], MEAN, width=32, height=32, resize="cover")
    case("420-even.jpg", saved(pic.scene(64, 48), "JPEG", subsampling=2, quality=75), MEAN)
    case("420-tiny.jpg", saved(pic.scene(3, 3), "JPEG", subsampling=2, quality=90), MEAN)
    case("cmyk.jpg", saved(photo.convert("CMYK"), "JPEG", quality=92))
    case("neutral.jpg", saved(photo.convert("L").convert("RGB"), "JPEG", subsampling=2, quality=90))
    plain = files["cmyk.jpg"]
    at = plain.index(b"\xff\xee")
    case("cmyk-unmarked.jpg", plain[:at] + plain[at + 2 + int.from_bytes(plain[at + 2 : at + 4]) :])


def orientations():
    photo = pic.scene(30, 17)
    for value in range(1, 9):
        exif = Image.Exif()
        exif[274] = value
        case(f"exif-{value}.jpg", saved(photo, "JPEG", subsampling=0, quality=90, exif=exif), MOST)
        if value in (3, 6):
            case(f"exif-{value}.png", saved(photo, "PNG", exif=exif))
            case(f"exif-{value}.webp", saved(photo, "WEBP", lossless=True, exif=exif))
            case(f"exif-{value}.tif", saved(photo, "TIFF", tiffinfo={274: value}))
    exif = Image.Exif()
    exif[274] = 8
    late = pic.png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    samples = np.asarray(pic.with_alpha(photo)).astype(int)
    case("exif-8-late.png", pic.png(samples, 8, 6, late=late))
    case("exif-5-cover.jpg", files["exif-5.jpg"], width=16, height=24, resize="cover")


def gifs():
    photo = pic.scene(35, 27)
    case("plain.gif", saved(photo.quantize(32), "GIF"))
    case("interlaced.gif", saved(photo.quantize(16), "GIF", interlace=1))
    clear = photo.quantize(8)
    case("clear.gif", saved(clear, "GIF", transparency=3))
    other = ImageChops.invert(photo).quantize(8)
    case("animated.gif", saved(clear, "GIF", save_all=True, append_images=[other], duration=50))
    for transparent in (True, False):
        data = small_frame(saved(clear, "GIF", **({"transparency": 3} if transparent else {})))
        still = preprocess.decode(files["clear.gif"] if transparent else saved(clear, "GIF"))
        page = Image.new("RGB", (50, 40), (255, 255, 255))
        page.paste(still, (9, 5))
        case(f"small-frame-{'clear' if transparent else 'opaque'}.gif", data, picture=page)


def small_frame(data: bytes) -> bytes:
    """The same frame at (9, 5) of a canvas of 50 × 40."""
    out = bytearray(data)
    out[6:10] = bytes([50, 0, 40, 0])
    at = out.index(b",\0\0\0\0" + data[6:10], 13)
    out[at + 1 : at + 5] = bytes([9, 0, 5, 0])
    return bytes(out)


def webps():
    photo = pic.scene(45, 31)
    clear = pic.with_alpha(photo)
    case("lossless.webp", saved(photo, "WEBP", lossless=True))
    case("lossless-alpha.webp", saved(clear, "WEBP", lossless=True))
    case("lossless-alpha.webp", files["lossless-alpha.webp"], color="RGBA", width=20, height=20)
    case("palette.webp", saved(photo.quantize(8).convert("RGB"), "WEBP", lossless=True))
    case("lossy.webp", saved(photo, "WEBP", quality=80), MEAN)
    case("lossy-even.webp", saved(pic.scene(48, 32), "WEBP", quality=40), MEAN)
    case("lossy-alpha.webp", saved(clear, "WEBP", quality=80), MEAN)
    case("lossy-one.webp", saved(pic.scene(1, 1), "WEBP", quality=90), MEAN)
    frames = {"save_all": True, "append_images": [ImageChops.invert(photo)], "duration": 80}
    case("animated.webp", saved(photo, "WEBP", quality=70, **frames), MEAN)
    frames["append_images"] = [ImageChops.invert(clear)]
    case("animated-alpha.webp", saved(clear, "WEBP", lossless=True, **frames))


def bmps():
    photo = pic.scene(35, 22)
    for mode, name in (("1", "1"), ("L", "grey"), ("RGB", "24")):
        case(f"{name}.bmp", saved(photo.convert(mode), "BMP"))
    case("8.bmp", saved(photo.quantize(200), "BMP"))
    case("32-alpha.bmp", saved(pic.with_alpha(photo), "BMP"))
    rgb = np.asarray(photo).astype(int)
    bgr = rgb[..., ::-1].astype(np.uint8)
    case("top-down.bmp", pic.bmp(35, -22, 24, [r.tobytes() for r in bgr]))
    case("gap.bmp", pic.bmp(35, 22, 24, [r.tobytes() for r in bgr[::-1]], gap=6))
    bgrx = np.concatenate([bgr, np.zeros((22, 35, 1), np.uint8)], axis=-1)
    case("32.bmp", pic.bmp(35, 22, 32, [r.tobytes() for r in bgrx[::-1]]))
    five = (rgb[..., 0] >> 3 << 10 | rgb[..., 1] >> 3 << 5 | rgb[..., 2] >> 3).astype("<u2")
    case("16.bmp", pic.bmp(35, 22, 16, [r.tobytes() for r in five[::-1]]))
    six = (rgb[..., 0] >> 3 << 11 | rgb[..., 1] >> 2 << 5 | rgb[..., 2] >> 3).astype("<u2")
    masks = b"".join(v.to_bytes(4, "little") for v in (0xF800, 0x7E0, 0x1F))
    case("16-565.bmp", pic.bmp(35, 22, 16, [r.tobytes() for r in six[::-1]], compression=3, masks=masks))
    indexed = photo.quantize(16, dither=Image.Dither.NONE)
    rows = np.asarray(indexed)[::-1]
    colors = np.array(indexed.getpalette("RGB")[:48], np.uint8).reshape(16, 3)[:, ::-1]
    table = np.concatenate([colors, np.zeros((16, 1), np.uint8)], axis=1).tobytes()
    case("4.bmp", pic.bmp(35, 22, 4, [pic.packed4(r) for r in rows], palette=table))
    case("core.bmp", pic.bmp(35, 22, 4, [pic.packed4(r) for r in rows], palette=colors.tobytes(), core=True))
    case("rle8.bmp", pic.bmp(35, 22, 8, pic.rle8(rows), palette=table, compression=1))
    case("rle4.bmp", pic.bmp(35, 22, 4, pic.rle4(rows), palette=table, compression=2))


def tiffs():
    photo = pic.scene(37, 25)
    clear = pic.with_alpha(photo)
    kinds = {"plain": None, "lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate", "packbits": "packbits"}
    for name, compression in kinds.items():
        case(f"{name}.tif", saved(photo, "TIFF", compression=compression))
    case("predictor.tif", saved(photo, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}))
    case("grey.tif", saved(photo.convert("L"), "TIFF"))
    case("1.tif", saved(photo.convert("1"), "TIFF", compression="group4"))
    case("palette.tif", saved(photo.quantize(64), "TIFF", compression="tiff_lzw"))
    case("rgba.tif", saved(clear, "TIFF"))
    wide = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    case("grey16.tif", saved(Image.fromarray(wide), "TIFF"))
    rgb = np.asarray(photo)
    for order in "<>":
        body = (rgb.astype(np.uint16) * 257 - 90 * (rgb > 1)).astype(order + "u2").tobytes()
        tags = {258: [16] * 3, 259: [1], 262: [2], 277: [3], 278: [25], 339: [1] * 3}
        case(f"rgb16-{'le' if order == '<' else 'be'}.tif", pic.tiff(37, 25, tags, [body], order))
    strips = [rgb[y : y + 4].tobytes() for y in range(0, 25, 4)]
    case("strips.tif", pic.tiff(37, 25, {258: [8] * 3, 259: [1], 262: [2], 277: [3], 278: [4]}, strips))
    padded = np.zeros((32, 48, 3), np.uint8)
    padded[:25, :37] = rgb
    tiles = [padded[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16, 32)]
    tags = {258: [8] * 3, 259: [1], 262: [2], 277: [3], 322: [16], 323: [16]}
    case("tiles.tif", pic.tiff(37, 25, tags, tiles, tiled=True))
    odd_tiffs(photo, clear)


def odd_tiffs(photo: Image.Image, clear: Image.Image):
    case("cmyk.tif", saved(photo.convert("CMYK"), "TIFF", compression="tiff_lzw"))
    case("grey-alpha.tif", saved(clear.convert("LA"), "TIFF"))
    rgb = np.asarray(photo)
    planes = [np.ascontiguousarray(rgb[..., c]).tobytes() for c in range(3)]
    case("planar.tif", pic.tiff(37, 25, {258: [8] * 3, 259: [1], 262: [2], 277: [3], 278: [25], 284: [2]}, planes))
    indexed = photo.quantize(16, dither=Image.Dither.NONE)
    rows = b"".join(pic.packed4(r) for r in np.asarray(indexed))
    colors = np.array(indexed.getpalette("RGB")[:48]).reshape(16, 3).T.reshape(-1) * 257
    case("palette4.tif", pic.tiff(37, 25, {258: [4], 259: [1], 262: [3], 278: [25], 320: colors.tolist()}, [rows]))
    grey = np.asarray(photo.convert("L"))
    rows = b"".join(pic.packed4(r >> 4) for r in grey)
    case("grey4.tif", pic.tiff(37, 25, {258: [4], 259: [1], 262: [1], 278: [25]}, [rows]))
    case("white-is-zero.tif", pic.tiff(37, 25, {258: [8], 259: [1], 262: [0], 278: [25]}, [grey.tobytes()]))
    rgbx = np.concatenate([rgb, np.full((25, 37, 1), 7, np.uint8)], axis=-1)
    tags = {258: [8] * 4, 259: [1], 262: [2], 277: [4], 278: [25], 338: [0]}
    case("extra.tif", pic.tiff(37, 25, tags, [rgbx.tobytes()]))


def main():
    for part in (resizing, digits, pngs, jpegs, orientations, gifs, webps, bmps, tiffs):
        part()
    store.store(IMAGES, files, "cases.json", cases, "expected.gz", values)


if __name__ == "__main__":
    main()
