"""Special files and kept copies of repairs are reported and block nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.gallery import Gallery

_READ = """
import sys
from pathlib import Path
from faceall.gallery.naming import Candidate
from faceall.gallery.registration.scan import read_file
print(read_file(Candidate(Path(sys.argv[1]), None)).result.message)
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_in_the_place_of_a_photo_does_not_block(tmp_path: Path) -> None:
    """A photo replaced by a pipe after it was listed is reported without waiting for the pipe."""
    os.mkfifo(tmp_path / "photo.jpg")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _READ, str(tmp_path / "photo.jpg")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "not a regular file" in done.stdout


@pytest.mark.embedded("repairs keep files beside SQLite's")
def test_a_receipt_names_the_copies_of_repairs(gallery: Gallery, tmp_path: Path) -> None:
    """A removal is incomplete while a kept damaged database contains the removed face."""
    gallery.register(write_photo(tmp_path / "photos" / "a.png", one_face(3)))
    (face,) = gallery.faces.find()
    kept = gallery.folder / "faces.db.damaged-20260101-000000-abcd"
    kept.write_bytes((gallery.folder / "faces.db").read_bytes())
    receipt = gallery.faces.remove([face.face_id]).receipt
    assert receipt is not None
    assert receipt.damaged_copies == (kept.name,)
    assert not receipt.complete
