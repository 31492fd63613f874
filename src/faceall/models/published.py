"""What is known of the published models of other projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A model of another project, recognised by the checksums of its files.

    Attributes
    ----------
    name : str
        The name of the installed model.
    files : mapping of str to str
        File name -> SHA-256; the first file is the one to import.
    licence : str
        The terms of the weights.
    url : str or None
        The folder with the files; None if they are not fetched.
    """

    name: str
    files: Mapping[str, str] = field(hash=False)
    licence: str
    url: str | None = None

    @property
    def model_name(self) -> str:
        """The name of the installed model."""
        return self.name

    @property
    def file_name(self) -> str:
        """The name of the file to import."""
        return next(iter(self.files))
