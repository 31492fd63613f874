"""Written models and reports: complete in their place, or not there at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceall.convert.targets.placing import copy_made, placing
from faceall.errors import ConvertError, ParityError


def test_placing_replaces_the_target_at_the_end_of_the_block(tmp_path: Path) -> None:
    """Until then the old content stays; missing parents are created; no draft is left."""
    target = tmp_path / "new" / "model.onnx"
    for content in (b"one", b"two"):
        with placing(target, ".onnx") as draft:
            draft.write_bytes(content)
            assert draft.suffix == ".onnx"
            assert draft.parent == target.parent
            assert not target.exists() if content == b"one" else target.read_bytes() == b"one"
        assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]


def test_placing_keeps_the_target_after_an_exception(tmp_path: Path) -> None:
    """A model that exceeds its tolerance does not replace the one that is there, and leaves nothing."""
    target = tmp_path / "model.mlpackage"
    target.mkdir()
    (target / "Manifest.json").write_text("old")
    with pytest.raises(ParityError):
        _write_and_fail(target)
    assert (target / "Manifest.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_placing_names_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in the place of a parent folder is reported as one line."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConvertError, match=r"model\.onnx: cannot be written \("),
        placing(tmp_path / "file" / "model.onnx"),
    ):
        pass


def test_copy_made_makes_files_readable_for_every_program(tmp_path: Path) -> None:
    """A worker's private folder is copied with the modes 755 and 644."""
    made = tmp_path / "made"
    made.mkdir(mode=0o700)
    (made / "weights").write_bytes(b"w")
    (made / "weights").chmod(0o600)
    copy_made(made, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "copy" / "weights").stat().st_mode & 0o777 == 0o644
    copy_made(made / "weights", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"w"


def _write_and_fail(target: Path) -> None:
    with placing(target, target.suffix) as draft:
        draft.mkdir()
        raise ParityError("differs")
