"""Download published models, only when asked to."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from faceall.errors import DownloadError
from faceall.files import put_in_place, replacing
from faceall.models.detectors import KNOWN_DETECTORS, KnownDetector
from faceall.models.embedders import KNOWN_EMBEDDERS, KnownEmbedder
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
    """Download a published model and verify it.

    An interrupted download is resumed. Every file must have its known SHA-256; if an address fails or sends other
    bytes, the next one is tried. The proxies in http_proxy and https_proxy are used.

    Parameters
    ----------
    name : str
        The model, as "20180402-114759", "facenet-20180402-114759", "face-reidentification-retail-0095" or "yunet".
    url : str, optional
        The address of the zip, or of the folder with the files. Default: the folders that FACEALL_MIRROR lists (http
        or https addresses separated by spaces), then the public address.
    directory : path, optional
        Where to write it. Default: `downloads` in the user's data folder.
    progress : callable, optional
        Called with the bytes so far and the total, which may be None.

    Returns
    -------
    Path
        The file to import. An undamaged one is returned at once.

    Raises
    ------
    DownloadError
        If no address sends the file; the message has the error of each.
    """
    known = find_published(name)
    folder = data_folder() / "downloads" if directory is None else Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(known, KnownModel):
            return _fetch_graph(known, url, folder, progress)
        return _fetch_files(known, url, folder, progress)
    except OSError as error:
        raise DownloadError(f"{folder}: cannot be written ({error.strerror or error})") from error


def find_published(name: str) -> KnownModel | KnownEmbedder | KnownDetector:
    """Return the published model of a name, as `fetch` takes it.

    Raises
    ------
    DownloadError
        If the name is unknown; the message lists the known names.
    """
    published = [model for model in (*KNOWN_MODELS, *KNOWN_EMBEDDERS, *KNOWN_DETECTORS) if model.url is not None]
    for model in published:
        if name in (model.name, model.model_name, model.file_name):
            return model
    raise DownloadError(f"no published model '{name}'; known are {', '.join(model.name for model in published)}")


def _fetch_graph(known: KnownModel, url: str | None, folder: Path, progress: Progress | None) -> Path:
    """Fetch the zip of a FaceNet release and extract its graph."""
    graph, partial = folder / known.file_name, folder / f"{known.name}.zip.part"
    if graph.is_file() and sha256_of(graph) == known.sha256:
        return graph
    addresses = [url] if url else _addresses(f"{known.name}.zip", str(known.url))
    _fetch_from_first(addresses, partial, str(known.zip_sha256), progress)
    _extract(partial, graph, known)
    partial.unlink()
    return graph


def _fetch_files(
    known: KnownEmbedder | KnownDetector, url: str | None, folder: Path, progress: Progress | None
) -> Path:
    """Fetch the files of an embedder or detector; return the first, which is imported."""
    base = f"{(url or str(known.url)).rstrip('/')}/"
    for name, digest in known.files.items():
        if (folder / name).is_file() and sha256_of(folder / name) == digest:
            continue
        partial = folder / f"{name}.part"
        addresses = [f"{base}{name}"] if url else _addresses(f"{known.name}/{name}", f"{base}{name}")
        _fetch_from_first(addresses, partial, digest, progress)
        put_in_place(partial, folder / name)
    return folder / known.file_name


def _addresses(file: str, published: str) -> list[str]:
    """Return the addresses of a file, in the order to try them."""
    mirrors = os.environ.get("FACEALL_MIRROR", "").split()
    return [*(f"{mirror.rstrip('/')}/{file}" for mirror in mirrors), published]


def _fetch_from_first(addresses: list[str], partial: Path, sha256: str, progress: Progress | None) -> None:
    """Fill `partial` from the first address that gives the expected bytes."""
    failures: list[str] = []
    for address in addresses:
        failure = _failure_of(address, partial, sha256, progress)
        if failure is None:
            return
        failures.append(failure)
    raise DownloadError("; ".join(failures))


def _failure_of(address: str, partial: Path, sha256: str, progress: Progress | None) -> str | None:
    """Fill `partial` from one address; return the error, or None."""
    try:
        _download(address, partial, progress)
        _check(partial, sha256, address)
    except DownloadError as error:
        return str(error)
    return None


def _download(url: str, partial: Path, progress: Progress | None) -> None:
    """Fill `partial` from a URL, from where it ends to the end of the file."""
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url}: is not an http or https address")
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.build_opener().open(request, timeout=_TIMEOUT) as response:  # the proxies of this moment
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
    """Append (206) or rewrite (200) what the server sends."""
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
    if total is not None and done < total:
        raise DownloadError(f"{url}: stopped after {done:,} of {total:,} bytes; run it again to go on")


def _check(partial: Path, sha256: str, url: str) -> None:
    """Compare a file with its known SHA-256; a wrong one is deleted, as it cannot be resumed."""
    actual = sha256_of(partial)
    if actual != sha256:
        partial.unlink()
        raise DownloadError(
            f"{url}: SHA-256 is {actual}, expected {sha256}; nothing was kept, try again or another address"
        )


def _extract(archive: Path, graph: Path, known: KnownModel) -> None:
    """Extract NAME/NAME.pb from the zip; no path of the zip is used for writing."""
    member = f"{known.name}/{known.file_name}"
    try:
        with zipfile.ZipFile(archive) as zipped, zipped.open(member) as source, replacing(graph) as draft:
            with draft.open("xb") as target:
                shutil.copyfileobj(source, target, _BLOCK)
            actual = sha256_of(draft)
            if actual != known.sha256:
                raise DownloadError(f"{member}: SHA-256 is {actual}, expected {known.sha256}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise DownloadError(f"{archive}: holds no {member} ({error})") from error
