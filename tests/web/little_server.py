"""A server on the loopback interface that sends exactly the bytes that a test gives."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

Talk = Callable[[socket.socket], None]


class LittleServer:
    """Listens on 127.0.0.1 and hands each connection, its request read, to `talk`.

    requests  the heads of the requests so far
    """

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self._talk, self._tls = talk, tls
        self.requests: list[str] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> LittleServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                line, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError):  # the client may disconnect at any moment
            line.settimeout(10)
            if self._tls:
                line = self._tls.wrap_socket(line, server_side=True)
            with line:
                head = b""
                while b"\r\n\r\n" not in head and (block := line.recv(65536)):
                    head += block
                self.requests.append(head.decode("latin-1"))
                self._talk(line)


def answer(
    body: bytes, *, status: str = "200 OK", kind: str = "image/jpeg", length: int | None = None, more: str = ""
) -> Talk:
    """Return a function that sends one response."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{more}\r\n".encode("latin-1")

    def talk(line: socket.socket) -> None:
        line.sendall(head + body)

    return talk


@contextmanager
def closed_port() -> Iterator[int]:
    """Return a port of the loopback interface on which no server listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
