"""Forms that cannot be read are told, where Werkzeug would take them for forms without any field."""

from __future__ import annotations

from typing import Any

from flask import Request
from werkzeug.formparser import FormDataParser

from faceall.web.errors import refused


class _Parser(FormDataParser):
    """Werkzeug's, but a form that it cannot read is an error."""

    def __init__(self, *args: Any, **others: Any) -> None:
        super().__init__(*args, **others)
        self.silent = False

    def parse(self, *args: Any, **others: Any) -> Any:
        """Read a form. Raises RefusedError (400)."""
        try:
            return super().parse(*args, **others)
        except UnicodeDecodeError as error:
            raise refused("the form cannot be read: a name or a field in it is not UTF-8") from error
        except ValueError as error:
            raise refused(
                "the form cannot be read: it ends too early, or its boundary is not as its type says"
            ) from error


class FormRequest(Request):
    """A request whose form is either read whole or refused."""

    form_data_parser_class = _Parser
