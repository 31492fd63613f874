"""Fixtures of the command line's tests: a tiny embedder, a real detector and a temporary gallery."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from cli_runs import Run
from click.testing import CliRunner, Result
from json_schemas import AVAILABLE, validate_lines
from PIL import Image as PillowImage

from faceall.types import Image
from faceall_cli.main import main
from tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with the tiny embedder."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a temporary cache of compiled nets, so that the user's cache is not touched."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(models: Path, cache: Path, tmp_path: Path) -> dict[str, str]:
    """Set the environment variables of a user whose models and gallery are in temporary folders."""
    return {
        "FACEALL_MODELS": str(models),
        "FACEALL_CACHE": str(cache),
        "FACEALL_DATA": str(tmp_path / "data"),
        "FACEALL_GALLERY": str(tmp_path / "gallery"),
        "EMBEDDING_SIZE": "",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Return a function that runs a command in this process and validates JSON lines; exceptions are raised."""

    def runner(*arguments: str | Path, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(main, list(map(str, arguments)), env=environment, prog_name="faceall")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        if AVAILABLE and "--json" in arguments:
            validate_lines(result.stdout)
        return result

    return runner


@pytest.fixture
def process_environment(environment: dict[str, str]) -> dict[str, str]:
    """Return the same environment for subprocesses."""
    search_path = os.pathsep.join(part for part in sys.path if part)
    return {**os.environ, **environment, "PYTHONPATH": search_path}


@pytest.fixture
def portraits(astronaut: Image, tmp_path: Path) -> Path:
    """Return photos of two people (the astronaut and her mirror image) and an image without a face."""
    folder = tmp_path / "photos"
    for name, pixels in {
        "Eileen/1": astronaut,
        "Mirror/1": astronaut[:, ::-1],
        "wall": astronaut[:40, :40] * 0,
    }.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(pixels).save(path)
    return folder
