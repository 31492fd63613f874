"""`faceall calibrate`, and how `faceall search` uses the stored threshold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from faceall.types import Image


@pytest.fixture
def registered(run: Run, portraits: Path, astronaut: Image) -> Path:
    """Return a gallery of three people, two of them very similar."""
    (portraits / "Pale").mkdir()
    PillowImage.fromarray(astronaut // 2 + 90).save(portraits / "Pale" / "1.png")
    run("register", portraits)
    return portraits


def test_calibrating(run: Run, registered: Path) -> None:
    """The threshold is stored and applied to matches; --forget removes it."""
    photo = registered / "Eileen/1.png"
    arguments = ("calibrate", "--false-accept-rate", 0.4, "--json")
    (dry,) = records(run(*arguments, "--dry-run").stdout)
    assert dry["stored"] is False
    (before,) = records(run("search", photo, "--json").stdout)
    assert before["threshold"] is None
    (stored,) = records(run(*arguments).stdout)
    assert stored == {**dry, "stored": True}
    assert (stored["person_count"], stored["face_count"], stored["false_reject_rate"]) == (3, 3, None)
    assert {stored["nearest"][0]["first"], stored["nearest"][0]["second"]} == {"Eileen", "Pale"}
    (found,) = records(run("search", photo, "--json").stdout)
    assert found["threshold"] == stored["threshold"]
    assert (stored["threshold"]["false_accept_rate"], stored["threshold"]["origin"]) == (0.4, "calibration")
    assert [(match["person"], match["match"]) for match in found["matches"]] == [
        ("Eileen", True),
        ("Pale", True),  # two of six comparisons may pass
        ("Mirror", False),
    ]
    assert found["second"]["distance"] == pytest.approx(stored["nearest"][0]["distance"], abs=1e-4)
    shown = run("search", photo, "-v")
    rows = [line.split() for line in shown.stdout.splitlines()[1:5]]
    assert [row[4] for row in rows] == ["verdict", "match", "match", "unknown"]
    assert "calibrated on this gallery, for a false match rate of 0.4 per comparison" in shown.stderr
    run("calibrate", "--forget")
    assert records(run("search", photo, "--json").stdout)[0]["threshold"] is None


def test_too_few_people(run: Run, registered: Path) -> None:
    """The error names the supported rate and the number of people needed; nothing is stored."""
    result = run("calibrate", "--false-accept-rate", 0.001, exit_code=1)
    assert result.stdout == ""
    assert result.stderr == (
        "faceall: the gallery has 3 people with a name, 3 pairs of people, which supports a false-accept rate of 0.34"
        " at best; 0.001 needs 46 people\n"
    )
    assert records(run("search", registered / "Eileen/1.png", "--json").stdout)[0]["threshold"] is None


def test_too_few_people_for_an_fpir(run: Run, registered: Path) -> None:
    """An FPIR needs at least twenty people; FMR and FPIR exclude each other; nothing is stored."""
    result = run("calibrate", exit_code=1)
    assert result.stdout == ""
    assert "the gallery has 3 people with a name, at least 20 are needed to measure an FPIR" in result.stderr
    assert "exclude each other" in run("calibrate", "--fpir", 0.1, "--false-accept-rate", 0.1, exit_code=1).stderr


def test_no_gallery(run: Run) -> None:
    """Without a gallery, the error says how to create one."""
    assert "faceall register" in run("calibrate", exit_code=1).stderr


def test_models_threshold(run: Run, registered: Path, models: Path) -> None:
    """If the gallery has no threshold, `search` uses the model's and says so."""
    manifest = models / "tiny" / "manifest.json"
    before = manifest.read_text()
    limits = {"match_threshold": 4.0, "match_threshold_false_accept_rate": 0.5}
    manifest.write_text(json.dumps({**json.loads(before), **limits}))
    try:
        photo = registered / "Eileen/1.png"
        (found,) = records(run("search", photo, "--json").stdout)
        known = {name: value for name, value in found["threshold"].items() if value is not None}
        assert known == {"distance": 4.0, "false_accept_rate": 0.5, "origin": "model"}
        assert [match["match"] for match in found["matches"]] == [True, True, True]
        assert (
            "threshold 4, from the model, for a false match rate of 0.5 per comparison" in run("search", photo).stderr
        )
    finally:
        manifest.write_text(before)
