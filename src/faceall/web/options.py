"""`ServerOptions`: how the web app listens, and what it takes at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerOptions:
    """Where the server listens, and its bounds.

    host, port          the address; 0 is any free port
    allowed_hosts       names by which the server may be called, besides the address and those of the loopback
    threads             requests that are answered at the same time
    most_inside         of them, those that work on pictures; further ones are told to ask again (503)
    register_threads    registrations that go on at the same time
    most_file_bytes     of one picture
    most_request_bytes  of one request
    most_pixels         of one picture
    most_files          pictures in one request
    most_urls           URLs in one request
    most_waiting        pictures that were taken but are not registered yet
    most_matches        answers per face
    stop_seconds        that a stop waits for work that was accepted
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    threads: int = 96
    most_inside: int = 64
    register_threads: int = 8
    most_file_bytes: int = 20 << 20
    most_request_bytes: int = 256 << 20
    most_pixels: int = 60_000_000
    most_files: int = 500
    most_urls: int = 100
    most_waiting: int = 2000
    most_matches: int = 1000
    stop_seconds: float = 60.0
