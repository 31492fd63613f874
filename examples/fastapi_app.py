"""Answer who is on an image over HTTP: `uvicorn fastapi_app:app`, or run it once here."""

import tempfile
from pathlib import Path

from faceall import Gallery

HERE = Path(__file__).parent
gallery = Gallery.open(tempfile.mkdtemp())
gallery.register(HERE / "photos", names_from="folders")


def who(content: bytes) -> list[dict]:
    """Search for the faces of an uploaded image."""
    return gallery.search(content, k=1).to_dicts()


try:
    from fastapi import FastAPI, Request
    from fastapi.concurrency import run_in_threadpool

    app = FastAPI()

    @app.post("/who")
    async def post_who(request: Request) -> list[dict]:
        """Answer a request; the search runs in a thread and does not block others."""
        return await run_in_threadpool(who, await request.body())
except ImportError:
    print("for the server: pip install fastapi uvicorn")

if __name__ == "__main__":
    print(who((HERE / "someone.jpg").read_bytes()))
    gallery.close()
