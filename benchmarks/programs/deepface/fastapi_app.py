"""Answer who is on an image over HTTP."""

from io import BytesIO
from pathlib import Path

import numpy as np
from deepface import DeepFace
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

known = [
    (path.parent.name, vector)
    for path in Path("photos").glob("*/*.jpg")
    for vector in [
        found["embedding"] for found in DeepFace.represent(str(path), model_name="Facenet512", enforce_detection=False)
    ]
]
names, vectors = [name for name, _ in known], np.stack([vector for _, vector in known])
app = FastAPI()


def who(content: bytes) -> list[dict]:
    """Search for the faces of an uploaded image."""
    found = []
    for vector in [
        found["embedding"]
        for found in DeepFace.represent(BytesIO(content), model_name="Facenet512", enforce_detection=False)
    ]:
        distances = 1 - vectors @ vector / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vector)
        best = int(distances.argmin())
        found.append({"person": names[best], "distance": float(distances[best])})
    return found


@app.post("/who")
async def post_who(request: Request) -> list[dict]:
    """Answer a request."""
    return await run_in_threadpool(who, await request.body())
