"""Addresses of galleries in Milvus are parsed without a client and shown without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceall.errors import FaceallError, IndexFileError
from faceall.gallery import default_folder, default_place
from faceall.gallery.addresses import is_address
from faceall.gallery.milvus.address import Address
from faceall.gallery.opening import open_store

SECRET = "s3cr3t!"


@pytest.mark.parametrize(
    ("text", "uri", "name", "shown"),
    [
        ("milvus://db.example/faces", "http://db.example:19530", "faces", "milvus://db.example:19530/faces"),
        ("milvus://db.example:1234", "http://db.example:1234", "gallery", "milvus://db.example:1234/gallery"),
        ("milvuss://db.example/a_1", "https://db.example:19530", "a_1", "milvuss://db.example:19530/a_1"),
        ("milvus://h/x?secure=true", "https://h:19530", "x", "milvuss://h:19530/x"),
        ("milvus://h/x?database=d", "http://h:19530", "x", "milvus://h:19530/x?database=d"),
        ("milvus://[::1]:7/x", "http://[::1]:7", "x", "milvus://[::1]:7/x"),
        ("milvus-lite:///tmp/a.db", "/tmp/a.db", "gallery", "milvus-lite:///tmp/a.db"),
        ("milvus-lite:///tmp/a.db?name=b", "/tmp/a.db", "b", "milvus-lite:///tmp/a.db?name=b"),
    ],
)
def test_addresses_are_parsed(text: str, uri: str, name: str, shown: str) -> None:
    """Host, port, name, TLS and database are parsed; the address is shown in one form that parses to the same."""
    address = Address.parse(text)
    assert (address.uri, address.name, str(address)) == (uri, name, shown)
    assert Address.parse(shown) == address


def test_credentials_are_read_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials come from the URL or the environment, and appear neither in str nor in repr."""
    address = Address.parse("milvus://ada:s3cr3t%21@h/x")
    assert (address.user, address.password, address.token) == ("ada", SECRET, "")
    monkeypatch.setenv("FACEALL_MILVUS_TOKEN", SECRET)
    monkeypatch.setenv("FACEALL_MILVUS_USER", "eve")
    monkeypatch.setenv("FACEALL_MILVUS_PASSWORD", SECRET)
    other = Address.parse("milvus://h/x")
    assert (other.user, other.password, other.token) == ("eve", SECRET, SECRET)
    for shown in (str(address), repr(address), str(other), repr(other)):
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("milvus:///x", "names no host"),
        ("milvus://h:port/x", "not a number from 0 to 65535"),
        ("milvus://ada:s3cr3t!@h:99999/x", "not a number from 0 to 65535"),
        ("milvus://ada:s3cr3t!@h/a-b", "cannot be called 'a-b'"),
        ("milvus://h/1a", "cannot be called '1a'"),
        ("milvus://h/x?secure=maybe", "expected true or false"),
        ("milvus://h/x?colour=red", "unknown option 'colour'"),
        ("milvus-lite://", "names no file"),
        ("milvus-lite:///tmp/faces", "has to end in .db"),
        ("http://h/x", "begins with 'http'"),
    ],
)
def test_wrong_addresses_are_refused_in_one_line(text: str, complaint: str) -> None:
    """The error says what is wrong without a password in the address."""
    with pytest.raises(FaceallError, match=complaint) as found:
        Address.parse(text)
    assert "\n" not in str(found.value)
    assert "s3cr3t" not in str(found.value)


def test_folders_are_not_addresses() -> None:
    """A path without a scheme is a folder, also one with a drive letter."""
    assert is_address("milvus://h/x")
    assert not any(
        map(is_address, ("gallery", "/a/milvus:/b", "./a://b", "C:\\faces", "C://f", Path("milvus:/h"), None))
    )


@pytest.mark.parametrize("text", ["milvs://h/x", "https://h/x", "milvus:h/x"])
def test_misspelt_addresses_create_no_folder(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong scheme is refused, also from the environment, and no folder of that name is created."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FaceallError, match=r"begins with|names no host"):
        open_store(text)
    monkeypatch.setenv("FACEALL_GALLERY", text)
    assert default_place() == text
    assert not list(tmp_path.iterdir())


def test_environment_names_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """FACEALL_GALLERY can be an address; functions that need a folder refuse it."""
    monkeypatch.setenv("FACEALL_GALLERY", "milvus://h/x")
    assert default_place() == "milvus://h/x"
    with pytest.raises(FaceallError, match="in a folder, not in Milvus"):
        default_folder()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory"),
        ("folder", "it is a folder, expected a file of PEM certificates"),
        (b"not a certificate", "it is not a file of PEM certificates"),
        (b"", "it is not a file of PEM certificates"),
    ],
)
def test_unusable_certificate_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | str | None, complaint: str
) -> None:
    """Before a server is contacted, one line names the variable, the file and what is wrong with it."""
    file = tmp_path / "authority.pem"
    if content == "folder":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    monkeypatch.setenv("FACEALL_MILVUS_CA", str(file))
    with pytest.raises(IndexFileError) as found:
        open_store("milvuss://127.0.0.1:1/x")
    assert str(found.value) == f"FACEALL_MILVUS_CA={file} cannot be used: {complaint}"
