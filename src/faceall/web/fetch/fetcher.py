"""`Fetcher`: SSRF-safe download of images.

A host name is resolved once. All its addresses must be public, and the connection is made to one of these addresses,
not to the name, so DNS rebinding has no effect. Each redirect is checked in the same way. Proxies of the environment
are not used, because they would resolve the name themselves.

All failures before the response have the same message, so that clients cannot scan ports or host names.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from faceall.errors import ImageError
from faceall.images.metadata import InspectedImage, inspect_image
from faceall.version import __version__
from faceall.web.fetch.addresses import Address, is_public, literal_address, parse_addresses
from faceall.web.fetch.urls import Target, file_name, parse_url, shown_url
from faceall.web.refusal import FetchError

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host name; the second argument is the port. Raises OSError."""

_REDIRECTS = (301, 302, 303, 307, 308)
_BLOCK = 1 << 16
_MAX_ADDRESSES = 16  # of one name
_MAX_TRIES = 3
_UNREACHABLE = "cannot be reached at a public address"


@dataclass(frozen=True)
class FetchLimits:
    """Limits of one download.

    Attributes
    ----------
    max_bytes : int
        Of the image file.
    max_pixels : int
        Of the image.
    seconds : float
        Total time, including redirects.
    connect_seconds : float
        Time to connect to one address.
    redirects : int
        Maximum number of redirects.
    ports : tuple of int
        Allowed ports.
    """

    max_bytes: int = 20 << 20
    max_pixels: int = 200_000_000
    seconds: float = 20.0
    connect_seconds: float = 5.0
    redirects: int = 3
    ports: tuple[int, ...] = (80, 443, 8080, 8443)


@dataclass(frozen=True, eq=False)
class Fetched:
    """A downloaded image.

    Attributes
    ----------
    data : bytes
        The file.
    name : str
        File name in the URL.
    content_type : str
        As sent by the server.
    inspected : InspectedImage, optional
        Header and metadata of the image, by which it was checked.
    """

    data: bytes
    name: str
    content_type: str
    inspected: InspectedImage | None = None


class Fetcher:
    """Downloads images; thread-safe.

    Parameters
    ----------
    limits : FetchLimits, optional
        Limits of each download.
    resolve : callable, optional
        Resolves host names; by default the system's resolver.
    permit : callable, optional
        Decides which addresses are allowed; by default `is_public`.
    tls : ssl.SSLContext, optional
        By default the certificates that the system trusts.
    """

    def __init__(
        self,
        limits: FetchLimits | None = None,
        *,
        resolve: Resolve | None = None,
        permit: Callable[[Address], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._resolve = resolve or _system_addresses
        self._permit = permit
        self._tls = tls or ssl.create_default_context()

    def fetch(self, url: str) -> Fetched:
        """Download the image at an http or https URL.

        Raises
        ------
        FetchError
            If the URL is refused or unreachable, or the response is too large, too slow or not an image.
        """
        deadline = time.monotonic() + self.limits.seconds
        place = url
        try:
            for _ in range(self.limits.redirects + 1):
                target = self._check(place)
                answer = self._ask(target, deadline)
                if isinstance(answer, Fetched):
                    return answer
                place = urljoin(place, answer)
            raise FetchError(f"redirects more than {self.limits.redirects} times")
        except FetchError as error:
            raise FetchError(f"{shown_url(url)}: {error}") from error

    def _check(self, url: str) -> Target:
        """Parse a URL and check its port."""
        target = parse_url(url)
        if target.port not in self.limits.ports:
            known = ", ".join(map(str, self.limits.ports))
            raise FetchError(f"port {target.port} is not allowed; allowed ports: {known}")
        return target

    def _ask(self, target: Target, deadline: float) -> Fetched | str:
        """Send one request; returns the image, or the URL of a redirect."""
        addresses = self._addresses(target, deadline)
        with _Connection(target, self._tls, deadline) as connection:
            try:
                connection.connect(addresses[:_MAX_TRIES], self.limits.connect_seconds)
                response = connection.request()
                if response.status in _REDIRECTS:
                    return _location_of(response)
                return self._receive(response, target, deadline)
            except FetchError:
                raise
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise FetchError(self._explain(connection, deadline)) from error

    def _explain(self, connection: _Connection, deadline: float) -> str:
        """Return the message of a failed request, which reveals nothing about the other network."""
        if not connection.answered:
            return _UNREACHABLE
        late = time.monotonic() >= deadline
        return f"took longer than {self.limits.seconds:g} seconds" if late else "the connection broke"

    def _addresses(self, target: Target, deadline: float) -> list[Address]:
        """Return all addresses of a host; raises FetchError if any of them is not permitted."""
        literal = literal_address(target.host)
        if literal is not None:
            if not self._permit(literal):
                raise FetchError("is not a public address; only images on the public internet are downloaded")
            return [literal]
        addresses = self._resolve_within(target, deadline)
        if not 0 < len(addresses) <= _MAX_ADDRESSES or not all(map(self._permit, addresses)):
            raise FetchError(_UNREACHABLE)
        return addresses

    def _resolve_within(self, target: Target, deadline: float) -> list[Address]:
        """Resolve a host name; returns no address if that fails or takes too long."""
        found: list[Address] = []

        def look_up() -> None:
            try:
                found.extend(parse_addresses(self._resolve(target.host, target.port)))
            except (OSError, ValueError, UnicodeError):
                found.clear()  # reported like every other failure

        thread = threading.Thread(target=look_up, name="faceall-resolve", daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))  # the system's resolver has no timeout
        return [] if thread.is_alive() else found

    def _receive(self, response: http.client.HTTPResponse, target: Target, deadline: float) -> Fetched:
        """Read the image of a response, up to the size limit."""
        max_bytes = self.limits.max_bytes
        if response.status != 200:
            raise FetchError(f"the server responded with status {response.status}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise FetchError("the server sent a compressed response, which is not supported")
        if (response.length or 0) > max_bytes:
            raise FetchError(f"has {response.length:,} bytes, the limit is {max_bytes:,}")
        data = bytearray()
        while block := response.read1(_BLOCK):
            data += block
            if len(data) > max_bytes:
                raise FetchError(f"has more than {max_bytes:,} bytes, which is the limit")
        if response.length or time.monotonic() >= deadline:
            raise ConnectionError
        content = bytes(data)
        inspected = _inspected(content, self.limits.max_pixels)
        return Fetched(content, file_name(target.path), response.headers.get_content_type(), inspected)


class _Connection:
    """A connection to a checked address, closed at the deadline."""

    def __init__(self, target: Target, tls: ssl.SSLContext, deadline: float) -> None:
        self._target, self._tls, self._deadline = target, tls, deadline
        self._socket: socket.socket | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._interrupt)
        self._timer.daemon = True
        self.answered = False  # whether a status line was received

    def __enter__(self) -> _Connection:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._connection is not None:
            self._connection.close()
        if self._socket is not None:
            self._socket.close()

    def _interrupt(self) -> None:
        """Interrupt the blocking call of the request's thread; called by the timer."""
        connected = self._socket
        if connected is not None:
            with contextlib.suppress(OSError):  # already closed
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def connect(self, addresses: Sequence[Address], seconds: float) -> None:
        """Connect to the first address that responds; raises OSError."""
        failure: OSError = TimeoutError()
        for address in addresses:
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                self._socket = socket.create_connection((str(address), self._target.port), min(seconds, left))
                break
            except OSError as error:
                failure = error
        if self._socket is None:
            raise failure
        self._socket.settimeout(max(0.1, self._deadline - time.monotonic()))
        if self._target.scheme == "https":
            # the address was checked; the certificate and SNI are those of the name
            self._socket = self._tls.wrap_socket(
                self._socket, server_hostname=self._target.host.removesuffix("."), do_handshake_on_connect=False
            )
            if time.monotonic() >= self._deadline:  # the timer may have run before the socket was wrapped
                raise TimeoutError
            self._socket.do_handshake()

    def request(self) -> http.client.HTTPResponse:
        """Send the request and read the response headers; raises OSError or HTTPException."""
        connection = http.client.HTTPConnection(self._target.host, self._target.port)
        connection.sock = self._socket
        self._connection = connection
        connection.putrequest("GET", self._target.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self._target.header)
        connection.putheader("Accept", "image/*")
        connection.putheader("Accept-Encoding", "identity")
        connection.putheader("User-Agent", f"faceall/{__version__}")
        connection.putheader("Connection", "close")
        connection.endheaders()
        response = connection.getresponse()
        self.answered = True
        return response


def _location_of(response: http.client.HTTPResponse) -> str:
    location = response.headers.get("Location")
    if not location:
        raise FetchError("redirects without a location")
    return location


def _inspected(data: bytes, max_pixels: int) -> InspectedImage:
    """Check by the file's header that it is an image; return header and metadata."""
    try:
        return inspect_image(data, max_pixels=max_pixels)
    except ImageError as error:
        raise FetchError(error.reason) from error


def _system_addresses(host: str, port: int) -> list[str]:
    """Resolve a host name with the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
