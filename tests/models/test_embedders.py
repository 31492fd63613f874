"""Embedders of other projects: recognised by their files, fetched file by file."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faceall.errors import DownloadError
from faceall.models import KNOWN_EMBEDDERS, KnownEmbedder, recognise_embedder, sha256_of
from faceall.models import fetch as fetching

FILES = {"net.xml": b"<net/>", "net.bin": bytes(range(256)) * 100}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder with the two files, and its address on the loopback interface."""
    folder = tmp_path / "served" / "net"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder.parent))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def known(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> KnownEmbedder:
    """The one known embedder; its public address is not reachable."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    embedder = KnownEmbedder(name="net", files=digests, licence="free", url="http://127.0.0.1:9/absent/")
    monkeypatch.setattr(fetching, "KNOWN_EMBEDDERS", (embedder,))
    return embedder


def test_every_file_is_fetched_from_a_mirror(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file is returned for the import, the others are beside it; what is there is not fetched again."""
    monkeypatch.setenv("FACEALL_MIRROR", served[1])
    file = fetching.fetch("net", directory=tmp_path / "here")
    assert file == tmp_path / "here" / "net.xml"
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == FILES
    for path in served[0].iterdir():
        path.unlink()
    assert fetching.fetch("net", directory=tmp_path / "here") == file


def test_an_address_of_ones_own_is_a_folder(served: tuple[Path, str], tmp_path: Path) -> None:
    """Both files come from there."""
    file = fetching.fetch("net", url=f"{served[1]}/net", directory=tmp_path / "here")
    assert sorted(path.name for path in file.parent.iterdir()) == ["net.bin", "net.xml"]


def test_other_bytes_are_refused(served: tuple[Path, str], tmp_path: Path) -> None:
    """A file that is not the known one is not kept, and the message has both checksums."""
    (served[0] / "net.bin").write_bytes(b"other")
    with pytest.raises(DownloadError, match=r"net\.bin: SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        fetching.fetch("net", url=f"{served[1]}/net", directory=tmp_path / "here")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["net.xml"]


def test_unknown_names_list_the_known_ones() -> None:
    """FaceNet's releases and the embedders with an address."""
    with pytest.raises(DownloadError, match=r"no published model 'w600k-r50'; known are .*20180402-114759.*net"):
        fetching.fetch("w600k-r50")


def test_0095_is_the_file_at_hand(shared: Path) -> None:
    """The checksums are those of Intel's release."""
    folder = shared / "models" / "omz"
    known = recognise_embedder([sha256_of(path) for path in folder.iterdir()])
    assert known is not None
    assert (known.name, known.channels, known.alignment) == ("face-reidentification-retail-0095", "BGR", "openvino")


def test_known_names_are_valid_and_differ() -> None:
    """A name is a folder's; each file's checksum is known once."""
    names = [known.name for known in KNOWN_EMBEDDERS]
    digests = [digest for known in KNOWN_EMBEDDERS for digest in known.files.values()]
    assert len(set(names)) == len(names)
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 64 and known.licence for known in KNOWN_EMBEDDERS for digest in known.files.values())
