"""What the peer stores: an input with its bytes and a prediction, in the tables of `migrations/`."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

# Both rows in one statement, so that the transaction is one round trip.
INSERT = """
WITH input AS (
  INSERT INTO inputs (id, created_at, filename, content_type, width, height, byte_size, sha256, image)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
)
INSERT INTO predictions (id, input_id, created_at, model, version, source, class_index, class_name, confidence, outputs,
  decode_microseconds, queue_microseconds, inference_microseconds)
VALUES ($10, $1, $2, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"""

MODEL, VERSION, SOURCE = "mnist", 1, "REQUEST"


def uuid7(milliseconds: int) -> UUID:
    """A UUID that sorts by time (RFC 9562, version 7)."""
    chance = int.from_bytes(os.urandom(10), "big")
    return UUID(
        int=milliseconds << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64 | 0x2 << 62 | chance & 0x3FFF_FFFF_FFFF_FFFF
    )


@dataclass(slots=True, kw_only=True)
class Record:
    """One prediction with its input."""

    image: bytes
    filename: str | None
    content_type: str
    width: int
    height: int
    class_index: int
    class_name: str
    confidence: float
    outputs: str  # JSON
    decode_microseconds: int
    inference_microseconds: int
    milliseconds: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    input_id: UUID = field(init=False)
    id: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.input_id, self.id = uuid7(self.milliseconds), uuid7(self.milliseconds)


async def store(pool: asyncpg.Pool, r: Record) -> None:
    """Stores input and prediction in one transaction; when it returns, both are durable."""
    created_at = datetime.fromtimestamp(r.milliseconds / 1000, UTC)
    digest = hashlib.sha256(r.image).digest()
    await pool.execute(
        INSERT,
        r.input_id, created_at, r.filename, r.content_type, r.width, r.height, len(r.image), digest, r.image,
        r.id, MODEL, VERSION, SOURCE, r.class_index, r.class_name, r.confidence, r.outputs,
        r.decode_microseconds, 0, r.inference_microseconds,
    )
