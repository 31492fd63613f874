"""`ServerOptions`: the address and the limits of the web app."""

from __future__ import annotations

import re
from dataclasses import dataclass

from faceall.errors import ArgumentError


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
    behind_proxy : bool
        Whether a reverse proxy sets `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`. Without a proxy clients could
        forge these headers.
    root_path : str
        Path below which the app is reachable, for example "/faces".
    allowed_origins : tuple of str
        Origins of other websites whose scripts may use the API, for example "https://example.org".
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
    behind_proxy: bool = False
    root_path: str = ""
    allowed_origins: tuple[str, ...] = ()
    threads: int = 96
    max_concurrent: int = 64
    register_threads: int = 8
    max_file_bytes: int = 64 << 20
    max_request_bytes: int = 256 << 20
    max_pixels: int = 200_000_000
    max_files: int = 500
    max_urls: int = 100
    max_waiting: int = 2000
    max_matches: int = 1000
    stop_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Check the root path and the origins; raises ArgumentError."""
        if self.root_path and not re.fullmatch(r"(/[\w.~-]+)+", self.root_path, re.ASCII):
            raise ArgumentError(f"root path is {self.root_path!r}, expected a path such as /faces")
        for origin in self.allowed_origins:
            if not re.fullmatch(r"https?://[\w.-]+(:\d+)?|https?://\[[\da-fA-F:]+\](:\d+)?", origin, re.ASCII):
                raise ArgumentError(f"origin is {origin!r}, expected scheme and host such as https://example.org")
