"""`FormRequest`: malformed forms are errors; Werkzeug would treat them as empty forms."""

from __future__ import annotations

from typing import Any

from flask import Request
from werkzeug.formparser import FormDataParser

from faceall.web.errors import refused


class _Parser(FormDataParser):
    """Werkzeug's parser, but a malformed form is an error."""

    def __init__(self, *args: Any, **others: Any) -> None:
        super().__init__(*args, **others)
        self.silent = False

    def parse(self, *args: Any, **others: Any) -> Any:
        """Parse a form; raises RefusedError (400)."""
        try:
            return super().parse(*args, **others)
        except UnicodeDecodeError as error:
            raise refused("the form is malformed: a name or a field is not UTF-8") from error
        except ValueError as error:
            raise refused(
                "the form is malformed: it ends too early, or its boundary does not match its content type"
            ) from error


class FormRequest(Request):
    """A request whose form is either parsed completely or refused."""

    form_data_parser_class = _Parser
