"""Download an official FaceNet file, only when a person asks for it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from faceall.errors import DownloadError
from faceall.models.folder import sha256_of
from faceall.models.known import KNOWN_MODELS, KnownModel
from faceall.models.store import data_folder

Progress = Callable[[int, int | None], None]

_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte


def fetch(
    name: str,
    *,
    url: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download a known model's zip, check it, and take the frozen graph out of it.

    name       of the release, e.g. "20180402-114759" or "facenet-20180402-114759"
    url        where to get the zip; by default a mirror of the release
    directory  where to put it; by default `downloads` in the user's data folder
    progress   is told (bytes so far, bytes in all or None) now and then
    returns    the path of NAME.pb, ready to be imported; at once where it lies there already, unharmed

    A broken download is taken up where it stopped. Both the zip and the graph in it have to have their known SHA-256.
    Raises DownloadError.
    """
    known = _known(name)
    folder = data_folder() / "downloads" if directory is None else Path(directory)
    graph, partial = folder / known.file_name, folder / f"{known.name}.zip.part"
    try:
        if graph.is_file() and sha256_of(graph) == known.sha256:
            return graph
        folder.mkdir(parents=True, exist_ok=True)
        _download(url or str(known.url), partial, progress)
        _check_zip(partial, known)
        _extract(partial, graph, known)
        partial.unlink()
    except OSError as error:
        raise DownloadError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return graph


def _known(name: str) -> KnownModel:
    """The published file of that name."""
    published = [model for model in KNOWN_MODELS if model.url is not None]
    for model in published:
        if name in (model.name, model.model_name, model.file_name):
            return model
    raise DownloadError(f"no published model '{name}'; known are {', '.join(model.name for model in published)}")


def _download(url: str, partial: Path, progress: Progress | None) -> None:
    """Fill `partial` from a URL, from where it ends to the end of the file."""
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url}: is not an http or https address")
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            _receive(response, partial, url, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send; the checksum decides
            return
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"{url}: cannot be reached ({error.reason})") from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        raise DownloadError(f"{url}: the connection broke ({error}); run it again to go on") from error


def _receive(response: HTTPResponse, partial: Path, url: str, progress: Progress | None) -> None:
    """Append (206) or write anew (200) what the server sends."""
    resumed = response.status == 206
    done = partial.stat().st_size if resumed else 0
    left = response.headers.get("Content-Length")
    total = done + int(left) if left is not None and left.isdigit() else None
    with partial.open("ab" if resumed else "wb") as file:
        while block := response.read(_BLOCK):
            file.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise DownloadError(f"{url}: stopped after {done:,} of {total:,} bytes; run it again to go on")


def _check_zip(partial: Path, known: KnownModel) -> None:
    """Compare the zip with its known SHA-256; a wrong one is deleted, for it cannot be taken up."""
    actual = sha256_of(partial)
    if actual != known.zip_sha256:
        partial.unlink()
        raise DownloadError(
            f"{known.name}.zip: SHA-256 is {actual}, expected {known.zip_sha256}; nothing was kept, try again or "
            "another address"
        )


def _extract(archive: Path, graph: Path, known: KnownModel) -> None:
    """Take NAME/NAME.pb out of the zip, to a hidden sibling first; no path of the zip is ever used for writing."""
    member = f"{known.name}/{known.file_name}"
    draft = graph.with_name(f".{graph.name}.{secrets.token_hex(4)}.part")
    try:
        with zipfile.ZipFile(archive) as zipped, zipped.open(member) as source, draft.open("xb") as target:
            shutil.copyfileobj(source, target, _BLOCK)
            target.flush()
            os.fsync(target.fileno())
        actual = sha256_of(draft)
        if actual != known.sha256:
            raise DownloadError(f"{member}: SHA-256 is {actual}, expected {known.sha256}")
        os.replace(draft, graph)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DownloadError(f"{archive}: holds no {member} ({error})") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
