"""Digits as pen strokes: designed templates, and strokes traced from MNIST's own digits.

A digit is a list of strokes, a stroke an array [n, 2] of points (x, y) in the unit square, y downwards.
Strokes can be redrawn with any pen and any number of points, which pictures of digits cannot.
"""

from __future__ import annotations

import numpy as np

# Control points in writing order. A point given twice is a corner; in between the line is a spline.
TEMPLATES: dict[int, list[list[list[tuple[float, float]]]]] = {
    0: [
        [[(.5, 0), (.15, .15), (0, .5), (.15, .87), (.5, 1), (.85, .85), (1, .5), (.85, .13), (.5, 0)]],
        [[(.6, .02), (.2, .1), (0, .5), (.2, .92), (.55, 1), (.9, .8), (1, .45), (.8, .1), (.45, .03)]],
        [[(.75, .1), (.5, 0), (.15, .15), (0, .5), (.15, .87), (.5, 1), (.85, .85), (1, .5), (.85, .13), (.3, 0)]],
        [[(.5, 0), (.15, .15), (0, .5), (.15, .87), (.5, 1), (.85, .85), (1, .5), (.85, .13), (.5, 0)], [(.85, .12), (.15, .88)]],
        [[(.5, 0), (.15, .15), (0, .5), (.15, .87), (.5, 1), (.85, .85), (1, .5), (.85, .13), (.5, 0)], [(1.1, -.05), (-.1, 1.05)]],
        [[(.5, 1), (.1, .8), (0, .45), (.2, .08), (.55, 0), (.9, .2), (1, .55), (.8, .93), (.5, 1)]],
    ],
    1: [
        [[(.5, 0), (.5, 1)]],
        [[(.5, 0), (.5, .5), (.5, 1)]],
        [[(.15, .3), (.55, 0), (.55, 0), (.55, 1)]],
        [[(.0, .5), (.55, 0), (.55, 0), (.55, 1)]],
        [[(.3, .15), (.55, 0), (.55, 0), (.55, 1)], [(.2, 1), (.9, 1)]],
        [[(.1, .3), (.55, 0), (.55, 0), (.55, 1)], [(.1, 1), (1, 1)]],
        [[(.1, .3), (.55, 0), (.55, 0), (.55, 1), (.55, 1), (.1, 1), (.1, 1), (1, 1)]],
        [[(.2, .22), (.4, .15), (.55, 0), (.55, 0), (.52, 1)]],
    ],
    2: [
        [[(.05, .25), (.3, .02), (.75, .05), (.9, .3), (.6, .62), (0, 1), (0, 1), (1, 1)]],
        [[(.0, .2), (.35, 0), (.85, .1), (.85, .4), (.4, .75), (0, 1), (0, 1), (.5, .97), (1, 1)]],
        [[(.05, .22), (.35, 0), (.8, .08), (.85, .38), (.5, .75), (.12, .98), (.0, .86), (.2, .76), (.5, .92), (1, .96)]],
        [[(.1, .2), (.4, 0), (.8, .12), (.75, .45), (.4, .8), (.05, .95), (.1, .8), (.4, .85), (.7, 1), (1, .9)]],
        [[(0, 0), (.95, 0), (.95, 0), (0, 1), (0, 1), (1, 1)]],
        [[(.1, .1), (.5, 0), (.9, .15), (.85, .4), (.1, .95), (.1, .95), (1, .95)]],
        [[(.1, .3), (.15, .08), (.5, 0), (.9, .2), (.7, .5), (.25, .75), (.05, 1), (.05, 1), (.95, 1), (.95, 1), (.97, .88)]],
    ],
    3: [
        [[(.05, .12), (.45, 0), (.9, .18), (.7, .42), (.35, .48), (.35, .48), (.8, .55), (1, .76), (.6, 1), (0, .9)]],
        [[(0, 0), (.95, 0), (.95, 0), (.4, .4), (.4, .4), (.85, .5), (1, .75), (.6, 1), (0, .92)]],
        [[(.05, .1), (.5, 0), (.9, .2), (.65, .44), (.4, .5), (.5, .42), (.85, .55), (1, .78), (.6, 1), (0, .88)]],
        [[(.1, .05), (.6, 0), (.85, .22), (.4, .46), (.4, .46), (.9, .62), (.8, .95), (.3, 1), (0, .85)]],
        [[(.05, .1), (.55, 0), (.9, .22), (.55, .45), (.3, .5), (.45, .55), (.6, .45), (.95, .65), (.85, .95), (.4, 1), (0, .9)]],
        [[(0, .05), (.9, 0), (.9, 0), (.3, .42), (.3, .42), (.7, .42), (1, .7), (.7, 1), (.1, .97)]],
    ],
    4: [
        [[(.15, 0), (0, .58), (0, .58), (1, .58)], [(.7, .2), (.65, 1)]],
        [[(.1, 0), (.05, .5), (.05, .5), (1, .5)], [(.85, 0), (.8, 1)]],
        [[(.65, 0), (0, .66), (0, .66), (1, .66)], [(.68, .05), (.68, 1)]],
        [[(.7, 1), (.7, 0), (.7, 0), (0, .66), (0, .66), (1, .66)]],
        [[(.6, 0), (0, .62), (0, .62), (.95, .58)], [(.65, .3), (.6, 1)]],
        [[(.05, 0), (.0, .35), (.3, .5), (.85, .4), (.85, .4)], [(.9, 0), (.8, 1)]],
        [[(.08, 0), (.02, .4), (.25, .5), (.9, .45), (.9, .45), (.9, .02), (.9, .02), (.8, 1)]],
        [[(.4, 0), (.0, .6), (.0, .6), (.9, .52)], [(.7, .3), (.4, 1)]],
        [[(.65, 0), (.05, .6), (.05, .6), (.95, .6), (.95, .6), (.66, .6), (.66, .02), (.66, .02), (.64, 1)]],
    ],
    5: [
        [[(.2, 0), (.12, .44), (.12, .44), (.5, .35), (.95, .6), (.78, .92), (.4, 1), (0, .9)], [(.2, 0), (.95, .02)]],
        [[(.95, 0), (.2, 0), (.2, 0), (.12, .44), (.12, .44), (.5, .35), (.95, .6), (.78, .92), (.4, 1), (0, .9)]],
        [[(.9, .02), (.3, .05), (.12, .32), (.6, .45), (.92, .7), (.5, 1), (.05, .92)]],
        [[(.25, .08), (.2, .45), (.2, .45), (.6, .42), (.95, .68), (.6, 1), (0, .95)], [(.2, .05), (1, 0)]],
        [[(.9, 0), (.1, 0), (.1, 0), (.1, .45), (.1, .45), (.6, .42), (.92, .7), (.6, .98), (0, .98)]],
        [[(.1, .05), (.08, .45), (.08, .45), (.7, .48), (.85, .75), (.5, 1), (0, .92)], [(.05, 0), (.8, 0)]],
        [[(.3, .1), (.15, .5), (.15, .5), (.5, .42), (.8, .6), (.7, .9), (.3, 1), (0, .92)], [(.35, .08), (.65, .1), (1, 0)]],
    ],
    6: [
        [[(.75, 0), (.3, .25), (.02, .65), (.25, .97), (.7, .97), (.92, .72), (.6, .5), (.12, .66)]],
        [[(.55, 0), (.15, .35), (0, .7), (.3, 1), (.8, .95), (.9, .68), (.5, .52), (.05, .7)]],
        [[(.9, .14), (.6, 0), (.15, .3), (0, .7), (.3, 1), (.8, .95), (.95, .7), (.55, .5), (.05, .68)]],
        [[(.1, 0), (.02, .5), (.1, .9), (.45, 1), (.85, .85), (.75, .6), (.4, .55), (.08, .75)]],
        [[(.6, 0), (.1, .55), (.1, .85), (.5, 1), (.85, .8), (.6, .58), (.2, .7), (.3, .85)]],
        [[(.9, 0), (.35, .3), (.05, .7), (.35, 1), (.7, .9), (.7, .62), (.3, .6), (.08, .78)]],
    ],
    7: [
        [[(0, 0), (1, 0), (1, 0), (.4, 1)]],
        [[(0, .02), (1, 0), (1, 0), (.6, .45), (.45, 1)]],
        [[(0, 0), (1, 0), (1, 0), (.4, 1)], [(.3, .5), (.95, .48)]],
        [[(0, .15), (.02, 0), (.02, 0), (1, 0), (1, 0), (.5, .5), (.4, 1)], [(.2, .52), (.9, .5)]],
        [[(0, .18), (0, 0), (0, 0), (.95, 0), (.95, 0), (.35, 1)]],
        [[(0, .1), (.3, .02), (.6, .08), (1, 0), (1, 0), (.6, .5), (.5, 1)]],
        [[(.0, .08), (.35, 0), (.65, .1), (.95, .02), (.95, .02), (.6, .5), (.5, 1)], [(.35, .5), (.95, .45)]],
        [[(.1, .05), (.7, 0), (.9, .15), (.75, .5), (.7, 1)]],
    ],
    8: [
        [[(.85, .12), (.5, 0), (.12, .2), (.5, .47), (.92, .75), (.5, 1), (.05, .76), (.45, .48), (.85, .22), (.8, .08)]],
        [[(.5, 0), (.12, .2), (.5, .46), (.95, .74), (.5, 1), (.05, .74), (.5, .46), (.88, .2), (.5, 0)]],
        [[(.5, 0), (.12, .12), (.15, .38), (.5, .47), (.85, .38), (.88, .12), (.5, 0)],
         [(.5, .47), (.05, .6), (.08, .9), (.5, 1), (.92, .9), (.95, .6), (.5, .47)]],
        [[(.9, .05), (.4, .02), (.12, .22), (.6, .5), (.8, .8), (.4, 1), (.05, .8), (.4, .5), (.95, .1)]],
        [[(.5, .48), (.12, .3), (.3, .03), (.75, .05), (.85, .28), (.5, .48), (.05, .72), (.25, 1), (.8, .98), (.95, .72), (.5, .48)]],
        [[(.9, .2), (.6, 0), (.2, .12), (.4, .42), (.85, .7), (.6, 1), (.15, .92), (.3, .6), (.8, .25)]],
    ],
    9: [
        [[(.85, .15), (.4, 0), (.05, .25), (.35, .5), (.85, .22), (.85, .22), (.85, 1)]],
        [[(.88, .12), (.45, 0), (.05, .22), (.3, .5), (.85, .3), (.9, .1), (.85, .65), (.5, 1), (.1, .93)]],
        [[(.5, 0), (.1, .1), (.08, .4), (.5, .5), (.9, .35), (.88, .08), (.5, 0)], [(.9, .2), (.85, 1)]],
        [[(.85, .2), (.5, 0), (.1, .2), (.3, .48), (.8, .28), (.8, .28), (.45, 1)]],
        [[(.9, .1), (.5, 0), (.08, .22), (.25, .45), (.7, .4), (.9, .12), (.9, .12), (.92, .8), (.6, 1), (.15, .9)]],
        [[(.75, .3), (.7, .05), (.3, .02), (.08, .3), (.35, .5), (.75, .3), (.8, .1), (.75, .6), (.6, 1)]],
        [[(.85, .25), (.55, 0), (.1, .15), (.15, .45), (.6, .45), (.85, .2), (1, .0), (.7, .7), (.2, 1)]],
    ],
}


def from_template(label: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One of the class's templates with its control points shaken."""
    variants = TEMPLATES[label]
    template = variants[rng.integers(len(variants))]
    shake = rng.uniform(.01, .06)
    strokes = []
    for points in template:
        points = np.array(points, np.float32)
        moved = points + rng.normal(0, shake, points.shape)
        corner = np.all(points[1:] == points[:-1], axis=1)
        moved[1:][corner] = moved[:-1][corner]  # both halves of a corner move together
        strokes.append(spline(moved))
    return strokes


def spline(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom line through the points; it turns sharply where a point is given twice."""
    if len(points) < 3:
        return points
    p = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    p0, p1, p2, p3 = (p[i:len(p) - 3 + i, None] for i in range(4))
    curve = .5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def resample(points: np.ndarray, n: int) -> np.ndarray:
    """n points at equal distances along the line."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, along[-1], n)
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], 1)


def coarse(strokes: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """As a slow digitiser sees a pen: few points, and at times a line drawn while the pen was up."""
    lifted = len(strokes) > 1 and rng.random() < .55
    if lifted:
        if rng.random() < .4:  # another order and direction of writing
            strokes = [strokes[i] if rng.random() < .7 else strokes[i][::-1] for i in rng.permutation(len(strokes))]
        strokes = [np.concatenate(strokes)]
    lengths = [max(np.hypot(*np.diff(s, axis=0).T).sum(), .02) for s in strokes]
    total = 8 if rng.random() < .35 else int(rng.integers(7, 18))
    return [resample(s, max(2, round(total * l / sum(lengths)))) for s, l in zip(strokes, lengths)]


def thin(ink: np.ndarray) -> np.ndarray:
    """Zhang and Suen's thinning of a stack of pictures, bool [N, H, W], to lines one pixel wide."""
    ink = ink.copy()
    ink[:, [0, -1], :] = False
    ink[:, :, [0, -1]] = False
    while True:
        before = ink.copy()
        for first in (True, False):
            n = [np.roll(ink, s, (1, 2)) for s in
                 ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))]  # N NE E SE S SW W NW
            count = sum(x.astype(np.uint8) for x in n)
            turns = sum((~n[i] & n[(i + 1) % 8]).astype(np.uint8) for i in range(8))
            north, east, south, west = n[0], n[2], n[4], n[6]
            if first:
                keep = (north & east & south) | (east & south & west)
            else:
                keep = (north & east & west) | (north & south & west)
            ink &= ~((count >= 2) & (count <= 6) & (turns == 1) & ~keep)
        if np.array_equal(before, ink):
            return ink


def trace(skeleton: np.ndarray) -> list[np.ndarray]:
    """Walks a thinned picture into strokes, going as straight as it can where lines meet."""
    height, width = skeleton.shape
    left = {(int(y), int(x)) for y, x in np.argwhere(skeleton)}
    around = [(-1, 0), (0, 1), (1, 0), (0, -1), (-1, -1), (-1, 1), (1, 1), (1, -1)]
    degree = {p: sum((p[0] + dy, p[1] + dx) in left for dy, dx in around) for p in left}
    strokes = []
    while left:
        ends = [p for p in left if degree[p] == 1] or list(left)
        at = min(ends)  # the topmost: most people start there
        path, step = [at], (0, 0)
        left.discard(at)
        while True:
            near = [(dy, dx) for dy, dx in around if (at[0] + dy, at[1] + dx) in left]
            if not near:
                break
            if len(path) > 3:  # the direction over several pixels, as one step is too rough
                back = path[-4]
                step = (at[0] - back[0], at[1] - back[1])
            dy, dx = max(near, key=lambda d: (d[0] * step[0] + d[1] * step[1]) / (d[0]**2 + d[1]**2)**.5)
            for other in near:  # the pixel right beside the chosen one is the same line's corner, no branch
                if len(near) == 2 and abs(other[0] - dy) + abs(other[1] - dx) == 1:
                    left.discard((at[0] + other[0], at[1] + other[1]))
            at = (at[0] + dy, at[1] + dx)
            left.discard(at)
            path.append(at)
        # A walk that ends beside where an earlier pixel lies closes the gap, so that loops stay closed.
        last = path[-1]
        for stroke in strokes + [path[:-3]]:
            touch = [q for q in stroke if abs(q[0] - last[0]) <= 1 and abs(q[1] - last[1]) <= 1]
            if touch and len(path) > 3:
                path.append(touch[0])
                break
        if strokes and len(path) > 1:
            first = path[0]
            for stroke in strokes:
                touch = [q for q in stroke if abs(q[0] - first[0]) <= 1 and abs(q[1] - first[1]) <= 1]
                if touch:
                    path.insert(0, touch[0])
                    break
        strokes.append(path)
    longest = max((len(s) for s in strokes), default=0)
    kept = [s for s in strokes if len(s) >= max(4, .12 * longest)] or strokes[:1]
    size = max(height, width) - 1
    return [smooth(np.array(s, np.float32)[:, ::-1] / size) for s in kept]


def smooth(points: np.ndarray) -> np.ndarray:
    """Takes the pixel staircase out of a traced line, its ends left in place."""
    if len(points) < 5:
        return points
    for _ in range(2):
        inner = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
        points = np.concatenate([points[:1], inner, points[-1:]])
    return points
