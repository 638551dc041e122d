"""Training pictures: digits drawn, put on paper, scanned and photographed, then pre-processed.

Every picture goes through the service's own pre-processing (`preprocess.prepare`), so that the net
learns what it will be given, the failures of the trimming included. All is grey: the pre-processing
takes the luma, so colours would add nothing.
"""

from __future__ import annotations

import glob
import os
import site

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import strokes
from preprocess import prepare

SIZE = 28
INPUT = dict(width=SIZE, height=SIZE, color="GRAY", resize="stretch", filter="bicubic",
             invert="auto", trim=True, margin=2)

cv2.setNumThreads(1)  # the caller runs several processes


# --- drawing: each returns the ink as uint8 [h, w], 0 = none, with free space around it -----------

def draw_bitmap(digit: np.ndarray, rng) -> np.ndarray:
    """An MNIST digit enlarged, its edge drawn anew, its pen made thicker or thinner."""
    size = int(rng.integers(40, 120))
    big = cv2.resize(digit, (size, size), interpolation=cv2.INTER_CUBIC)
    big = cv2.GaussianBlur(big, (0, 0), size / 28 * rng.uniform(.3, .7)).astype(np.float32)
    # The level moved up or down makes the pen thinner or thicker without breaking the shape.
    level, sharp = rng.uniform(60, 170), rng.uniform(2, 12)
    ink = np.clip((big - level) / 255 * sharp + .5, 0, 1)
    if rng.random() < .3:
        k = int(rng.integers(1, max(2, size // 18) + 1)) * 2 + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (k, k))
        thicker = cv2.dilate(ink, kernel)
        thinner = cv2.erode(ink, kernel)
        ink = thicker if rng.random() < .6 or thinner.sum() < .3 * ink.sum() else thinner
    return np.pad((ink * 255).astype(np.uint8), size // 8)


def draw_strokes(digit: list[np.ndarray], rng) -> np.ndarray:
    """Strokes drawn with a round pen: a mouse, a biro, a felt pen, a digitiser's few points."""
    digit = [s.astype(np.float32) for s in digit]
    if rng.random() < .45:
        digit = strokes.coarse(digit, rng)
    points = np.concatenate(digit)
    low, high = points.min(0), points.max(0)
    extent = max(float((high - low).max()), 1e-3)
    size = int(rng.integers(40, 140))
    height = size * rng.uniform(.6, .85)
    pen = max(1, round(height * np.exp(rng.uniform(np.log(.012), np.log(.22)))))
    slip = rng.uniform(0, .015) * height  # the hand's tremor
    ink = np.zeros((size, size), np.uint8)
    line = cv2.LINE_AA if rng.random() < .6 else cv2.LINE_8
    changing = rng.random() < .25
    for s in digit:
        xy = (s - (low + high) / 2) / extent * height + size / 2
        xy = xy + rng.normal(0, slip, xy.shape) * (rng.random() < .5)
        fixed = np.round(xy * 8).astype(np.int32)
        if changing:  # a pen pressed unevenly
            for a, b in zip(fixed[:-1], fixed[1:]):
                cv2.line(ink, a.tolist(), b.tolist(), 255, max(1, round(pen * rng.uniform(.6, 1.4))), line, 3)
        else:
            cv2.polylines(ink, [fixed[:, None]], False, 255, pen, line, 3)
    return ink


def find_fonts() -> list[str]:
    """Fonts of the Python environment (see requirements.txt), so that no system font is needed."""
    wanted = ("fontpkg_*/files/*.ttf", "matplotlib/mpl-data/fonts/ttf/DejaVu*.ttf")
    found = [f for d in site.getsitepackages() for w in wanted for f in glob.glob(os.path.join(d, w))]
    return sorted(f for f in found if "Display" not in f)


def font_glyphs() -> list[tuple[int, np.ndarray]]:
    """Every digit of every font (in some of its weights, where it has several), with its label."""
    glyphs = []
    for path in find_fonts():
        font = ImageFont.truetype(path, 64)
        try:
            styles = font.get_variation_names()
            styles = styles[::max(1, len(styles) // 5)]
        except OSError:
            styles = [None]
        for style in styles:
            if style is not None:
                font.set_variation_by_name(style)
            for label in range(10):
                picture = Image.new("L", (112, 112))
                ImageDraw.Draw(picture).text((56, 56), str(label), 255, font, anchor="mm")
                box = picture.getbbox()
                glyphs.append((label, np.pad(np.asarray(picture.crop(box)), 10)))
    return glyphs


SEGMENTS = {  # of a seven-segment display: top, upper left, upper right, middle, lower left, lower right, bottom
    0: ("1110111",), 1: ("0010010", "0100100"), 2: ("1011101",), 3: ("1011011",), 4: ("0111010",),
    5: ("1101011",), 6: ("1101111", "0101111"), 7: ("1010010", "1110010"), 8: ("1111111",), 9: ("1111011", "1111010"),
}


def draw_segments(label: int, rng) -> np.ndarray:
    on = SEGMENTS[label][rng.integers(len(SEGMENTS[label]))]
    w, h, pen = rng.uniform(20, 45), 64, rng.uniform(2, 9)
    gap = rng.uniform(0, pen * .9)
    ink = np.zeros((96, 96), np.uint8)
    corners = [((0, 0), (1, 0)), ((0, 0), (0, .5)), ((1, 0), (1, .5)), ((0, .5), (1, .5)),
               ((0, .5), (0, 1)), ((1, .5), (1, 1)), ((0, 1), (1, 1))]
    slant = rng.uniform(-.05, .25)
    for lit, (a, b) in zip(on, corners):
        if lit == "0":
            continue
        a, b = np.array(a) * (w, h), np.array(b) * (w, h)
        way = (b - a) / np.hypot(*(b - a))
        side = way[::-1] * pen / 2
        a, b = a + way * gap, b - way * gap
        hexagon = np.array([a, a + way * pen / 2 + side, b - way * pen / 2 + side, b,
                            b - way * pen / 2 - side, a + way * pen / 2 - side])
        hexagon[:, 0] += (h / 2 - hexagon[:, 1]) * slant
        hexagon += ((96 - w) / 2, (96 - h) / 2)
        cv2.fillConvexPoly(ink, np.round(hexagon * 8).astype(np.int32), 255, cv2.LINE_AA, 3)
    return ink


# --- geometry ------------------------------------------------------------------------------------

def place(ink: np.ndarray, height: int, width: int, rng, *, fill: float, bend: float, tilt: float,
          squeeze: float, perspective: float, shift: float) -> np.ndarray:
    """Puts the ink on an empty canvas: turned, sheared, bent, its longer side `fill` of the canvas."""
    ys, xs = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if ys.size == 0:
        return np.zeros((height, width), np.uint8)
    cy, cx = (ys[0] + ys[-1]) / 2, (xs[0] + xs[-1]) / 2
    extent = max(ys[-1] - ys[0], xs[-1] - xs[0]) + 1
    scale = fill * min(height, width) / extent
    angle, shear = np.deg2rad(rng.uniform(-tilt, tilt)), rng.uniform(-tilt, tilt) / 45
    aspect = np.exp(rng.uniform(-squeeze, squeeze))
    c, s = np.cos(angle), np.sin(angle)
    forward = np.array([[c, -s], [s, c]]) @ np.array([[1, shear], [0, 1]]) @ np.diag([scale * aspect**.5, scale / aspect**.5])
    back = np.linalg.inv(forward)
    free = max(0, 1 - fill) / 2 * shift
    ox = width / 2 + rng.uniform(-free, free) * width
    oy = height / 2 + rng.uniform(-free, free) * height
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x - ox, y - oy
    if perspective:
        depth = 1 + (rng.uniform(-perspective, perspective) * x + rng.uniform(-perspective, perspective) * y) / max(height, width)
        x, y = x * depth, y * depth
    if bend:
        # A few random vectors blown up smoothly: the letters of a hasty hand, or wavy paper.
        n = int(rng.integers(3, 6))
        push = rng.normal(0, bend * fill * min(height, width), (2, n, n)).astype(np.float32)
        x = x + cv2.resize(push[0], (width, height), interpolation=cv2.INTER_CUBIC)
        y = y + cv2.resize(push[1], (width, height), interpolation=cv2.INTER_CUBIC)
    map_x = (back[0, 0] * x + back[0, 1] * y + cx).astype(np.float32)
    map_y = (back[1, 0] * x + back[1, 1] * y + cy).astype(np.float32)
    if scale < .6:  # against the gaps that a thin pen gets when a large drawing becomes small
        ink = cv2.GaussianBlur(ink, (0, 0), .4 / scale)
    placed = cv2.remap(ink, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    # A thin line on few pixels is faint only because of the scaling: no real pen writes so.
    return cv2.convertScaleAbs(placed, alpha=min(4., 255 / max(int(placed.max()), 1)))


# --- surfaces ------------------------------------------------------------------------------------

def levels(rng, least: float) -> tuple[float, float]:
    """Grey of the background and of the ink, at least `least` apart; dark on light as often as not."""
    if rng.random() < .5:
        back = rng.uniform(max(128, least), 255)
        return back, back - rng.uniform(least, back)
    if rng.random() < .06:
        back = rng.uniform(128, 200)  # light ink on a light ground: the inversion gets it wrong
        return back, min(255, back + rng.uniform(least, 255 - back) if 255 - back > least else 255)
    back = rng.uniform(0, min(127, 255 - least)) * rng.random()
    return back, back + rng.uniform(least, 255 - back)


def uneven(shape, rng, cells: int) -> np.ndarray:
    """Smooth noise, about -1..1, `cells` cells across."""
    small = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def rule(paper: np.ndarray, contrast: float, rng) -> None:
    """Draws a ruled or squared sheet's lines, in place, fainter than the ink's `contrast`."""
    height, width = paper.shape
    step = max(6, int(max(height, width) * rng.uniform(.12, .6)))
    grey, pen = contrast * rng.uniform(.05, .5), 1 if rng.random() < .7 else 2
    if rng.random() < .1:
        grey = -grey
    for y in range(int(rng.integers(0, step)), height, step):
        paper[y:y + pen] += grey
    if rng.random() < .5:
        for x in range(int(rng.integers(0, step)), width, step):
            paper[:, x:x + pen] += grey


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def clean(ink: np.ndarray, rng) -> np.ndarray:
    """Drawn on a screen: two even greys."""
    back, front = (0., 255.) if rng.random() < .35 else levels(rng, 25 if rng.random() < .2 else 60)
    if rng.random() < .5 and (back, front) == (0., 255.):
        back, front = front, back
    return np.clip(back + (front - back) * (ink.astype(np.float32) / 255), 0, 255).astype(np.uint8)


def scan(ink: np.ndarray, rng) -> np.ndarray:
    """Paper on a flat-bed scanner: grain, a little blur, specks, JPEG."""
    back, front = levels(rng, 45)
    paper = np.full(ink.shape, back, np.float32)
    alpha = ink.astype(np.float32) / 255
    if rng.random() < .3:
        rule(paper, front - back, rng)
    if rng.random() < .4:  # a pencil's or a dry pen's uneven ink
        alpha *= np.clip(1 - rng.uniform(0, .8) * rng.random(ink.shape, np.float32), 0, 1)
    picture = paper + (front - paper) * alpha
    if rng.random() < .7:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(.3, 1.3))
    picture += rng.standard_normal(ink.shape, np.float32) * rng.uniform(0, 14)
    for _ in range(int(rng.integers(0, 4)) if rng.random() < .25 else 0):
        y, x = rng.integers(0, ink.shape[0]), rng.integers(0, ink.shape[1])
        cv2.circle(picture, (int(x), int(y)), int(rng.integers(0, 3)), float(front), -1)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < .3:
        picture = ((picture > (back + front) / 2) * 255).astype(np.uint8)  # a fax, a 1-bit scan
    return jpeg(picture, int(rng.integers(15, 95))) if rng.random() < .6 else picture


def photo(ink: np.ndarray, rng) -> np.ndarray:
    """Held under a lamp before a telephone: light from a side, shadows, lines, blur, noise, JPEG."""
    back, front = levels(rng, 50)
    height, width = ink.shape
    paper = np.full(ink.shape, back, np.float32) + uneven(ink.shape, rng, 8) * rng.uniform(0, 8)
    if rng.random() < .45:
        rule(paper, front - back, rng)
    alpha = ink.astype(np.float32) / 255
    if rng.random() < .4:
        alpha *= np.clip(1 - rng.uniform(0, .6) * (.5 + .5 * uneven(ink.shape, rng, 12)), 0, 1)
    picture = paper + (front - paper) * alpha
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j].astype(np.float32)
    way = rng.uniform(0, 2 * np.pi)
    light = 1 - rng.uniform(0, .6) * np.clip((np.cos(way) * (x - .5) + np.sin(way) * (y - .5)) + .5, 0, 1)
    light = light * (1 + rng.uniform(0, .15) * uneven(ink.shape, rng, 4))
    if rng.random() < .25:  # the edge of somebody's shadow
        way = rng.uniform(0, 2 * np.pi)
        edge = (np.cos(way) * (x - rng.uniform(.1, .9)) + np.sin(way) * (y - rng.uniform(.1, .9))) * rng.uniform(4, 40)
        light = light * (1 - rng.uniform(.1, .5) / (1 + np.exp(-np.clip(edge, -30, 30))))
    picture = picture * light
    if rng.random() < .15:  # something at the rim: a neighbour's stroke, the sheet's end, a finger
        side, far = int(rng.integers(4)), rng.uniform(.02, .1)
        rim = [(slice(0, max(1, int(far * height))),), (slice(height - max(1, int(far * height)), None),),
               (slice(None), slice(0, max(1, int(far * width)))), (slice(None), slice(width - max(1, int(far * width)), None))][side]
        picture[rim] = picture[rim] * rng.uniform(.2, .9)
    if rng.random() < .75:
        picture = cv2.GaussianBlur(picture, (0, 0), max(height, width) * rng.uniform(.003, .022))
    if rng.random() < .1:  # moved while taken
        k = int(rng.integers(3, 8))
        line = np.zeros((k, k), np.float32)
        cv2.line(line, (0, int(rng.integers(k))), (k - 1, int(rng.integers(k))), 1)
        picture = cv2.filter2D(picture, -1, line / line.sum())
    picture += rng.standard_normal(ink.shape, np.float32) * rng.uniform(0, 16)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return jpeg(picture, int(rng.integers(15, 95))) if rng.random() < .7 else picture


def rough(ink: np.ndarray, rng) -> np.ndarray:
    """Very few pixels, as old collections have: 8 to 20 across, few greys, perhaps enlarged again."""
    if rng.random() < .5:  # cut to the ink, which then touches the rim
        ys, xs = np.flatnonzero(ink.max(1) > 64), np.flatnonzero(ink.max(0) > 64)
        if ys.size and xs.size:
            ink = ink[ys[0]:ys[-1] + 1, xs[0]:xs[-1] + 1]
            wide = max(ink.shape[1], int(ink.shape[0] * rng.uniform(.2, .7)))
            ink = np.pad(ink, ((0, 0), ((wide - ink.shape[1]) // 2,) * 2))
            if rng.random() < .6:
                side = max(ink.shape)
                ink = cv2.resize(ink, (int(side * rng.uniform(.6, 1)), side), interpolation=cv2.INTER_AREA)
            ink = np.pad(ink, int(rng.integers(0, max(2, ink.shape[0] // 8))))
    side = int(rng.integers(8, 21))
    ratio = ink.shape[1] / ink.shape[0]
    if ratio > .9:
        ratio = np.exp(rng.uniform(-.4, .1))  # such digits are often stretched to fill their box
    small = cv2.resize(ink, (max(6, round(side * min(1, ratio))), side), interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= min(4., 255 / max(small.max(), 1))
    steps = int(rng.choice([1, 4, 16, 255]))
    small = np.round(small / 255 * steps) / steps
    back, front = (0., 255.) if rng.random() < .6 else levels(rng, 50)
    picture = np.clip(back + (front - back) * small, 0, 255).astype(np.uint8)
    if rng.random() < .4:
        how = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[rng.integers(3)]
        k = int(rng.integers(2, 9))
        picture = cv2.resize(picture, None, fx=k, fy=k, interpolation=how)
    return picture


# --- whole samples -------------------------------------------------------------------------------

def tensor(picture: np.ndarray) -> np.ndarray:
    return prepare(Image.fromarray(picture), **INPUT)[..., 0]


def native(digit: np.ndarray, rng) -> np.ndarray:
    """An MNIST digit in its own size and look, moved a little: keeps the net sharp on such pictures."""
    if rng.random() < .2:
        return tensor(digit)
    moved = place(digit, 28, 28, rng, fill=rng.uniform(.6, .85), bend=rng.uniform(0, .035), tilt=14,
                  squeeze=.2, perspective=.2, shift=.5)
    return tensor(moved)


def varied(ink: np.ndarray, rng) -> np.ndarray:
    """Any drawing on any surface."""
    side = int(rng.integers(32, 129))
    height, width = side, side
    if rng.random() < .3:
        height, width = int(side * rng.uniform(.6, 1)), int(side * rng.uniform(.6, 1))
    fill = rng.uniform(.25, .95) if rng.random() < .9 else rng.uniform(.9, 1.05)
    surface = rng.random()
    if surface < .15:
        fill = max(fill, .8)
    elif surface > .62:  # where the light defeats the trimming, a small digit stays small: few pixels are left
        fill = max(fill, rng.uniform(.3, .8))
    fill = max(fill, 16 / side)
    canvas = place(ink, height, width, rng, fill=fill, bend=rng.uniform(0, .05), tilt=rng.choice([6, 18]),
                   squeeze=.35, perspective=rng.choice([0, .4]), shift=rng.random())
    if surface < .15:
        return tensor(rough(canvas, rng))
    if surface < .4:
        return tensor(clean(canvas, rng))
    return tensor((scan if surface < .62 else photo)(canvas, rng))


def sample(kind: str, source, rng) -> np.ndarray:
    """One training input, uint8 [28, 28]."""
    if kind == "native":
        return native(source, rng)
    if kind == "bitmap":
        return varied(draw_bitmap(source, rng), rng)
    if kind == "traced":
        return varied(draw_strokes(source, rng), rng)
    if kind == "template":
        return varied(draw_strokes(strokes.from_template(source, rng), rng), rng)
    if kind == "segments":
        return varied(draw_segments(source, rng), rng)
    return varied(source, rng)  # a font's glyph
