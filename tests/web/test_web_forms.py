"""Forms that cannot be read are reported as such, and an upload does not create a gallery."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from images_for_forms import image_file

ROUTES = ("/api/v1/register", "/api/v1/search", "/faceRegister", "/faceRetrieve")


def part(name: bytes, filename: bytes, data: bytes) -> bytes:
    """Return the part of a form with a file."""
    head = b'--limit\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n' % (name, filename)
    return head + data + b"\r\n"


def post(client: Any, route: str, body: bytes, boundary: str = "; boundary=limit") -> str:
    """Send a form that is refused; return the error."""
    answer = client.post(route, data=body, content_type=f"multipart/form-data{boundary}")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_request")
    return str(answer.json["error"]["message"])


@pytest.mark.parametrize("route", ROUTES)
def test_a_name_in_another_encoding_is_reported(client: Any, route: str) -> None:
    """A file name in GBK, as old programs on Chinese Windows send it, is reported."""
    for field, name in ((b"file", "\u5f20\u4e09.png".encode("gbk")), ("\u5f20".encode("gbk"), b"a.png")):
        assert "not UTF-8" in post(client, route, part(field, name, image_file(1)) + b"--limit--\r\n")


@pytest.mark.parametrize("route", ROUTES)
def test_a_malformed_form_is_reported(client: Any, route: str) -> None:
    """A missing or wrong boundary and a truncated image are reported."""
    whole = part(b"file", b"a.png", image_file(1)) + b"--limit--\r\n"
    for body, boundary in ((whole, ""), (whole, "; boundary=other"), (whole[:-40], "; boundary=limit")):
        assert "the form is malformed" in post(client, route, body, boundary)


def test_a_missing_gallery_is_not_created_again(client: Any, folder: Path) -> None:
    """If the gallery's folder disappears, an upload does not create a new one."""
    folder.rename(folder.with_name("elsewhere"))
    answer = client.post("/api/v1/register?wait=true", data={"files": (BytesIO(image_file(1)), "a.png")})
    [result] = answer.json["job"]["results"]
    assert result["status"] == "failed"
    assert "cannot be saved on the server" in result["message"]
    assert not folder.exists()
