"""An uploaded picture of a digit to the model's input.

The same steps as the reference in `inference/training/preprocess.py` with the embedded model's settings (grey, trim,
margin 2, stretch, bicubic, invert auto), written for this one case so that few NumPy calls are left. From grey images
the tensors are equal to the reference's; colour is made grey first, so there they differ by a few of 255.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

INK = 32  # a pixel is ink when it differs from the border by more than this
MARGIN = 2
SCALE = np.float32(1 / 255)


def decode(data: bytes) -> tuple[Image.Image, str]:
    """Decodes to 8-bit grey, upright; with the media type. It raises OSError where the bytes are no image."""
    image = Image.open(io.BytesIO(data))
    media_type = Image.MIME[image.format]
    return grey(image), media_type


def grey(image: Image.Image) -> Image.Image:
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    if image.mode == "L" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16-bit grey
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image.convert("RGB").convert("L")


def tensor(image: Image.Image, width: int, height: int) -> np.ndarray:
    """The model's input of a grey image: FP32 [1, 1, height, width], values from 0 to 1."""
    pixels = np.asarray(image)
    border = border_median(pixels)
    inner = trimmed(image, pixels, border).resize((width - 2 * MARGIN, height - 2 * MARGIN), Image.Resampling.BICUBIC)
    canvas = np.full((1, 1, height, width), border, np.uint8)
    canvas[0, 0, MARGIN:-MARGIN, MARGIN:-MARGIN] = inner
    if border > 127:
        np.subtract(255, canvas, out=canvas)
    return canvas * SCALE


def border_median(pixels: np.ndarray) -> int:
    """The lower median of the outermost pixels."""
    ring = np.concatenate((pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]))
    ring.sort()
    return int(ring[(ring.size - 1) // 2])


def trimmed(image: Image.Image, pixels: np.ndarray, border: int) -> Image.Image:
    """The square around the ink; the image itself where there is none."""
    ink = (pixels > border + INK) if border + INK <= 255 else np.zeros(pixels.shape, bool)
    if border > INK:
        ink |= pixels < border - INK
    columns, rows = ink.any(0).nonzero()[0], ink.any(1).nonzero()[0]
    if columns.size == 0:
        return image
    left, top = int(columns[0]), int(rows[0])
    width, height = int(columns[-1]) - left + 1, int(rows[-1]) - top + 1
    side = max(width, height)
    square = np.full((side, side), border, np.uint8)
    x, y = (side - width) // 2, (side - height) // 2
    # Not only the ink's box: what lies beside it in the square belongs to the picture too.
    x0, y0 = max(left - x, 0), max(top - y, 0)
    cut = pixels[y0 : top - y + side, x0 : left - x + side]
    x1, y1 = x0 - (left - x), y0 - (top - y)
    square[y1 : y1 + cut.shape[0], x1 : x1 + cut.shape[1]] = cut
    return Image.fromarray(square)
