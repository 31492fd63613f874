"""`Fetcher`: a picture from a URL that a stranger gave, without becoming that stranger's hand in our network.

A name is resolved once. Every address that it has must be public, and the connection is made to such an address
itself, never to the name again: a name server that answers differently the next moment changes nothing. Each redirect
begins anew. Proxies of the environment are not used, for they would resolve the name themselves.

What goes wrong on the way to a host is told in one way only: whether a port is open, closed or silent, or a name
exists, is nobody's business.
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
from faceall.images import read_header
from faceall.version import __version__
from faceall.web.fetch.addresses import Address, is_public, literal_address, parse_addresses
from faceall.web.fetch.urls import Target, file_name, parse_url, shown_url
from faceall.web.refusal import FetchError

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a name, as text; the second argument is the port. Raises OSError."""

_REDIRECTS = (301, 302, 303, 307, 308)
_BLOCK = 1 << 16
_MOST_ADDRESSES = 16  # of one name
_TRIED = 3
_UNREACHABLE = "cannot be reached at a public address"


@dataclass(frozen=True)
class FetchLimits:
    """The bounds on one download.

    most_bytes       of the picture's file
    most_pixels      of the picture
    seconds          for all of it, redirects too
    connect_seconds  until one address answers
    redirects        at most so many
    ports            the only ones that are asked
    """

    most_bytes: int = 20 << 20
    most_pixels: int = 60_000_000
    seconds: float = 20.0
    connect_seconds: float = 5.0
    redirects: int = 3
    ports: tuple[int, ...] = (80, 443, 8080, 8443)


@dataclass(frozen=True, eq=False)
class Fetched:
    """What came from a URL: the bytes of a picture, the file name in the URL, and what the server calls its kind."""

    data: bytes
    name: str
    content_type: str


class Fetcher:
    """Downloads pictures. Safe to call from several threads.

    limits   the bounds on each download
    resolve  how names become addresses; by default as the system does it
    permit   which addresses may be asked; by default public ones
    tls      how servers prove who they are; by default with the certificates that the system trusts
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
        """Download the picture at `url`, http or https.

        Raises FetchError: the URL is refused, nothing answers, too much or too slow comes, or it is not a picture.
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
        """Take a URL apart, and refuse one that is not plain."""
        target = parse_url(url)
        if target.port not in self.limits.ports:
            known = ", ".join(map(str, self.limits.ports))
            raise FetchError(f"port {target.port} is not asked for pictures; allowed are {known}")
        return target

    def _ask(self, target: Target, deadline: float) -> Fetched | str:
        """One request: the picture, or where the server sends us to."""
        addresses = self._addresses(target, deadline)
        with _Line(target, self._tls, deadline) as line:
            try:
                line.connect(addresses[:_TRIED], self.limits.connect_seconds)
                response = line.request()
                if response.status in _REDIRECTS:
                    return _place_of(response)
                return self._receive(response, target, deadline)
            except FetchError:
                raise
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise FetchError(self._trouble(line, deadline)) from error

    def _trouble(self, line: _Line, deadline: float) -> str:
        """What to tell of a failed request: the same for all reasons that say something about the other network."""
        if not line.answered:
            return _UNREACHABLE
        late = time.monotonic() >= deadline
        return f"took longer than {self.limits.seconds:g} seconds" if late else "the connection broke"

    def _addresses(self, target: Target, deadline: float) -> list[Address]:
        """Every address of a host, all of them permitted."""
        literal = literal_address(target.host)
        if literal is not None:
            if not self._permit(literal):
                raise FetchError("is not a public address; only pictures on the internet are fetched")
            return [literal]
        addresses = self._looked_up(target, deadline)
        if not 0 < len(addresses) <= _MOST_ADDRESSES or not all(map(self._permit, addresses)):
            raise FetchError(_UNREACHABLE)
        return addresses

    def _looked_up(self, target: Target, deadline: float) -> list[Address]:
        """The addresses of a name, none where it has none or the answer takes too long."""
        found: list[Address] = []

        def look_up() -> None:
            try:
                found.extend(parse_addresses(self._resolve(target.host, target.port)))
            except (OSError, ValueError, UnicodeError):
                found.clear()  # no such name: told as every other reason

        thread = threading.Thread(target=look_up, name="faceall-resolve", daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))  # the system's resolver knows no deadline
        return [] if thread.is_alive() else found

    def _receive(self, response: http.client.HTTPResponse, target: Target, deadline: float) -> Fetched:
        """The picture in an answer, never more of it than the cap."""
        most = self.limits.most_bytes
        if response.status != 200:
            raise FetchError(f"the server answers {response.status}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise FetchError("the server sends it compressed, though asked not to")
        if (response.length or 0) > most:
            raise FetchError(f"has {response.length:,} bytes, the limit is {most:,}")
        data = bytearray()
        while block := response.read1(_BLOCK):
            data += block
            if len(data) > most:
                raise FetchError(f"has more than {most:,} bytes")
        if response.length or time.monotonic() >= deadline:
            raise ConnectionError
        _check_picture(bytes(data), self.limits.most_pixels)
        return Fetched(bytes(data), file_name(target.path), response.headers.get_content_type())


class _Line:
    """One connection to one checked address, cut at the deadline whatever the other side does."""

    def __init__(self, target: Target, tls: ssl.SSLContext, deadline: float) -> None:
        self._target, self._tls, self._deadline = target, tls, deadline
        self._socket: socket.socket | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._cut)
        self._timer.daemon = True
        self.answered = False  # whether the server has sent a status line

    def __enter__(self) -> _Line:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._connection is not None:
            self._connection.close()
        if self._socket is not None:
            self._socket.close()

    def _cut(self) -> None:
        """End what the thread of the request waits for; called in the timer's thread."""
        line = self._socket
        if line is not None:
            with contextlib.suppress(OSError):  # it is closed already
                socket.socket.shutdown(line, socket.SHUT_RDWR)

    def connect(self, addresses: Sequence[Address], seconds: float) -> None:
        """Connect to the first address that answers. Raises OSError."""
        trouble: OSError = TimeoutError()
        for address in addresses:
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                self._socket = socket.create_connection((str(address), self._target.port), min(seconds, left))
                break
            except OSError as error:
                trouble = error
        if self._socket is None:
            raise trouble
        self._socket.settimeout(max(0.1, self._deadline - time.monotonic()))
        if self._target.scheme == "https":
            # the address was checked; the certificate and SNI are those of the name
            self._socket = self._tls.wrap_socket(
                self._socket, server_hostname=self._target.host.removesuffix("."), do_handshake_on_connect=False
            )
            if time.monotonic() >= self._deadline:  # the timer may have met the socket before it was wrapped
                raise TimeoutError
            self._socket.do_handshake()

    def request(self) -> http.client.HTTPResponse:
        """Send the request and read the head of the answer. Raises OSError or HTTPException."""
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


def _place_of(response: http.client.HTTPResponse) -> str:
    place = response.headers.get("Location")
    if not place:
        raise FetchError("redirects to nowhere")
    return place


def _check_picture(data: bytes, most_pixels: int) -> None:
    """Refuse what is not a picture by its first bytes, whatever the server calls it."""
    try:
        read_header(data, max_pixels=most_pixels)
    except ImageError as error:
        raise FetchError(error.reason) from error


def _system_addresses(host: str, port: int) -> list[str]:
    """What the system says about a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
