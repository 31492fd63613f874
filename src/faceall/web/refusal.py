"""What the web app does not do, with the status and the code that its answer carries."""

from __future__ import annotations

from faceall.errors import FaceallError


class RefusedError(FaceallError):
    """A request, or a part of one, that is refused.

    status       of the HTTP answer, 4xx or 5xx
    code         a word for programs, as "too_large"
    retry_after  seconds after which it is worth to ask again, where it is
    """

    def __init__(self, text: str, *, status: int, code: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class FetchError(RefusedError):
    """A URL is refused, or no picture came from it. The text names the URL."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=422, code="unprocessable")
