"""Draws the test digits of `inference/testdata/digits`: ours, and never seen by the training.

    python make_digits.py [--out ../testdata/digits]

Shares no code, no shape and no font with the training's generator (render.py, strokes.py): the digits
here are Bezier paths of another design and other fonts, drawn with Pillow and other distortions. Each
file is named <label>_<kind>_<number>; the same seed gives the same pictures.
"""

from __future__ import annotations

import argparse
import glob
import io
import os
import re
import site

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

HERE = os.path.dirname(os.path.abspath(__file__))
MAX_BYTES = 5000

# Paths as in SVG: M move, L line, C cubic Bezier; the box is 100 wide and 140 high.
PATHS = {
    0: ["M 50 2 C 5 2 2 60 4 80 C 8 150 88 155 95 75 C 98 20 80 2 46 4",
        "M 62 8 C 20 -8 0 60 12 105 C 25 150 80 145 90 90 C 98 40 85 5 50 6",
        "M 50 2 C 5 2 2 60 4 80 C 8 150 88 155 95 75 C 98 20 80 2 46 4 M 84 22 L 16 118"],
    1: ["M 52 2 L 48 138", "M 14 48 L 56 3 L 54 138", "M 22 34 C 40 24 50 14 56 2 L 56 136 M 20 138 L 92 136",
        "M 2 74 L 60 2 L 58 138", "M 66 2 L 36 138"],
    2: ["M 6 36 C 10 -8 88 -12 90 38 C 92 72 30 104 4 136 L 96 134",
        "M 8 30 C 20 -6 86 -4 84 40 C 82 80 42 130 14 134 C -4 134 4 108 26 116 C 50 124 70 142 96 124",
        "M 10 20 C 40 -6 80 0 84 30 C 86 70 20 110 6 138 C 40 130 60 134 94 136"],
    3: ["M 8 20 C 30 -10 88 0 84 36 C 82 62 52 66 36 66 C 70 64 98 78 94 106 C 88 148 20 146 4 120",
        "M 6 4 L 90 4 L 42 56 C 90 52 104 98 84 122 C 62 144 22 142 2 126",
        "M 14 12 C 50 -10 90 10 78 42 C 70 60 50 66 34 68 C 34 60 60 58 76 72 C 104 98 86 140 48 138 C 30 138 12 132 6 118"],
    4: ["M 62 4 C 44 40 26 70 4 94 L 98 92 M 70 50 L 66 138", "M 72 138 L 70 4 L 4 96 L 100 96",
        "M 18 4 C 14 30 8 50 6 72 C 40 78 70 74 96 68 M 84 8 L 78 138",
        "M 12 6 L 8 76 L 96 76 M 76 6 L 76 138"],
    5: ["M 24 6 C 20 30 18 44 16 60 C 50 40 98 58 92 98 C 88 142 26 146 2 124 M 24 6 L 92 4",
        "M 94 6 L 22 8 L 16 62 C 40 50 94 54 92 96 C 90 138 30 144 4 128",
        "M 90 4 C 60 10 40 6 24 10 C 10 50 30 54 50 58 C 100 70 100 130 50 136 C 30 138 14 134 2 126"],
    6: ["M 78 4 C 30 20 4 70 6 104 C 10 150 90 146 92 104 C 92 66 30 62 8 100",
        "M 56 2 C 36 40 10 70 10 104 C 12 144 84 142 84 106 C 84 78 40 76 14 104",
        "M 92 22 C 76 -6 40 2 22 40 C 2 84 0 138 46 138 C 88 138 104 90 74 76 C 50 64 20 80 10 104"],
    7: ["M 4 6 L 96 4 C 70 50 52 90 44 138", "M 4 6 L 94 6 L 34 138 M 24 70 L 84 66",
        "M 6 24 C 6 10 8 6 10 6 C 40 14 60 10 94 4 C 66 60 54 96 52 138 M 30 74 C 50 70 60 72 82 68",
        "M 4 22 L 4 4 L 94 4 L 46 138"],
    8: ["M 84 20 C 60 -10 12 2 18 34 C 24 62 88 70 92 104 C 94 146 6 146 8 104 C 12 74 78 62 84 32 C 84 24 82 18 78 14",
        "M 50 64 C 8 56 12 2 50 2 C 88 2 90 56 50 64 C -8 76 -4 138 50 138 C 104 138 106 74 50 64",
        "M 90 12 C 40 -10 0 26 30 54 C 60 74 92 84 86 112 C 76 146 10 144 12 110 C 16 76 60 66 92 20"],
    9: ["M 86 26 C 70 -6 8 -4 8 40 C 8 78 70 82 86 34 L 84 138",
        "M 88 30 C 80 -8 8 -6 8 38 C 10 80 86 76 88 30 C 92 90 76 142 16 136",
        "M 84 24 C 60 -8 6 8 12 44 C 18 76 74 68 84 24 C 80 70 64 110 52 138",
        "M 50 2 C 0 2 0 76 50 74 C 96 70 96 4 50 2 M 88 30 C 92 70 90 100 86 136"],
}

# Seven-segment digits by lit segments, a to g in the usual clockwise naming.
LIT = dict(enumerate("abcdef bc abged abgcd fgbc afgcd afgedc abc abcdefg abcdfg".split()))
# 5x7 dot matrix, a row a number.
DOT_ROWS = {
    0: (14, 17, 19, 21, 25, 17, 14), 1: (4, 12, 4, 4, 4, 4, 14), 2: (14, 17, 1, 6, 8, 16, 31),
    3: (31, 2, 4, 2, 1, 17, 14), 4: (2, 6, 10, 18, 31, 2, 2), 5: (31, 16, 30, 1, 1, 17, 14),
    6: (6, 8, 16, 30, 17, 17, 14), 7: (31, 1, 2, 4, 8, 8, 8), 8: (14, 17, 17, 14, 17, 17, 14), 9: (14, 17, 17, 15, 1, 2, 12),
}


def lines(path: str, dense: int = 14) -> list[np.ndarray]:
    """A path as polylines."""
    out, at = [], None
    tokens = re.findall(r"[MLC]|-?\d+", path)
    i = 0
    while i < len(tokens):
        command, i = tokens[i], i + 1
        count = 6 if command == "C" else 2
        p = np.array(tokens[i:i + count], float).reshape(-1, 2)
        i += count
        if command == "M":
            out.append([p[0]])
        elif command == "L":
            out[-1] += [at + (p[0] - at) * t for t in np.linspace(0, 1, 7)[1:]]
        else:
            t = np.linspace(0, 1, dense)[1:, None]
            out[-1] += list((1 - t)**3 * at + 3 * (1 - t)**2 * t * p[0] + 3 * (1 - t) * t**2 * p[1] + t**3 * p[2])
        at = p[-1]
    return [np.array(s) for s in out]


def written(label: int, rng, wild: float = 1.0) -> list[np.ndarray]:
    """A path in somebody's hand: slanted, squeezed, waved; unit box, longer side 1, centred on 0."""
    shapes = lines(PATHS[label][rng.integers(len(PATHS[label]))])
    slant, turn = rng.normal(0, .15) * wild, rng.normal(0, .07) * wild
    wide = np.exp(rng.normal(0, .14))
    phase, reach = rng.uniform(0, 6.28, 4), rng.uniform(0, 5, 2) * wild
    done = []
    for s in shapes:
        x, y = (s / (100, 140)).T
        x, y = (x + reach[0] / 100 * np.sin(4 * y + phase[0]) + reach[1] / 150 * np.sin(7 * y + phase[1]),
                y + reach[0] / 100 * np.sin(4 * x + phase[2]) + reach[1] / 150 * np.sin(6 * x + phase[3]))
        x = (x - .5) * wide * .72 - (y - .5) * slant
        y = y - .5
        done.append(np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1))
    every = np.concatenate(done)
    low, high = every.min(0), every.max(0)
    return [(s - (low + high) / 2) / (high - low).max() for s in done]


def inked(strokes, size: tuple[int, int], centre, height: float, pen: float, over: int = 3) -> Image.Image:
    """Ink mask, mode L: a round pen, smoothed by drawing `over` times larger."""
    big = Image.new("L", (size[0] * over, size[1] * over))
    draw = ImageDraw.Draw(big)
    r = max(pen * over / 2, .5)
    for s in strokes:
        at = [tuple((np.array(centre) + p * height) * over) for p in s]
        draw.line(at, 255, max(1, round(2 * r)), joint="curve")
        if r > 1:
            for x, y in at:
                draw.ellipse((x - r, y - r, x + r, y + r), 255)
    return big.resize(size, Image.Resampling.BOX) if over > 1 else big


def colored(ink: Image.Image, paper, pen) -> Image.Image:
    return Image.composite(Image.new("RGB", ink.size, pen), paper if isinstance(paper, Image.Image) else Image.new("RGB", ink.size, paper), ink)


def noisy(picture: Image.Image, sigma: float, rng) -> Image.Image:
    a = np.asarray(picture).astype(float)
    return Image.fromarray((a + rng.normal(0, sigma, a.shape[:2])[..., None]).clip(0, 255).astype(np.uint8))


def cloud(size, rng, cells: int) -> np.ndarray:
    """Smooth noise 0..1, [h, w]."""
    small = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC)).astype(float) / 255


# --- kinds: each returns a picture and the file type ---------------------------------------------

def mouse(label, rng):
    """A web page's drawing field: 280 x 280, hard-edged line of 1 to 20 pixels, jerky hand."""
    strokes = [s + np.cumsum(rng.normal(0, .004, s.shape), 0) for s in written(label, rng)]
    height = rng.uniform(40, 250)
    free = 140 - height * .52
    ink = inked(strokes, (280, 280), 140 + rng.uniform(-free, free, 2), height, round(np.exp(rng.uniform(0, 3))), over=1)
    if rng.random() < .25:  # a transparent canvas
        clear = Image.new("RGBA", ink.size, (0, 0, 0, 0))
        clear.paste((20, 20, 20, 255), mask=ink)
        return clear.quantize(4), "png"
    light = rng.random() < .5
    return (ink if light else ImageChops.invert(ink)).convert("P"), "png"


def pen(label, rng):
    """A digitiser's trajectory: 7 to 11 points joined by straight lines, now and then over a lifted pen."""
    strokes = written(label, rng, .8)
    if rng.random() < .5:
        strokes = [np.concatenate(strokes)]
    lengths = np.array([np.hypot(*np.diff(s, axis=0).T).sum() for s in strokes])
    total = rng.integers(7, 12)
    few = []
    for s, share in zip(strokes, lengths / lengths.sum()):
        n = max(2, round(total * share))
        few.append(s[np.unique(np.linspace(0, len(s) - 1, n).round().astype(int))])
    side = int(rng.integers(60, 140))
    ink = inked(few, (side, side), (side / 2, side / 2), side * rng.uniform(.6, .85), side * rng.uniform(.02, .09))
    light = rng.random() < .5
    return (ink if light else ImageChops.invert(ink)).quantize(16), "png"


def felt(label, rng):
    """A thick pen in colour on white or coloured ground."""
    side = int(rng.integers(70, 120))
    height = side * rng.uniform(.5, .75)
    ink = inked(written(label, rng), (side, side), (side / 2 + rng.normal(0, 3), side / 2 + rng.normal(0, 3)), height, height * rng.uniform(.12, .2))
    paper, ink_color = [((255, 255, 255), (200, 20, 40)), ((255, 255, 255), (20, 40, 160)), ((250, 240, 200), (10, 90, 30)),
                        ((20, 20, 30), (255, 220, 40)), ((30, 60, 140), (255, 255, 255)), ((240, 240, 240), (0, 0, 0))][rng.integers(6)]
    return colored(ink, paper, ink_color).quantize(32), "png"


def scan(label, rng):
    """A pencil or biro on grey paper, scanned."""
    side = int(rng.integers(60, 110))
    height = side * rng.uniform(.45, .8)
    ink = inked(written(label, rng), (side, side), (side / 2, side / 2), height, height * rng.uniform(.035, .11))
    grain = Image.fromarray((255 * (1 - rng.uniform(0, .5) * cloud(ink.size, rng, side // 2))).astype(np.uint8))
    ink = ImageChops.multiply(ink, grain)
    tone = int(rng.integers(190, 245))
    page = colored(ink, (tone, tone, tone - 8), (int(rng.integers(10, 140)),) * 3)
    page = noisy(page.filter(ImageFilter.GaussianBlur(rng.uniform(.3, 1.2))), rng.uniform(2, 9), rng)
    return page.convert("L"), "jpg"


def photo(label, rng):
    """A telephone's picture of a page: squares or lines, perspective, lamp, shadow, blur."""
    side = 180
    paper = Image.new("RGB", (side, side), tuple(int(v) for v in rng.integers(205, 250, 3)))
    draw = ImageDraw.Draw(paper)
    kind, step, blue = rng.integers(4), int(rng.integers(22, 60)), (150, 170, 215)
    if kind > 1:
        for at in range(int(rng.integers(step)), side, step):
            draw.line((0, at, side, at), blue, 1)
            if kind == 3:
                draw.line((at, 0, at, side), blue, 1)
    height = rng.uniform(50, 120)
    ink = inked(written(label, rng), (side, side), 90 + rng.normal(0, 7, 2), height, height * rng.uniform(.04, .12))
    color = [(20, 30, 110), (30, 30, 30), (150, 20, 30), (20, 80, 40)][rng.integers(4)]
    page = colored(ink, paper, color)
    corners = np.array([(0, 0), (0, side), (side, side), (side, 0)]) + rng.uniform(0, 18, (4, 2)) * [(1, 1), (1, -1), (-1, -1), (-1, 1)]
    page = page.transform((130, 130), Image.Transform.QUAD, tuple(corners.reshape(-1)), Image.Resampling.BICUBIC)
    y, x = np.mgrid[0:1:130j, 0:1:130j]
    lamp = 1 - rng.uniform(.05, .6) * np.hypot(x - rng.uniform(-.2, 1.2), y - rng.uniform(-.2, 1.2))
    if rng.random() < .4:
        edge = (x * rng.normal() + y * rng.normal() + rng.normal(0, .3)) * 12
        lamp *= 1 - rng.uniform(.2, .55) / (1 + np.exp(-edge))
    lit = np.asarray(page).astype(float) * lamp[..., None] * rng.uniform(.8, 1, 3)
    page = Image.fromarray(lit.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(.5, 2.2)))
    return noisy(page, rng.uniform(1, 6), rng), "jpg"


def board(label, rng):
    """Chalk on a blackboard, or a light marker on a dark sheet."""
    side = int(rng.integers(80, 120))
    height = side * rng.uniform(.5, .8)
    ink = inked(written(label, rng), (side, side), (side / 2, side / 2), height, height * rng.uniform(.05, .12))
    dust = (rng.random((side, side)) < rng.uniform(.6, .95)) * 255
    ink = ImageChops.multiply(ink, Image.fromarray(dust.astype(np.uint8))).filter(ImageFilter.GaussianBlur(.6))
    base = [(25, 55, 40), (30, 30, 34), (20, 30, 70)][rng.integers(3)]
    ground = np.array(base) + 25 * cloud((side, side), rng, 5)[..., None]
    return noisy(colored(ink, Image.fromarray(ground.astype(np.uint8)), (225, 225, 215)), 4, rng), "jpg"


def small(label, rng):
    """A little digit somewhere on a large picture."""
    w, h = (int(v) for v in rng.integers(150, 320, 2))
    height = rng.uniform(16, 40)
    centre = (rng.uniform(height, w - height), rng.uniform(height, h - height))
    ink = inked(written(label, rng, .8), (w, h), centre, height, max(1.5, height * rng.uniform(.06, .14)))
    return (ink if rng.random() < .5 else ImageChops.invert(ink)).quantize(8), "png"


def tight(label, rng):
    """Cut close to the ink, or stretched to fill its box, at few pixels: as old collections are."""
    ink = inked(written(label, rng), (120, 120), (60, 60), 92, 92 * rng.uniform(.07, .17))
    ink = ink.crop(ink.getbbox())
    h = int(rng.integers(12, 24))
    w = max(4, round(h * np.clip(ink.width / ink.height * rng.uniform(1, 1.3), .2, 1)))
    ink = ink.resize((w, h), Image.Resampling.BOX)
    edge = int(rng.integers(1, 4))
    page = Image.new("L", (w + 2 * edge, h + 2 * edge))
    page.paste(ink, (edge, edge))
    return (page if rng.random() < .6 else ImageChops.invert(page)).quantize(16), "png"


def find_fonts() -> list[str]:
    found = [f for d in site.getsitepackages() for f in glob.glob(os.path.join(d, "font_*", "files", "*.?tf"))]
    if not found:
        raise SystemExit("no fonts: pip install -r requirements.txt")
    return sorted(found)


def printed(label, rng):
    """Type: none of these fonts is among the training's."""
    fonts = find_fonts()
    families = sorted({os.path.dirname(f) for f in fonts})
    family = families[rng.integers(len(families))]
    font = [f for f in fonts if os.path.dirname(f) == family]
    font = ImageFont.truetype(font[rng.integers(len(font))], int(rng.integers(30, 72)))
    side = 96
    ink = Image.new("L", (side, side))
    ImageDraw.Draw(ink).text((side / 2 + rng.normal(0, 4), side / 2 + rng.normal(0, 4)), str(label), 255, font, anchor="mm")
    ink = ink.rotate(rng.normal(0, 5), Image.Resampling.BICUBIC)
    paper, ink_color = [((255,) * 3, (0,) * 3), ((235, 230, 215), (50, 40, 40)), ((40, 60, 90), (250,) * 3), ((200,) * 3, (90,) * 3)][rng.integers(4)]
    return colored(ink, paper, ink_color).quantize(16), "png"


def display(label, rng):
    """Seven segments or a dot matrix."""
    ink = Image.new("L", (90, 120))
    draw = ImageDraw.Draw(ink)
    if rng.random() < .6:
        x0, x1, ys = 24, 66, (18, 60, 102)
        thick = int(rng.integers(3, 6))
        ends = {"a": (x0, ys[0], x1, ys[0]), "b": (x1, ys[0], x1, ys[1]), "c": (x1, ys[1], x1, ys[2]), "d": (x0, ys[2], x1, ys[2]),
                "e": (x0, ys[1], x0, ys[2]), "f": (x0, ys[0], x0, ys[1]), "g": (x0, ys[1], x1, ys[1])}
        for name in LIT[label]:
            ax, ay, bx, by = ends[name]
            cut = thick + 1
            ax, bx = (ax + cut, bx - cut) if ay == by else (ax, bx)
            ay, by = (ay + cut, by - cut) if ax == bx else (ay, by)
            draw.rectangle((ax - thick, ay - thick, bx + thick, by + thick), 255) if ay == by else \
                draw.rectangle((ax - thick, ay - thick + 2, bx + thick, by + thick - 2), 255)
    else:
        r = rng.uniform(4, 6.5)
        for row, bits in enumerate(DOT_ROWS[label]):
            for column in range(5):
                if bits >> (4 - column) & 1:
                    x, y = 19 + 13 * column, 21 + 13 * row
                    draw.ellipse((x - r, y - r, x + r, y + r), 255)
    ink = ink.transform(ink.size, Image.Transform.AFFINE, (1, rng.uniform(0, .15), -9, 0, 1, 0), Image.Resampling.BICUBIC)
    ink = ink.filter(ImageFilter.GaussianBlur(rng.uniform(.2, 1.5)))
    paper, color = [((15, 15, 15), (255, 40, 30)), ((150, 165, 140), (20, 25, 20)), ((5, 20, 40), (90, 220, 255)), ((245,) * 3, (10,) * 3)][rng.integers(4)]
    return noisy(colored(ink, paper, color), 3, rng), "jpg"


KINDS = {"mouse": mouse, "pen": pen, "felt": felt, "scan": scan, "photo": photo, "board": board,
         "small": small, "tight": tight, "print": printed, "display": display}
EACH = {"mouse": 7, "pen": 7, "photo": 7, "scan": 5, "print": 5}  # pictures a class and kind; else 4


def encoded(picture: Image.Image, kind: str) -> bytes:
    """The file's bytes, at the best JPEG quality that keeps it small."""
    for quality in (88, 75, 60, 45, 30):
        data = io.BytesIO()
        if kind == "png":
            picture.save(data, "PNG", optimize=True)
        else:
            picture.save(data, "JPEG", quality=quality, optimize=True)
        if data.tell() <= MAX_BYTES:
            return data.getvalue()
    raise SystemExit(f"a picture needs {data.tell()} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(HERE, "..", "testdata", "digits"))
    parser.add_argument("--seed", type=int, default=2024)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    count = total = 0
    for k, (kind, make) in enumerate(KINDS.items()):
        number = 0
        for label in range(10):
            for _ in range(EACH.get(kind, 4)):
                rng = np.random.default_rng((args.seed, k, number))
                picture, suffix = make(label, rng)
                data = encoded(picture, suffix)
                with open(os.path.join(args.out, f"{label}_{kind}_{number:03d}.{suffix}"), "wb") as f:
                    f.write(data)
                number, count, total = number + 1, count + 1, total + len(data)
    print(f"{count} pictures, {total:,} bytes")


if __name__ == "__main__":
    main()
