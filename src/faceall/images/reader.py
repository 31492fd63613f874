"""Which software decodes images: if it changes, files that could not be read are tried again."""

from __future__ import annotations

from functools import lru_cache

from faceall import version as faceall_version
from faceall.arguments import checked

_PACKAGES = ("pillow", "pillow-heif", "pillow-jxl-plugin", "rawpy")


@checked
def reader_version() -> str:
    """Name the versions of faceall and of the packages that decode images."""
    return " ".join((faceall_version.__version__, *_installed()))


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    return tuple(found for package in _PACKAGES if (found := _name_and_version(package)))


def _name_and_version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{package}-{version(package)}"
    except PackageNotFoundError:
        return None
