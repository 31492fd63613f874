"""Errors of the web app that become HTTP error responses."""

from __future__ import annotations

from faceall.errors import FaceallError


class RefusedError(FaceallError):
    """A request, or a part of it, is refused.

    Parameters
    ----------
    text : str
        The message.
    status : int
        HTTP status, 4xx or 5xx.
    code : str
        Machine-readable code, for example "too_large".
    retry_after : int, optional
        Seconds after which the client may try again.
    """

    def __init__(self, text: str, *, status: int, code: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class FetchError(RefusedError):
    """A URL is refused, or it does not return an image. The message names the URL."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=422, code="unprocessable")


def too_large(text: str) -> RefusedError:
    """Make an error with status 413."""
    return RefusedError(text, status=413, code="too_large")
