"""`faceall classifier train` and `apply`, on a gallery and on a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Run, records

pytest.importorskip("sklearn", reason="needs scikit-learn")


def test_training_on_the_gallery(run: Run, portraits: Path, tmp_path: Path) -> None:
    """People of the gallery are recognised; with one face each the decision is at most "possible"."""
    run("register", portraits)
    file = tmp_path / "people.npz"
    result = run("classifier", "train", file, "--min-faces", 1, "--json")
    (made,) = records(result.stdout)
    assert (made["person_count"], made["face_count"], made["kind"]) == (2, 2, "svm")
    assert made["match_score"] is None
    assert "cannot reject strangers" in result.stderr
    (found,) = records(run("classifier", "apply", file, portraits / "Mirror/1.png", "--json").stdout)
    assert (found["person"], found["decision"], found["second"]["person"]) == ("Mirror", "possible", "Eileen")
    assert "Eileen, possible, score" in run("classifier", "apply", file, portraits / "Eileen/1.png").stdout


def test_training_on_a_folder(run: Run, portraits: Path, tmp_path: Path) -> None:
    """Training on a folder with one subfolder per person needs no gallery."""
    file = tmp_path / "people.npz"
    run("classifier", "train", file, "--folder", portraits, "--min-faces", 1, "--kind", "logistic")
    (found,) = records(run("classifier", "apply", file, portraits / "Mirror/1.png", "--json").stdout)
    assert found["person"] == "Mirror"


def test_mistakes(run: Run, portraits: Path, tmp_path: Path) -> None:
    """One-line errors: no gallery, too few faces, not a classifier, an image without a face."""
    file = tmp_path / "people.npz"

    def complaint(*arguments: str | Path) -> str:
        result = run("classifier", *arguments, exit_code=1)
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr

    assert "faceall register" in complaint("train", file)
    assert "a classifier needs two people" in complaint("train", file, "--folder", portraits)
    file.write_bytes(b"no classifier")
    assert "is not a classifier of faceall" in complaint("apply", file, portraits / "Mirror/1.png")
    run("classifier", "train", file, "--folder", portraits, "--min-faces", "1")
    assert "no face found" in complaint("apply", file, portraits / "wall.png")
