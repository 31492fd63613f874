"""Answer who is on an image over HTTP."""

from pathlib import Path

import cv2
import numpy as np
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from insightface.app import FaceAnalysis

app = FaceAnalysis()
app.prepare(ctx_id=-1)
known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in [face.normed_embedding for face in app.get(cv2.imread(str(path)))]
]
names, vectors = [name for name, _ in known], np.stack([vector for _, vector in known])
app_ = FastAPI()


def who(content: bytes) -> list[dict]:
    """Search for the faces of an uploaded image."""
    found = []
    for vector in [face.normed_embedding for face in app.get(cv2.imdecode(np.frombuffer(content, np.uint8), 1))]:
        distances = 1 - vectors @ vector
        best = int(distances.argmin())
        found.append({"person": names[best], "distance": float(distances[best])})
    return found


@app_.post("/who")
async def post_who(request: Request) -> list[dict]:
    """Answer a request."""
    return await run_in_threadpool(who, await request.body())
