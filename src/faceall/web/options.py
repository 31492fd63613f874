"""`ServerOptions`: the address and the limits of the web app."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerOptions:
    """The address and the limits of the web app.

    Attributes
    ----------
    host : str
        Address to listen on.
    port : int
        Port to listen on; 0 is any free port.
    allowed_hosts : tuple of str
        Additional host names of the server.
    threads : int
        Requests that are processed at the same time.
    max_concurrent : int
        Requests that process images at the same time; others are refused with status 503.
    register_threads : int
        Registration jobs that run at the same time.
    max_file_bytes : int
        Of one image file.
    max_request_bytes : int
        Of one request.
    max_pixels : int
        Of one image.
    max_files : int
        Files in one request.
    max_urls : int
        URLs in one request.
    max_waiting : int
        Images that are accepted but not registered yet.
    max_matches : int
        Matches per face.
    stop_seconds : float
        Time that a shutdown waits for accepted work.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    threads: int = 96
    max_concurrent: int = 64
    register_threads: int = 8
    max_file_bytes: int = 20 << 20
    max_request_bytes: int = 256 << 20
    max_pixels: int = 60_000_000
    max_files: int = 500
    max_urls: int = 100
    max_waiting: int = 2000
    max_matches: int = 1000
    stop_seconds: float = 60.0
