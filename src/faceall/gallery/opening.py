"""The default location of a gallery, and how it is opened: in a folder, or at an address of Milvus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from faceall.arguments import checked
from faceall.errors import FaceallError, IndexFileError
from faceall.gallery.addresses import is_address
from faceall.gallery.embedded import EmbeddedStore
from faceall.models import data_folder

if TYPE_CHECKING:
    from faceall.gallery.store import Store

DATABASE = "faces.db"


@checked
def default_place() -> Path | str:
    """Return the default location: FACEALL_GALLERY, else "gallery" in the user's data folder."""
    given = os.environ.get("FACEALL_GALLERY")
    if given:
        return given if is_address(given) else Path(given).expanduser()
    return data_folder() / "gallery"


@checked
def default_folder() -> Path:
    """Return the default location. Raises FaceallError if FACEALL_GALLERY is an address."""
    return as_folder(default_place())


@checked
def as_folder(place: str | os.PathLike[str]) -> Path:
    """Return a place as a folder.

    Raises
    ------
    FaceallError
        If it is an address of Milvus.
    """
    if is_address(place):
        raise FaceallError("this takes a gallery in a folder, not in Milvus: --gallery DIR; see faceall index move")
    return Path(place)


@checked
def folder_of(place: str | os.PathLike[str]) -> Path:
    """Return the folder of a gallery's files; for Milvus, the local folder with its uploads."""
    if isinstance(place, str) and is_address(place):
        from faceall.gallery.milvus.address import Address

        return Address.parse(place).folder
    return Path(os.path.abspath(place))


@checked
def holds_gallery(folder: Path) -> bool:
    """Return whether there is a gallery in `folder`.

    Raises
    ------
    IndexFileError
        If that cannot be determined.
    """
    try:
        (folder / DATABASE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise IndexFileError(f"{folder} cannot be used: {error.strerror}") from error
    return True


def open_store(place: str | os.PathLike[str], *, read_only: bool = False) -> Store:
    """Open the gallery in a folder or at an address, or create it.

    Raises
    ------
    IndexFileError
        It cannot be created, reached or used; or one of its subclasses IndexDamagedError, IndexNewerError and
        IndexBusyError.
    MissingDependencyError
        Milvus without pymilvus.
    """
    if isinstance(place, str) and is_address(place):
        from faceall.gallery.milvus import Address, MilvusStore

        return MilvusStore(Address.parse(place), read_only=read_only)
    folder = Path(os.path.abspath(place))
    if read_only and not holds_gallery(folder):
        raise IndexFileError(f"{folder}: there is no gallery yet; register photos first: faceall register PHOTOS")
    return EmbeddedStore.open(folder, read_only=read_only)
