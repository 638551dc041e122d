"""The peer: what Sibyl's `predict` does, as a good Python engineer would write it.

`POST /predict` takes a multipart form with the file `image`, runs the model on it, stores image and prediction in one
transaction, and answers. The environment names the database (`DATABASE_URL`) and the model's file (`MODEL`).
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from model import LABELS, Model
from preprocess import decode, tensor
from records import Record, store
from starlette.datastructures import UploadFile


async def keep(connection: asyncpg.Connection) -> None:
    """Nothing of a connection has to be reset: that would be a round trip more for every request."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.model = Model(os.environ["MODEL"])
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=8, max_size=16, reset=keep) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(request: Request) -> Response:
    # Measured: an UploadFile as a parameter takes a fifth more CPU for the whole request.
    async with request.form() as form:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise HTTPException(422, "the form has no file `image`")
        data = await image.read()
    record = infer(request.app.state.model, data, image.filename)
    await store(request.app.state.pool, record)
    answer = {
        "id": record.id,
        "likelyClass": {"name": record.class_name, "confidence": record.confidence},
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def infer(model: Model, data: bytes, filename: str | None) -> Record:
    """Runs the model on an encoded image. It takes too little time to be worth another thread."""
    began = time.perf_counter_ns()
    try:
        picture, media_type = decode(data)
        values = tensor(picture, model.width, model.height)
    except OSError as error:
        raise HTTPException(415, "not an image that can be read") from error
    decoded = time.perf_counter_ns()
    scores = model.scores(values)
    ran = time.perf_counter_ns()
    likely = int(scores.argmax())
    output = {"name": model.output, "datatype": "FP32", "shape": scores.shape, "data": scores}
    return Record(
        image=data,
        filename=filename,
        content_type=media_type,
        width=picture.width,
        height=picture.height,
        class_index=likely,
        class_name=LABELS[likely],
        confidence=float(scores[likely]),
        outputs=orjson.dumps([output], option=orjson.OPT_SERIALIZE_NUMPY).decode(),
        decode_microseconds=(decoded - began) // 1000,
        inference_microseconds=(ran - decoded) // 1000,
    )
