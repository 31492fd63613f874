"""Attacks on a running server, byte by byte, and the status with which it answers each.

Run as a program against a server that runs already, it prints a table: python attacks.py PORT [KEY]
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from PIL import Image as PillowImage

BOUNDARY = "----attack"


@dataclass(frozen=True)
class Answer:
    """Response of the server; status 0 is a connection closed without a response."""

    status: int
    body: bytes = b""
    seconds: float = 0.0

    @property
    def code(self) -> str:
        """Return the code of an error in the API's error format; empty for anything else."""
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(self.body)["error"]["code"])
        return ""


@dataclass(frozen=True)
class Target:
    """Address of the server and the key for it."""

    port: int
    key: str | None = None

    def send(self, raw: Sequence[bytes], *, pause: float = 0.0, timeout: float = 20.0) -> Answer:
        """Send pieces of bytes and read the response."""
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout) as line:
            with suppress(OSError):  # the server may close before it has received everything
                for piece in raw:
                    line.sendall(piece)
                    time.sleep(pause)
            return read_answer(line, start)

    def post(self, path: str, body: bytes, kind: str) -> Answer:
        """Send a well-formed request."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{self.authorization}Content-Type: {kind}\r\n"
        return self.send([f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body])

    def upload(self, path: str, field: str, data: bytes, name: str = "image.jpg") -> Answer:
        """Send a form with one file."""
        return self.post(path, form((field, name, data)), f"multipart/form-data; boundary={BOUNDARY}")

    @property
    def authorization(self) -> str:
        """Return the header with the key."""
        return f"Authorization: Bearer {self.key}\r\n" if self.key else ""


def read_answer(line: socket.socket, start: float) -> Answer:
    """Read the response of a connection; status 0 if it was closed or sent nothing."""
    try:
        response = http.client.HTTPResponse(line)
        response.begin()
        return Answer(response.status, response.read(), time.monotonic() - start)
    except (OSError, http.client.HTTPException):
        return Answer(0, b"", time.monotonic() - start)


def form(*files: tuple[str, str, bytes]) -> bytes:
    """Build a multipart body of (field, file name, content)."""
    parts = []
    for field, name, data in files:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def jpeg(side: int = 300) -> bytes:
    """Make a plain JPEG."""
    file = io.BytesIO()
    PillowImage.effect_noise((side, side), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes], rows: int = 1000) -> bytes:
    """Make a gray PNG that declares a size, with extra chunks and the given number of zero rows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    more = b"".join(chunk(name, content) for name, content in chunks)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def gif(width: int, height: int, frames: int) -> bytes:
    """Make a GIF that declares a size, with many frames of full size."""
    file = io.BytesIO()
    PillowImage.new("1", (500, 500)).save(file, "GIF")
    data = file.getvalue()
    end = 13 + (3 << ((data[10] & 7) + 1))  # size of the header with its colours
    head = data[:6] + struct.pack("<HH", width, height) + data[10:end]
    return head + data[end:-1] * frames + b";"


def chunked(body: bytes, size: int = 5000) -> bytes:
    """Encode a body in chunks."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def head_of(target: Target, *lines: str, path: str = "/api/v1/search") -> bytes:
    """Return the head of a POST with additional header lines."""
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    more = "".join(f"{line}\r\n" for line in lines)
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{target.authorization}{kind}{more}\r\n".encode()


SEARCH = "/api/v1/search"
REGISTER = "/api/v1/register?wait=true"
Attack = Callable[[Target], Answer]

IMAGES: dict[str, tuple[bytes, int]] = {
    "PNG bomb, 50,000 x 50,000": (png(50_000, 50_000), 413),
    "PNG bomb in its text (zTXt of 200 MB)": (
        png(60, 60, (b"zTXt", b"a\0\0" + zlib.compress(b"x" * 200_000_000, 9)), rows=60), 415,
    ),
    "truncated JPEG": (jpeg()[:2000], 200),
    "JPEG of its first bytes only": (b"\xff\xd8\xff\xe0", 415),
    "GIF of 60,000 x 60,000": (gif(60_000, 60_000, 1), 413),
    "GIF animation bomb, 20,000 frames": (gif(2000, 2000, 20_000), 200),
    "SVG with a script": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 415),
    "SVG with an entity bomb": (b"<!DOCTYPE svg [<!ENTITY a 'aaaa'>]><svg>&a;</svg>", 415),
    "GIF and JavaScript in one (polyglot)": (b"GIF89a/*" + b"\0" * 40 + b"*/=1;alert(1)", 415),
    "JPEG with HTML behind it (polyglot)": (jpeg() + b"<script>alert(1)</script>", 200),
    "ZIP called a JPEG": (b"PK\3\4" + b"\0" * 200, 415),
    "an empty file": (b"", 415),
}  # fmt: skip
"""Files that are sent to the search, and the status that each deserves."""


def ten_thousand_parts(target: Target) -> Answer:
    """Send a form of 10,000 files."""
    body = form(*(("files", f"{number}.jpg", b"x") for number in range(10_000)))
    return target.post("/api/v1/register", body, f"multipart/form-data; boundary={BOUNDARY}")


def huge_field(target: Target) -> Answer:
    """Send a field of 20 MB that is not a file."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="k"\r\n\r\n'.encode() + b"1" * (20 << 20)
    body = part + f"\r\n--{BOUNDARY}--\r\n".encode()
    return target.post(SEARCH, body, f"multipart/form-data; boundary={BOUNDARY}")


def no_end_of_form(target: Target) -> Answer:
    """Send a form without its end."""
    return target.post(SEARCH, form(("file", "a.jpg", jpeg()))[:-40], f"multipart/form-data; boundary={BOUNDARY}")


def huge_header(target: Target) -> Answer:
    """Send a header of 1 MB."""
    return target.send([head_of(target, "X: " + "a" * (1 << 20))])


def many_headers(target: Target) -> Answer:
    """Send 50,000 headers."""
    return target.send([head_of(target, *(f"X-{number}: 1" for number in range(50_000)))])


def claimed_terabyte(target: Target) -> Answer:
    """Send a Content-Length of 1 TB."""
    return target.send([head_of(target, "Content-Length: 1099511627776"), b"x" * 1000])


def negative_length(target: Target) -> Answer:
    """Send a negative Content-Length."""
    return target.send([head_of(target, "Content-Length: -1"), b"x"])


def two_lengths(target: Target) -> Answer:
    """Send two different Content-Lengths."""
    return target.send([head_of(target, "Content-Length: 5", "Content-Length: 50"), b"hello"])


def length_and_chunks(target: Target) -> Answer:
    """Send Content-Length and chunks together (request smuggling)."""
    return target.send([head_of(target, "Content-Length: 5", "Transfer-Encoding: chunked"), chunked(b"hello")])


def bad_chunks(target: Target) -> Answer:
    """Send chunks with invalid sizes."""
    return target.send([head_of(target, "Transfer-Encoding: chunked"), b"zz\r\nhello\r\n0\r\n\r\n"])


def chunked_image(target: Target) -> Answer:
    """Send a valid form in chunks, which is accepted."""
    body = chunked(form(("file", "a.jpg", jpeg())))
    return target.send([head_of(target, "Transfer-Encoding: chunked"), body])


def too_long_body(target: Target) -> Answer:
    """Send more bytes than declared; the rest must not be handled as a second request."""
    return target.send([head_of(target, "Content-Length: 10"), b"x" * 5000])


def deep_json(target: Target) -> Answer:
    """Send lists nested 100,000 deep."""
    return target.post("/api/v1/register", b'{"urls":' + b"[" * 100_000, "application/json")


def inner_url(target: Target) -> Answer:
    """Send the URL of the cloud's metadata service as an image."""
    return target.post(REGISTER, b'{"urls":["http://169.254.169.254/latest/meta-data/"]}', "application/json")


def foreign_host(target: Target) -> Answer:
    """Send the Host header of a foreign name that resolves to this machine (DNS rebinding)."""
    return target.send([f"GET /api/v1/people HTTP/1.1\r\nHost: evil.example\r\n{target.authorization}\r\n".encode()])


def foreign_page(target: Target) -> Answer:
    """Send a form from another site."""
    origin = "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\n"
    head = (
        f"POST /api/v1/cluster HTTP/1.1\r\nHost: localhost\r\n{target.authorization}{origin}Content-Length: 0\r\n\r\n"
    )
    return target.send([head.encode()])


def trace(target: Target) -> Answer:
    """Send TRACE, which would return the request's headers."""
    return target.send([f"TRACE / HTTP/1.1\r\nHost: localhost\r\n{target.authorization}\r\n".encode()])


def path_upwards(target: Target) -> Answer:
    """Request a path outside of the folder of the pages."""
    path = "/static/..%2f..%2f..%2f..%2fetc%2fpasswd"
    return target.send([f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{target.authorization}\r\n".encode()])


REQUESTS: dict[Attack, tuple[int, ...]] = {
    ten_thousand_parts: (413,),
    huge_field: (413,),
    no_end_of_form: (400,),
    huge_header: (431,),
    many_headers: (431,),
    claimed_terabyte: (413,),
    negative_length: (400,),
    two_lengths: (400,),
    length_and_chunks: (400,),
    bad_chunks: (400,),
    chunked_image: (200,),
    too_long_body: (400,),
    deep_json: (400,),
    inner_url: (200,),  # the job's only result is an error
    foreign_host: (403,),
    foreign_page: (403,),
    trace: (405,),
    path_upwards: (404,),
}
"""Requests, and the statuses that each deserves."""


def main() -> None:
    target = Target(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
    for name, (data, wanted) in IMAGES.items():
        show(name, target.upload(SEARCH, "file", data), (wanted,))
    for attack, statuses in REQUESTS.items():
        show((attack.__doc__ or "").strip().rstrip("."), attack(target), statuses)


def show(name: str, answer: Answer, wanted: tuple[int, ...]) -> None:
    """Format one line of the table."""
    verdict = "as it should" if answer.status in wanted else f"WRONG, wanted {wanted}"
    text = answer.body[:110].decode(errors="replace")
    with suppress(ValueError, KeyError, TypeError):
        text = json.loads(answer.body)["error"]["message"][:110]
    print(f"{answer.status}  {answer.seconds:5.2f} s  {verdict}  {name}: {text}")


if __name__ == "__main__":
    main()
