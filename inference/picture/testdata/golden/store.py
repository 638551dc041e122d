"""Writes what the golden tests read: images, cases and the values that are expected of these."""

from __future__ import annotations

import gzip
import json
import pathlib

HERE = pathlib.Path(__file__).parent


def store(
    images: pathlib.Path, files: dict[str, bytes], name: str, cases: list[dict], expected: str, values: list[bytes]
) -> None:
    """Replaces all images of the directory, the list of cases, and their values one after the other."""
    images.mkdir(exist_ok=True)
    for old in images.iterdir():
        old.unlink()
    for file, data in files.items():
        (images / file).write_bytes(data)
    (HERE / name).write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    (HERE / expected).write_bytes(gzip.compress(b"".join(values), 9, mtime=0))
    size = sum(f.stat().st_size for f in [*images.iterdir(), HERE / expected])
    print(f"{len(cases)} cases, {len(files)} images, {size} bytes")
