"""The memory of large images is returned to the system."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from faceall.web.work.memory import return_large_blocks

_PROGRAM = """
import io, sys
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
from faceall.images import read_image
from faceall.web.work.memory import return_large_blocks

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) >> 10

def encoded(width):
    buffer = io.BytesIO()
    Image.new("RGB", (width, 4000)).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()

assert return_large_blocks()
files = [encoded(width) for width in range(3000, 5000, 200)]
before = resident()
with ThreadPoolExecutor(10) as pool:
    for _ in range(2):
        list(pool.map(lambda data: read_image(data).shape, files))
print(resident() - before)
"""


@pytest.mark.skipif(not return_large_blocks(), reason="only glibc keeps freed blocks in this way")
def test_memory_returns_to_its_level_after_large_images() -> None:
    """Ten threads decode images of 12 to 19 MP, which need 600 MB; at most 150 MB stay allocated."""
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert int(done.stdout) < 150
