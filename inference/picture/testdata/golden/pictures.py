"""Writers for image files that Pillow itself does not write, and the pictures that the golden tests are about."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw


def scene(width: int, height: int, seed: int = 1) -> Image.Image:
    """Soft colours, hard edges and a little noise: what tells resize filters and chroma handling apart."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = np.stack([
        128 + 100 * np.sin(x / max(width, 2) * 5 + seed),
        128 + 100 * np.cos(y / max(height, 2) * 4 + seed),
        255 * (x + y) / max(width + height - 2, 1),
    ], axis=-1) + random.normal(0, 4, (height, width, 3))
    image = Image.fromarray(planes.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    if min(width, height) > 8:
        draw.ellipse((width * 0.2, height * 0.2, width * 0.6, height * 0.8), fill=(250, 20, 30))
        draw.rectangle((width * 0.5, height * 0.4, width * 0.9, height * 0.6), fill=(10, 10, 12))
        draw.line((0, height, width, 0), fill=(255, 255, 255), width=max(1, width // 20))
    return image


def digit(width: int, height: int, ink=0, paper=255, mode="L") -> Image.Image:
    """A figure like a 2 drawn with a thick pen, off the centre."""
    image = Image.new(mode, (width, height), paper)
    draw = ImageDraw.Draw(image)
    pen = max(1, min(width, height) // 14)
    points = [(0.35, 0.3), (0.45, 0.2), (0.6, 0.22), (0.65, 0.38), (0.5, 0.55), (0.35, 0.7), (0.7, 0.69)]
    draw.line([(px * width, py * height) for px, py in points], fill=ink, width=pen, joint="curve")
    return image


def with_alpha(image: Image.Image) -> Image.Image:
    """Fades out to the right, with a hole."""
    width, height = image.size
    alpha = np.tile(np.linspace(255, 0, width).astype(np.uint8), (height, 1))
    alpha[: height // 4, : width // 4] = 0
    alpha[height // 2 :, : width // 2] = 255
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


# --- PNG -----------------------------------------------------------------------------------------------------------

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(samples: np.ndarray, depth: int, kind: int, interlaced=False, palette=None, trns=None, late=b"") -> bytes:
    """Samples [height, width, channels] in any depth and colour type; filters 0 to 4 take turns."""
    height, width = samples.shape[:2]
    passes = [samples]
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
    raw = b"".join(png_rows(p, depth) for p in passes if p.size)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    out = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    if palette is not None:
        out += png_chunk(b"PLTE", bytes(palette))
    if trns is not None:
        out += png_chunk(b"tRNS", bytes(trns))
    packed = zlib.compress(raw, 9)
    half = len(packed) // 2
    out += png_chunk(b"IDAT", packed[:half]) + png_chunk(b"IDAT", packed[half:])
    return out + late + png_chunk(b"IEND", b"")


def png_rows(samples: np.ndarray, depth: int) -> bytes:
    rows = []
    before = None
    step = max(1, samples.shape[2] * depth // 8)
    for y, row in enumerate(samples.reshape(samples.shape[0], -1)):
        if depth == 16:
            line = row.astype(">u2").tobytes()
        elif depth == 8:
            line = row.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            line = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        before = before or bytes(len(line))
        rows.append(png_filtered(line, before, step, y % 5))
        before = line
    return b"".join(rows)


def png_filtered(line: bytes, before: bytes, step: int, kind: int) -> bytes:
    out = bytearray([kind])
    for i, v in enumerate(line):
        a = line[i - step] if i >= step else 0
        b = before[i]
        c = before[i - step] if i >= step else 0
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        out.append((v - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
    return bytes(out)


# --- BMP -----------------------------------------------------------------------------------------------------------

def bmp(width, height, depth, rows: list[bytes], palette=b"", compression=0, masks=b"", core=False, gap=0) -> bytes:
    """Rows in the order of the file; a negative height is top-down."""
    if core:
        info = struct.pack("<IHHHH", 12, width, height, 1, depth)
    else:
        colors = len(palette) // 4
        info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, compression, 0, 2835, 2835, colors, 0)
    body = rows if isinstance(rows, bytes) else b"".join(r + bytes(-len(r) % 4) for r in rows)
    offset = 14 + len(info) + len(masks) + len(palette) + gap
    head = struct.pack("<2sIHHI", b"BM", offset + len(body), 0, 0, offset)
    return head + info + masks + palette + bytes(gap) + body


def packed4(row) -> bytes:
    row = list(row) + [0] * (len(row) % 2)
    return bytes(a << 4 | b for a, b in zip(row[::2], row[1::2]))


def rle8(rows) -> bytes:
    """Runs where values repeat, literals of three and more elsewhere, and a jump over the last column's zeros."""
    out = bytearray()
    for row in rows:
        row, i = list(row), 0
        while i < len(row):
            n = 1
            while i + n < len(row) and row[i + n] == row[i] and n < 255:
                n += 1
            if n == 1 and i + 3 <= len(row) and len(set(row[i : i + 3])) == 3:
                out += bytes([0, 3, *row[i : i + 3], 0])
                i += 3
                continue
            out += bytes([n, row[i]])
            i += n
        out += b"\0\0"
    return bytes(out + b"\0\1")


def rle4(rows) -> bytes:
    out = bytearray()
    for row in rows:
        for i in range(0, len(row), 2):
            pair = list(row[i : i + 2])
            out += bytes([len(pair), pair[0] << 4 | pair[-1]])
        out += b"\0\0"
    return bytes(out + b"\0\1")


# --- TIFF ----------------------------------------------------------------------------------------------------------

def tiff(width, height, tags: dict, blocks: list[bytes], order="<", tiled=False) -> bytes:
    """One page; tags give what the blocks mean: {tag: [values]} as SHORT, or LONG where they do not fit."""
    tags = dict(tags)
    tags[256], tags[257] = [width], [height]
    start, offsets = 8, []
    for block in blocks:
        offsets.append(start)
        start += len(block)
    tags[324 if tiled else 273] = offsets
    tags[325 if tiled else 279] = [len(b) for b in blocks]
    start += start % 2
    entries, beyond = b"", b""
    beyond_at = start + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        values = tags[tag]
        long = max(values) > 65535 or tag in (273, 279, 324, 325)
        raw = b"".join(struct.pack(order + ("I" if long else "H"), v) for v in values)
        if len(raw) <= 4:
            value = raw + bytes(4 - len(raw))
        else:
            value = struct.pack(order + "I", beyond_at + len(beyond))
            beyond += raw
        entries += struct.pack(order + "HHI", tag, 4 if long else 3, len(values)) + value
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start) + b"".join(blocks)
    out += bytes(len(out) % 2)
    return out + struct.pack(order + "H", len(tags)) + entries + bytes(4) + beyond
