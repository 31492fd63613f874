"""Thumbnails of faces for the HTML reports."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

from faceall.analysis.analyser import make_thumbnail
from faceall.errors import ImageError
from faceall.evaluate.embedding import Read
from faceall.types import Face


class Thumbnails:
    """Face thumbnails as data URIs, each made once."""

    def __init__(self, faces: Mapping[Path, Face], read: Read) -> None:
        self._faces = faces
        self._read = read
        self._made: dict[Path, str] = {}

    def show(self, path: Path) -> str:
        """Return an <img>, or an empty box if the file no longer exists."""
        if path not in self._made:
            self._made[path] = self._make(path)
        return self._made[path]

    def _make(self, path: Path) -> str:
        """Read the image and render its face."""
        name = escape(path.name)
        try:
            jpeg = make_thumbnail(self._read(path), self._faces[path])
        except ImageError as error:
            return f'<span class="gone" title="{escape(str(error))}">{name}</span>'
        return f'<img alt="{name}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
