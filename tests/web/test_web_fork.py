"""An app made before a fork (`gunicorn --preload`) works in the forked process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flask", reason="needs the extra faceall[web]")

_PROGRAM = """
import io, os, sys, signal
from images_for_forms import image_file, sent
from stand_ins import ColourDetector, ColourEmbedder
from faceall.gallery import Gallery
from faceall.web import create_app

gallery = Gallery.open(sys.argv[1], detector=ColourDetector(), embedder=ColourEmbedder())
app = create_app(gallery)
children = []
for number in (1, 2):
    child = os.fork()
    if not child:
        signal.alarm(60)  # ends the process if it hangs
        data = {"files": sent(image_file(number), f"Ada/{number}.png")}
        answer = app.test_client().post("/api/v1/register?wait=true", data=data)
        statuses = [result["status"] for result in answer.json["job"]["results"]]
        os._exit(0 if statuses == ["registered"] else 1)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print(codes, len(Gallery.open(sys.argv[1], read_only=True)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_app_registers(tmp_path: Path) -> None:
    """Two processes forked after `create_app` register photos with `wait=true`."""
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path / "gallery")],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.split() == ["[0,", "0]", "2"], done.stderr[-2000:]
