"""A Milvus server with passwords and TLS: scripts/test-milvus starts one for this module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from milvus_places import SERVER

from faceall.images import write_image
from faceall.types import Image

CERTIFICATE = os.environ.get("FACEALL_TEST_MILVUS_CERTIFICATE", "")
ROOT = "root:Milvus"  # the password of a new server

pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
pytestmark = pytest.mark.skipif(
    not (SERVER and CERTIFICATE), reason="needs a Milvus server with passwords and TLS: scripts/test-milvus"
)


def opening(
    credentials: str = "",
    *,
    scheme: str = "milvuss",
    name: str = "secure",
    then: str = 'print("opened", len(gallery), gallery)',
    **environment: str,
) -> str:
    """Open a gallery in a process of its own, since pymilvus shares connections; return what it prints."""
    place = SERVER.replace("127.0.0.1", "localhost")  # the name in the certificate
    address = f"{scheme}://{credentials}{'@' if credentials else ''}{place}/{name}"
    program = f"""
from faceall.errors import FaceallError
from faceall.gallery import Gallery
try:
    with Gallery.open({address!r}) as gallery:
        {then}
except FaceallError as error:
    print(error)
"""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FACEALL_MILVUS_CA": CERTIFICATE, **environment}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_password_and_certificate_open_a_gallery() -> None:
    """With password and certificate a new, empty gallery is created."""
    assert opening(ROOT).startswith("opened 0")


def test_a_registered_face_is_found_by_another_process(tmp_path: Path, astronaut: Image) -> None:
    """Everything works through TLS and with a password: register, search, remove."""
    photo = tmp_path / "photo.png"
    write_image(photo, astronaut)
    register = f"print([result.status for result in gallery.register([{str(photo)!r}], person='Eileen')])"
    assert opening(ROOT, name="people", then=register) == "['added']"
    search = f"print(len(gallery), gallery.search({str(photo)!r})[0].matches[0].person)"
    assert opening(ROOT, name="people", then=search) == "1 Eileen"
    assert opening(ROOT, name="people", then="print(len(gallery.people.remove('Eileen').faces))") == "1"
    assert opening(ROOT, name="people").startswith("opened 0")


def test_password_from_the_environment() -> None:
    """A token in the environment opens the gallery and is not shown."""
    text = opening(FACEALL_MILVUS_TOKEN=ROOT)
    assert text.startswith("opened 0")
    assert ROOT not in text


@pytest.mark.parametrize("credentials", ["", "root:wrong", "nobody:Milvus"])
def test_wrong_password_is_reported(credentials: str) -> None:
    """One line names the variables and does not show the password."""
    text = opening(credentials)
    assert "the user, password or token is wrong (FACEALL_MILVUS_TOKEN" in text
    assert "\n" not in text
    assert not credentials or credentials not in text


def test_unknown_certificate_is_refused() -> None:
    """Without the server's certificate no data is sent to the server."""
    assert "the server's certificate is not trusted" in opening(ROOT, FACEALL_MILVUS_CA="")


def test_plain_connection_is_refused() -> None:
    """A server with TLS refuses a connection without TLS."""
    assert "check host, port and TLS (milvuss://)" in opening(ROOT, scheme="milvus")
