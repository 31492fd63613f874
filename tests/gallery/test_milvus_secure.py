"""A Milvus server with passwords and TLS: scripts/test-milvus starts one for this module."""

from __future__ import annotations

import os
from contextlib import closing

import pytest
from milvus_places import SERVER
from stand_ins import ColourDetector, ColourEmbedder

from faceall.errors import IndexFileError
from faceall.gallery import Gallery

CERTIFICATE = os.environ.get("FACEALL_TEST_MILVUS_CERTIFICATE", "")
ROOT = "root:Milvus"  # the password of a new server

pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
pytestmark = pytest.mark.skipif(
    not (SERVER and CERTIFICATE), reason="needs a Milvus server with passwords and TLS: scripts/test-milvus"
)


def opened(credentials: str = "", *, scheme: str = "milvuss") -> Gallery:
    """Open a gallery on the server."""
    place = SERVER.replace("127.0.0.1", "localhost")  # the name in the certificate
    address = f"{scheme}://{credentials}{'@' if credentials else ''}{place}/secure"
    return Gallery.open(address, detector=ColourDetector(), embedder=ColourEmbedder())


@pytest.fixture(autouse=True)
def certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the server's certificate."""
    monkeypatch.setenv("FACEALL_MILVUS_CA", CERTIFICATE)


def test_password_and_certificate_open_a_gallery() -> None:
    """With both, a gallery is made and is empty."""
    with closing(opened(ROOT)) as gallery:
        assert len(gallery) == 0


def test_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token in the environment does the same, and is not shown."""
    monkeypatch.setenv("FACEALL_MILVUS_TOKEN", ROOT)
    with closing(opened()) as gallery:
        assert "Milvus" not in repr(gallery)


@pytest.mark.parametrize("credentials", ["", "root:wrong", "nobody:Milvus"])
def test_wrong_password_is_said(credentials: str) -> None:
    """One line names the variables, and never the password."""
    with pytest.raises(IndexFileError, match="the user, password or token is wrong") as found:
        opened(credentials)
    assert "wrong@" not in str(found.value)
    assert "\n" not in str(found.value)


def test_unknown_certificate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the server's certificate nothing is sent to it."""
    monkeypatch.delenv("FACEALL_MILVUS_CA")
    with pytest.raises(IndexFileError, match=r"check host, port and TLS"):
        opened(ROOT)


def test_plain_connection_is_refused() -> None:
    """A server with TLS is not reached without."""
    with pytest.raises(IndexFileError, match=r"check host, port and TLS"):
        opened(ROOT, scheme="milvus")
