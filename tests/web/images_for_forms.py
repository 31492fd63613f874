"""Images for the web app's tests, as bytes of files and as fields of forms."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as PillowImage
from stand_ins import Square, one_face, paint

TWO_FACES: list[Square] = [(10, 20, 50, (9, 9, 200)), (80, 2, 20, (200, 9, 9))]


def image_file(squares: list[Square] | int | None = None, kind: str = "PNG", **size: int) -> bytes:
    """Encode an image with the given squares; a number gives one square, None a black image."""
    chosen = [] if squares is None else one_face(squares) if isinstance(squares, int) else squares
    return encoded(PillowImage.fromarray(paint(chosen, **size)), kind)


def encoded(image: PillowImage.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Encode an image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sent(data: bytes, name: str = "image.png") -> tuple[io.BytesIO, str]:
    """Return a file in a form."""
    return io.BytesIO(data), name


def browser_form(fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]]) -> dict[str, Any]:
    """Encode a form as a browser does; return body and content type.

    fields  (name, text); in texts and names line ends become CR LF
    files   (field, file name, content); of names three characters are escaped
    """
    blocks = [(_escaped(name, lines=True), "", _crlf(text).encode()) for name, text in fields]
    blocks += [
        (_escaped(field, lines=True), f'; filename="{_escaped(name)}"\r\nContent-Type: image/png', content)
        for field, name, content in files
    ]
    body = b"".join(
        f'--limit\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
        for name, more, content in blocks
    )
    return {"data": body + b"--limit--\r\n", "content_type": "multipart/form-data; boundary=limit"}


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _escaped(name: str, *, lines: bool = False) -> str:
    plain = _crlf(name) if lines else name
    return plain.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def register(client: Any, *files: tuple[bytes, str], **fields: str) -> list[dict[str, Any]]:
    """Register files under names and wait; return the results."""
    form = browser_form(list(fields.items()), [("files", name, data) for data, name in files])
    answer = client.post("/api/v1/register?wait=true", **form)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json["job"]["results"]
    return results
