"""CFP's protocol folders and insightface's packed pairs are read, without running a pickle."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from stand_ins import ColourEmbedder

from faceall.errors import EvaluationError
from faceall.evaluate import TemplateDetector, evaluate_pairs, read_cfp, read_packed_pairs, report_html
from faceall.evaluate.inputs.cfp import CfpProtocol
from faceall.models.alignment import TEMPLATES


@pytest.fixture
def cfp(tmp_path: Path) -> Path:
    """Write two people with two frontal images and one profile image each, and two splits."""
    folder = tmp_path / "Protocol"
    for letter, kind, count in (("F", "frontal", 2), ("P", "profile", 1)):
        lines, number = [], 0
        for person in (1, 2):
            for image in range(1, count + 1):
                number += 1
                lines.append(f"{number} ../Data/Images/{person:03d}/{kind}/{image:02d}.jpg")
        folder.mkdir(exist_ok=True)
        (folder / f"Pair_list_{letter}.txt").write_text("\n".join(lines) + "\n")
    for split in ("01", "02"):
        for protocol, same, different in (("FF", "1,2", "1,3"), ("FP", "1,1", "1,2")):
            part = folder / "Split" / protocol / split
            part.mkdir(parents=True)
            (part / "same.txt").write_text(same + "\n")
            (part / "diff.txt").write_text(different + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("protocol", "mated", "other"),
    [("FF", "001/frontal/02.jpg", "002/frontal/01.jpg"), ("FP", "001/profile/01.jpg", "002/profile/01.jpg")],
)
def test_cfp(cfp: Path, protocol: CfpProtocol, mated: str, other: str) -> None:
    """Pairs follow the protocol files: a frontal image first; splits are folds, folders are people."""
    pairs = read_cfp(cfp, protocol)
    images = cfp / "Data" / "Images"
    assert [(pair.same, pair.set) for pair in pairs] == [(True, 0), (False, 0), (True, 1), (False, 1)]
    assert (pairs[0].first, pairs[0].second) == (images / "001/frontal/01.jpg", images / mated)
    assert pairs[1].second == images / other
    assert [pair.people for pair in pairs[:2]] == [("001", "001"), ("001", "002")]
    assert read_cfp(cfp / "Protocol", protocol) == pairs


def test_cfp_mistakes(cfp: Path, tmp_path: Path) -> None:
    """The error names the file and the line, or the missing folder."""
    with pytest.raises(EvaluationError, match=r"Pair_list_F.txt: cannot be read"):
        read_cfp(tmp_path / "Data", "FF")
    split = cfp / "Protocol" / "Split" / "FF" / "02" / "diff.txt"
    split.write_text("1,3\n1;3\n")
    with pytest.raises(EvaluationError, match=r"diff.txt:2: expected i,j, got '1;3'"):
        read_cfp(cfp, "FF")
    split.write_text("1,99\n")
    with pytest.raises(EvaluationError, match=r"diff.txt:1: image 99 is not in the list"):
        read_cfp(cfp, "FF")
    (cfp / "Protocol" / "Pair_list_P.txt").write_text("one two\n")
    with pytest.raises(EvaluationError, match=r"Pair_list_P.txt:1: expected a number and a path"):
        read_cfp(cfp, "FP")


def encoded(colour: int) -> bytes:
    """Encode an image of one colour as a file."""
    buffer = io.BytesIO()
    PillowImage.fromarray(np.full((112, 112, 3), (colour, 255 - colour, 90), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def packed(path: Path, protocol: int = 4) -> Path:
    """Pack four pairs of one colour and four of two colours, in insightface's format."""
    images = [image for n in range(4) for image in (encoded(20 + 60 * n), encoded(22 + 60 * n))]
    images += [image for n in range(4) for image in (encoded(20 + 60 * n), encoded(20 + 60 * ((n + 1) % 4)))]
    path.write_bytes(pickle.dumps((images, [True] * 4 + [False] * 4), protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4])
def test_packed_pairs(tmp_path: Path, protocol: int) -> None:
    """There are two images per pair; equal images share a path and are embedded once."""
    found = read_packed_pairs(packed(tmp_path / "lfw.bin", protocol))
    assert [pair.same for pair in found.pairs] == [True] * 4 + [False] * 4
    assert len(found.images) == 8
    assert found.pairs[0].first == found.pairs[4].first
    assert found.read(found.pairs[1].second)[0, 0].tolist() == [82, 173, 90]


def test_evaluating_packed_pairs(tmp_path: Path) -> None:
    """No detector is used, every image has a face, and the report shows thumbnails from the file."""

    class Colours(ColourEmbedder):
        precision = "float32"

    found = read_packed_pairs(packed(tmp_path / "lfw.bin"))
    result = evaluate_pairs(found.pairs, [Colours()], TemplateDetector(), read=found.read)
    assert (len(result.pairs), result.unusable) == (8, ())
    assert result.results[0].verification.equal_error_rate == 0
    assert 'class="gone"' not in report_html(result)


def test_faces_of_packed_images_follow_the_template() -> None:
    """The landmarks are ArcFace's, scaled to the image; the box around them is nearly square."""
    (faces,) = TemplateDetector().detect_batch([np.zeros((224, 224, 3), np.uint8)])
    np.testing.assert_allclose(faces.landmarks[0], np.array(TEMPLATES["arcface-112"]) * 224, rtol=1e-6)
    x0, y0, x1, y1 = faces.boxes[0]
    assert (x0 < faces.landmarks[0, :, 0].min()) & (faces.landmarks[0, :, 0].max() < x1)
    assert (y0 < faces.landmarks[0, :, 1].min()) & (faces.landmarks[0, :, 1].max() < y1)
    assert x1 - x0 == pytest.approx(y1 - y0)


class Evil:
    """Write a file when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("ran.txt", "w")


def test_pickles_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that calls a function is refused without calling it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.bin"
    path.write_bytes(pickle.dumps(([Evil(), b""], [True])))
    with pytest.raises(EvaluationError, match="expected insightface's form"):
        read_packed_pairs(path)
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1}, "a pickle of something else"),
        (([b"x"], [True]), "has 1 images and 1 labels"),
        (([b"x", 5], [True]), "contains a int where an image is expected"),
        (([b"x", b"y"], ["maybe"]), "contains the label 'maybe'"),
        (([], []), "has 0 images and 0 labels"),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, value: object, message: str) -> None:
    """The error says what the file contains and what is expected."""
    path = tmp_path / "other.bin"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(EvaluationError, match=message):
        read_packed_pairs(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Truncated, empty and missing files give one-line errors."""
    path = packed(tmp_path / "lfw.bin")
    for data in (path.read_bytes()[:-40], b"", b"no pickle"):
        path.write_bytes(data)
        with pytest.raises(EvaluationError, match=r"lfw\.bin"):
            read_packed_pairs(path)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_packed_pairs(tmp_path / "absent.bin")
