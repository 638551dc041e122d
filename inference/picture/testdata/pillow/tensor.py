"""Makes a photograph's tensor with Pillow and NumPy once for each line read, and answers with the seconds it took, and
with those of the processor.

The line `plain` decodes the whole photograph, `draft` as much smaller as libjpeg can without falling below the tensor.
"""

import io
import pathlib
import sys
import time

import numpy as np
from PIL import Image

SIDE = 224


def tensor(encoded: bytes, draft: bool) -> np.ndarray:
    image = Image.open(io.BytesIO(encoded))
    if draft:
        image.draft("RGB", (SIDE, SIDE))
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)


photograph = pathlib.Path(sys.argv[1]).read_bytes()
for line in sys.stdin:
    begin, used = time.perf_counter(), time.process_time()
    tensor(photograph, line.strip() == "draft")
    print(time.perf_counter() - begin, time.process_time() - used, flush=True)
