"""Run folders: what a training was told and how it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceall.errors import TrainError
from faceall.train.data.people import DatasetRules
from faceall.train.options import ClassificationOptions, DistillationOptions
from faceall.train.run_folder import RunFolder


def test_options_come_back_from_run_json(tmp_path: Path) -> None:
    """Equal, of both kinds of training, rules and changes included."""
    for kind, options in (
        ("a", DistillationOptions(length=1000, schedule="steps", milestones=(300, 600))),
        ("b", ClassificationOptions(loss="center", rules=DatasetRules(minimum=3, repeats=((4, 5),)))),
    ):
        run = RunFolder(tmp_path / kind)
        run.begin({"options": options.to_json()})
        assert type(options).from_json(run.about()["options"]) == options


def test_a_folder_that_holds_something_is_not_taken(tmp_path: Path) -> None:
    """Nor a file; both stay."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(TrainError, match="is not empty"):
        RunFolder(tmp_path).begin({})
    with pytest.raises(TrainError, match="is not empty"):
        RunFolder(tmp_path / "mine.txt").begin({})
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_other_data_is_noted_with_its_first_step(tmp_path: Path) -> None:
    """The same data again is not; its order goes on from where it began."""
    run = RunFolder(tmp_path / "run")
    run.begin({"data": []})
    assert run.note_data({"sha256": "a", "faces": 3}, 0) == 0
    assert run.note_data({"sha256": "a", "faces": 3}, 40) == 0
    assert run.note_data({"sha256": "b", "faces": 5}, 70) == 70
    assert run.note_data({"sha256": "b", "faces": 5}, 90) == 70
    assert [entry["first_step"] for entry in run.about()["data"]] == [0, 70]


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    """The lines before and after it count."""
    run = RunFolder(tmp_path / "run")
    run.begin({})
    run.record({"step": 1})
    with (run.path / "results.jsonl").open("a") as file:
        file.write('{"step": 2, "lo\n')
    run.record({"step": 3})
    assert [entry["step"] for entry in run.results()] == [1, 3]


@pytest.mark.parametrize(
    ("text", "problem"), [("{", "damaged"), ("[]", "no schema"), ('{"schema": 99}', "newer faceall")]
)
def test_a_run_json_that_is_none_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """A damaged one, and one of a newer faceall."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(TrainError, match=problem):
        RunFolder(tmp_path).about()
    with pytest.raises(TrainError, match="it is not a run folder"):
        RunFolder(tmp_path / "absent").about()


def test_unknown_options_are_named() -> None:
    """As a newer faceall may have written them."""
    with pytest.raises(TrainError, match="unknown options: colour"):
        DistillationOptions.from_json({**DistillationOptions().to_json(), "colour": 3})
