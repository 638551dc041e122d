"""Reference of the service's pre-processing, in Pillow and NumPy.

The Go code in `inference/picture/preprocess.go` does the same; golden tensors made from this file hold it to
that. The order is fixed:

    EXIF orientation -> alpha over white -> 16 bits to 8 -> trim -> resize -> colour -> invert -> scale

Everything up to `invert` is done on 8-bit values, so that two implementations can agree exactly but
for the rounding inside the resize.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}
COLORS = ("GRAY", "RGB", "BGR", "RGBA")
LAYOUTS = ("NCHW", "NHWC", "CHW", "HWC")
RESIZES = ("stretch", "contain", "cover")
INVERTS = ("never", "always", "auto")

INK = 32  # a pixel is ink when its luma is further than this from the border's


def preprocess(
    data: bytes,
    *,
    width: int,
    height: int,
    color: str = "GRAY",
    resize: str = "stretch",
    filter: str = "bicubic",
    layout: str = "NCHW",
    scale: float = 1 / 255,
    mean=(0.0,),
    std=(1.0,),
    invert: str = "never",
    trim: bool = False,
    margin: int = 0,
) -> np.ndarray:
    """Turns an encoded picture into the model's FP32 tensor, batch dimension 1 included.

    `mean` and `std` hold one value, or one a channel in the order of `color`.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is none of {LAYOUTS}")
    pixels = prepare(
        decode(data, keep_alpha=color == "RGBA"),
        width=width, height=height, color=color, resize=resize, filter=filter,
        invert=invert, trim=trim, margin=margin,
    )
    values = pixels.astype(np.float64) * scale
    values = (values - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)
    values = values.astype(np.float32)
    if layout in ("NCHW", "CHW"):
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None] if layout.startswith("N") else values)


def decode(data: bytes, keep_alpha: bool = False) -> Image.Image:
    """Decodes to 8 bits, upright: "L" or "RGB", or "RGBA" where alpha is to be kept."""
    image = Image.open(io.BytesIO(data))
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey; Pillow itself takes the high byte of 16-bit colour
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if keep_alpha:
        return image.convert("RGBA")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "L" else image.convert("RGB")


def prepare(
    image: Image.Image,
    *,
    width: int,
    height: int,
    color: str = "GRAY",
    resize: str = "stretch",
    filter: str = "bicubic",
    invert: str = "never",
    trim: bool = False,
    margin: int = 0,
) -> np.ndarray:
    """Everything between decoding and scaling: a decoded picture to uint8 [height, width, channels]."""
    if color not in COLORS:
        raise ValueError(f"color {color!r} is none of {COLORS}")
    if resize not in RESIZES:
        raise ValueError(f"resize {resize!r} is none of {RESIZES}")
    if filter not in FILTERS:
        raise ValueError(f"filter {filter!r} is none of {tuple(FILTERS)}")
    if invert not in INVERTS:
        raise ValueError(f"invert {invert!r} is none of {INVERTS}")
    if margin and not (trim or resize == "contain"):
        raise ValueError("margin needs trim or resize: contain")
    inner = (width - 2 * margin, height - 2 * margin)
    if margin < 0 or min(inner) < 1:
        raise ValueError(f"margin {margin} leaves nothing of {width}x{height}")

    gray = luma(image) if trim or invert == "auto" else None
    border = lower_median(ring(gray)) if gray is not None else 0
    fill = border_color(image) if trim else black(image)
    if trim:
        image = trimmed(image, gray, border, fill)
    image = resized(image, inner, resize, FILTERS[filter], fill)
    if margin:
        canvas = Image.new(image.mode, (width, height), fill)
        canvas.paste(image, (margin, margin))
        image = canvas

    pixels = in_color(image, color)
    if invert == "always" or (invert == "auto" and border > 127):
        pixels = pixels.copy()
        pixels[..., :3] = 255 - pixels[..., :3]  # an alpha channel stays as it is
    return pixels


def luma(image: Image.Image) -> np.ndarray:
    """ITU-R 601 luma, rounded as Pillow's "L": uint8 [height, width]. Alpha counts as over white."""
    if image.mode == "L":
        return np.asarray(image)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image).convert("RGB")
    rgb = np.asarray(image).astype(np.uint32)
    weighted = rgb[..., 0] * 19595 + rgb[..., 1] * 38470 + rgb[..., 2] * 7471 + 0x8000
    return (weighted >> 16).astype(np.uint8)


def ring(plane: np.ndarray) -> np.ndarray:
    """The outermost pixels of a plane, each once, in no particular order."""
    height, width = plane.shape
    if height <= 2 or width <= 2:
        return plane.reshape(-1)
    return np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])


def lower_median(values: np.ndarray) -> int:
    middle = (values.size - 1) // 2
    return int(np.partition(values, middle)[middle])


def border_color(image: Image.Image):
    """The lower median of the border, channel by channel, in the form Pillow wants a colour."""
    if image.mode == "L":
        return lower_median(ring(np.asarray(image)))
    planes = np.asarray(image)
    return tuple(lower_median(ring(planes[..., c])) for c in range(planes.shape[2]))


def black(image: Image.Image):
    return {"L": 0, "RGB": (0, 0, 0), "RGBA": (0, 0, 0, 255)}[image.mode]


def trimmed(image: Image.Image, gray: np.ndarray, border: int, fill) -> Image.Image:
    """Cuts to the square around the ink; the picture itself where there is no ink."""
    ink = np.abs(gray.astype(np.int16) - border) > INK
    columns, rows = np.flatnonzero(ink.any(0)), np.flatnonzero(ink.any(1))
    if columns.size == 0:
        return image
    x0, y0 = int(columns[0]), int(rows[0])
    w, h = int(columns[-1]) - x0 + 1, int(rows[-1]) - y0 + 1
    side = max(w, h)
    left, top = x0 - (side - w) // 2, y0 - (side - h) // 2
    # Image.crop would fill with black what lies outside of the picture.
    square = Image.new(image.mode, (side, side), fill)
    box = (max(left, 0), max(top, 0), min(left + side, image.width), min(top + side, image.height))
    square.paste(image.crop(box), (box[0] - left, box[1] - top))
    return square


def resized(image: Image.Image, size: tuple[int, int], how: str, method, fill) -> Image.Image:
    if how == "stretch":
        return image.resize(size, method)
    if how == "cover":
        return ImageOps.fit(image, size, method)
    # As ImageOps.pad, but a very long picture keeps at least one pixel instead of vanishing.
    width, height = size
    if image.width * height > width * image.height:
        height = max(1, round(image.height / image.width * width))
    elif image.width * height < width * image.height:
        width = max(1, round(image.width / image.height * height))
    small = image.resize((width, height), method)
    canvas = Image.new(image.mode, size, fill)
    canvas.paste(small, (round((size[0] - width) * 0.5), round((size[1] - height) * 0.5)))
    return canvas


def in_color(image: Image.Image, color: str) -> np.ndarray:
    """uint8 [height, width, channels], the channels in the order of `color`."""
    if color == "GRAY":
        return luma(image)[..., None]
    pixels = np.asarray(image.convert("RGBA" if color == "RGBA" else "RGB"))
    return pixels[..., ::-1] if color == "BGR" else pixels
