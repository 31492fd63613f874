"""The Swift sources of every package, and the folder that a package is written to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from faceall.errors import ConvertError
from faceall.files import make_folder, put_in_place, write_file
from faceall.models import sha256_of
from faceall.version import __version__

MARKER = "faceall-ios.json"
"""The file that marks a folder as a package: the package's files with their SHA-256."""

SCHEMA = 1

_PACKAGE = PurePosixPath("FaceAll/Package.swift")
_SHIPPED = ("FaceAll/Package.swift", "FaceAll/Sources", "FaceAll/Tests", "Example", "README.md")


@dataclass(frozen=True)
class Placed:
    """A package that was put in place.

    Attributes
    ----------
    status : {"written", "refreshed"}
        Whether the package is new or was there already.
    kept : tuple of str
        Changed files that were kept; the new version of each is beside it as NAME.new.
    """

    status: Literal["written", "refreshed"]
    kept: tuple[str, ...] = ()


def template_folder() -> Path:
    """Return the folder of the Swift sources, in the installed wheel or the source tree.

    Raises
    ------
    ConvertError
        If they are missing.
    """
    here = Path(__file__).resolve().parent
    for place in (here / "swift", here.parents[4] / "ios_export"):
        if (place / _PACKAGE).is_file():
            return place
    raise ConvertError("the Swift sources are missing from this installation: install faceall again")


def copy_template(target: Path) -> None:
    """Copy the Swift sources into the new folder `target`, without hidden files."""
    source = template_folder()
    for name in _SHIPPED:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, place, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns(".*"))
        else:
            shutil.copyfile(source / name, place)


def refuse_foreign(destination: Path) -> None:
    """Raise ConvertError where something lies at `destination` that is no package of ours, or a damaged one."""
    if not os.path.lexists(destination):
        return
    if not destination.is_dir():
        raise ConvertError(f"{destination}: exists already and is not a folder; choose another place")
    if any(destination.iterdir()):
        _known_files(destination)


def place_package(staged: Path, destination: Path) -> Placed:
    """Move a complete package from `staged` to its place, or refresh the package that is there.

    The files of the package are replaced, and files that are no longer part of one are removed. Files that were added
    or changed are kept. If the process is killed halfway, the same command completes the work.
    """
    checksums = dict(_checksums(staged))
    if not (destination / MARKER).is_file():
        _write_marker(staged, checksums)
        put_in_place(staged, destination)  # absent or empty, as `refuse_foreign` saw
        return Placed("written")
    known = _known_files(destination)
    kept = [name for name, digest in checksums.items() if _is_changed(destination / name, known.get(name), digest)]
    for name in checksums:
        target = destination / (f"{name}.new" if name in kept else name)
        make_folder(target.parent)
        put_in_place(staged / name, target)
    for name in known.keys() - checksums.keys():
        _remove_ours(destination, name, known[name])
    _write_marker(destination, checksums)
    return Placed("refreshed", tuple(sorted(kept)))


def tree_sha256(folder: Path) -> str:
    """Return one SHA-256 of all files below a folder and their names."""
    lines = (f"{digest}  {name}\n" for name, digest in _checksums(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _checksums(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and SHA-256 of every file below a folder, sorted by name."""
    paths = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    for name, path in paths:
        yield name, sha256_of(path)


def _known_files(destination: Path) -> Mapping[str, str]:
    """Return the package's files with their SHA-256, from the marker."""
    try:
        values = json.loads((destination / MARKER).read_text(encoding="utf-8"))
        schema, checksums = values["schema"], values["files"]
        fits = isinstance(schema, int) and isinstance(checksums, dict) and all(map(_is_inside, checksums))
    except FileNotFoundError as error:
        raise ConvertError(
            f"{destination}: is not replaced, as it holds no package that faceall made ({MARKER}); choose another place"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConvertError(f"{destination / MARKER}: cannot be read; choose another place") from error
    if not fits:
        raise ConvertError(f"{destination / MARKER}: is damaged; choose another place")
    if schema > SCHEMA:
        raise ConvertError(f"{destination}: was made by a newer faceall: upgrade faceall")
    return {str(name): str(digest) for name, digest in checksums.items()}


def _is_inside(name: object) -> bool:
    """Return whether a name of the marker stays within its folder."""
    if not isinstance(name, str) or "\\" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.parts != ()


def _is_changed(path: Path, old: str | None, new: str) -> bool:
    """Return whether a file differs from both the old and the new package's version."""
    if not path.is_file():
        return False
    found = sha256_of(path)
    return found not in (old, new)


def _remove_ours(destination: Path, name: str, digest: str) -> None:
    """Remove an unchanged file that is no longer part of a package, and folders that are empty then."""
    path = destination / name
    if not path.is_file() or path.is_symlink() or sha256_of(path) != digest:
        return
    path.unlink()
    folder = path.parent
    while folder != destination and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _write_marker(folder: Path, checksums: Mapping[str, str]) -> None:
    values = {"schema": SCHEMA, "writer": f"faceall {__version__}", "files": dict(checksums)}
    write_file(folder / MARKER, json.dumps(values, indent=2) + "\n")
