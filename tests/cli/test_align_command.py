"""`faceall align` with the real detector: output, exit codes, and recovery after a kill."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from faceall import cores, train
from faceall.images import read_image
from faceall.models import Alignment
from faceall.train.align import read_options, read_report
from faceall.types import Image

KILLS = int(os.environ.get("FACEALL_KILLS", "2"))


def test_crops_keep_the_folders_of_their_photos(run: Run, portraits: Path, tmp_path: Path) -> None:
    """Crops keep their photos' folders; the summary counts them; a photo without a face is listed."""
    result = run("align", portraits, tmp_path / "out", "--workers", "1")
    assert read_image(tmp_path / "out" / "Eileen" / "1.png.jpg").shape == (184, 184, 3)
    assert (tmp_path / "out" / "Mirror" / "1.png.jpg").is_file()
    assert "no-face    wall.png: no face found\n" in result.stdout
    assert "3 photos in" in result.stdout
    assert "2 aligned, 1 no-face; 2 crops of 184 x 184 pixels" in result.stdout


def test_processes_are_as_many_as_cores_may_be_used(
    run: Run, portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default takes the affinity and the quota of the container into account, not all cores of the machine."""
    wanted: list[int] = []

    class Counted(train.Alignment):
        def __init__(self, *places: Path, workers: int, **options: Any) -> None:
            wanted.append(workers)
            super().__init__(*places, workers=workers, **options)

    monkeypatch.setattr(train, "Alignment", Counted)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr(cores, "cores_of_quota", lambda: 1.0)
    run("align", portraits, tmp_path / "out")
    assert wanted == [1]


def test_json_has_a_record_for_every_photo(run: Run, portraits: Path, tmp_path: Path) -> None:
    """The JSON output has the report's records, with paths that can be opened."""
    result = run("align", portraits, tmp_path / "out", "--json", "--workers", "1", "--format", "png")
    found = records(result.stdout)
    assert [record["path"] for record in found] == [
        str(portraits / name) for name in ("wall.png", "Eileen/1.png", "Mirror/1.png")
    ]
    report = list(read_report(tmp_path / "out").values())
    assert [record["face_count"] for record in found] == [photo.faces for photo in report]
    assert [record["size"] for record in found] == [photo.size for photo in report]
    (crop,) = found[1]["crops"]
    assert crop["path"] == str(tmp_path / "out" / "Eileen/1.png")
    assert crop["score"] > 0.99
    assert 0 < crop["box"][0] < crop["box"][2] < 512


def test_options_are_applied_and_recorded(run: Run, portraits: Path, tmp_path: Path) -> None:
    """Size, room, margin, format and choice of face are applied and recorded."""
    arguments = ["--size", "112", "--room", "0", "--margin", "0.4", "--format", "png", "--faces", "all"]
    run("align", portraits, tmp_path / "out", "--workers", "1", "--min-face", "60", *arguments)
    assert read_image(tmp_path / "out" / "Eileen" / "1.png.1.png").shape == (112, 112, 3)
    options = read_options(tmp_path / "out")
    assert (options.rule.margin, options.faces, options.min_face) == (0.4, "all", 60)


def test_a_template_aligns_the_crops(run: Run, portraits: Path, tmp_path: Path) -> None:
    """--template rotates and scales faces to a template; combining it with a margin is an error."""
    run("align", portraits, tmp_path / "out", "--workers", "1", "--template", "openvino-0095", "--size", "112")
    assert read_options(tmp_path / "out").rule == Alignment("openvino-0095")
    result = run("align", portraits, tmp_path / "x", "--template", "arcface-112", "--margin", "0.1", exit_code=1)
    assert "exclude each other" in result.stderr


def test_second_run_reports_unchanged_photos(run: Run, portraits: Path, tmp_path: Path) -> None:
    """A second run skips finished photos; other options for the same folder give a one-line error."""
    run("align", portraits, tmp_path / "out", "--workers", "1")
    again = run("align", portraits, tmp_path / "out", "--workers", "1")
    assert "2 unchanged, 1 no-face; 2 crops" in again.stdout
    refused = run("align", portraits, tmp_path / "out", "--size", "112", exit_code=1)
    assert refused.stderr.count("\n") == 1
    assert "made with size 160 (now 112); choose another folder" in refused.stderr


def test_nothing_usable_is_exit_code_one(run: Run, tmp_path: Path) -> None:
    """The exit code is 1 if no photo has a face or there are no photos."""
    (tmp_path / "walls").mkdir()
    assert "contains no images" in run("align", tmp_path / "walls", tmp_path / "out", exit_code=1).stderr
    PillowImage.new("RGB", (60, 60)).save(tmp_path / "walls" / "wall.png")
    result = run("align", tmp_path / "walls", tmp_path / "out", "--workers", "1", exit_code=1)
    assert "1 no-face; 0 crops" in result.stdout


def test_too_large_a_margin_is_refused(run: Run, portraits: Path, tmp_path: Path) -> None:
    """A crop with more pixels than the limit is refused before anything is written."""
    refused = run("align", portraits, tmp_path / "out", "--size", "1024", "--room", "4", exit_code=1)
    assert "the crop's side, room included, is 5120, expected 1 .. 2048" in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_killed_alignment_can_be_resumed(astronaut: Image, process_environment: dict[str, str], tmp_path: Path) -> None:
    """After kills at random moments, a last run writes the same files; no worker process is left."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(60):
        PillowImage.fromarray(astronaut[:256, 100 + number : 356 + number]).save(photos / f"{number}.bmp")
    moments = random.Random(os.environ.get("FACEALL_SEED", "1"))
    command = [sys.executable, "-m", "faceall_cli.main", "align", str(photos), "--json", "--workers", "2"]
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*command, str(tmp_path / "out")], env=process_environment, stdout=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.random() * 0.5)
        process.kill()
        process.communicate()
        assert _session_is_empty(process.pid)
    for name in ("out", "whole"):
        subprocess.run([*command, str(tmp_path / name)], env=process_environment, check=True, capture_output=True)
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.suffix == ".jpg"} == {
        path.name: path.read_bytes() for path in whole.iterdir() if path.suffix == ".jpg"
    }
    assert read_report(out) == read_report(whole)
    assert not list(out.glob(".*"))


def _session_is_empty(session: int, timeout: float = 20) -> bool:
    """Wait some seconds; return whether every process of a session has ended."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
