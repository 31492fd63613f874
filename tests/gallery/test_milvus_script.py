"""scripts/test-milvus skips the server's tests only where PyPI has no build of the server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "test-milvus"

pytestmark = pytest.mark.skipif(os.name == "nt" or not SCRIPT.exists(), reason="needs the script and bash")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("ERROR: No matching distribution found for milvus==2.3.5", 0),
        ("WARNING: Retrying (Retry(total=1)\nERROR: No matching distribution found for milvus==2.3.5", 1),
        ("ERROR: Could not install packages due to an OSError: No space left on device", 1),
    ],
)
def test_failed_installation_is_not_skipped(tmp_path: Path, said: str, code: int) -> None:
    """A lost network or a full disk fails; a missing build is skipped."""
    (tmp_path / "bin").mkdir()
    for name, body in (("python", "exit 0"), ("pip", f"echo '{said}' >&2; exit 1")):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    run = subprocess.run(
        ["bash", str(SCRIPT), "--server"],
        capture_output=True,
        text=True,
        env={**os.environ, "FACEALL_MILVUS_VENV": str(tmp_path)},
        check=False,
    )
    assert (run.returncode, "tests are skipped" in run.stdout) == (code, code == 0), run.stderr
