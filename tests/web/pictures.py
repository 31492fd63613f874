"""Pictures for the web app's tests, as the bytes of files and as fields of forms."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as PillowImage
from stand_ins import Square, one_face, paint

TWO_FACES: list[Square] = [(10, 20, 50, (9, 9, 200)), (80, 2, 20, (200, 9, 9))]


def picture(squares: list[Square] | int | None = None, kind: str = "PNG", **size: int) -> bytes:
    """The file of a picture with squares; of one square for a number; black for None."""
    chosen = [] if squares is None else one_face(squares) if isinstance(squares, int) else squares
    return encoded(PillowImage.fromarray(paint(chosen, **size)), kind)


def encoded(image: PillowImage.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sent(data: bytes, name: str = "picture.png") -> tuple[io.BytesIO, str]:
    """A file in a form."""
    return io.BytesIO(data), name


def register(client: Any, *files: tuple[bytes, str], **fields: Any) -> list[dict[str, Any]]:
    """Register files under names and wait; returns the results."""
    form = {"files": [sent(data, name) for data, name in files], **fields}
    answer = client.post("/api/v1/register?wait=true", data=form)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json["job"]["results"]
    return results
