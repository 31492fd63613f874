"""The one-liners: detect_faces, represent, verify, find."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

import faceall
from faceall.errors import ArgumentError, ImageError
from faceall.types import Face, Faces, Results
from places import ROOT

PORTRAIT = ROOT / "examples" / "photos" / "Eileen_Collins" / "portrait.jpg"
OTHER = ROOT / "examples" / "someone.jpg"


@pytest.fixture(autouse=True)
def bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the embedder of the package is installed."""
    monkeypatch.setattr("faceall.models.store.BUNDLED", Path(faceall.__file__).parent / "models" / "bundled")
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("faceall.quick._analysers", {})


def test_detect_faces_takes_what_programs_hold() -> None:
    """A path, a Pillow image and a BGR array give the same face; a blank image gives none."""
    (face,) = faceall.detect_faces(PORTRAIT)
    with PillowImage.open(PORTRAIT) as image:
        (same,) = faceall.detect_faces(image)
    pixels = faceall.read_image(PORTRAIT)
    (again,) = faceall.detect_faces(pixels[:, :, ::-1], channels="bgr")
    for other in (same, again):
        np.testing.assert_array_equal(face.box, other.box)
    assert faceall.detect_faces(np.zeros((64, 64), np.uint8)) == []


def test_represent_gives_unit_vectors_and_pictures_for_notebooks() -> None:
    """Each face has an embedding and shows itself as PNG."""
    (face,) = faceall.represent(PORTRAIT)
    assert face.embedding is not None
    assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-5)
    assert (face._repr_png_() or b"").startswith(b"\x89PNG")
    assert "embedding=(" in repr(face)
    assert len(repr(face)) < 80
    assert face.to_dict().keys() == {"box", "score", "landmarks", "embedding"}


def test_verify_says_yes_for_one_person_and_has_its_reasons() -> None:
    """Verdict, distance, threshold and both faces; a threshold of 0 says no."""
    verified = faceall.verify(PORTRAIT, OTHER)
    assert verified
    assert 0 < verified.distance <= verified.threshold
    assert verified.similarity == pytest.approx(1 - verified.distance / 2)
    assert not faceall.verify(PORTRAIT, OTHER, threshold=0)
    assert isinstance(verified.first, Face)
    assert repr(verified).startswith("Verified(match=True, distance=")


def test_verify_names_the_image_without_a_face(tmp_path: Path) -> None:
    """An image without a face is an error with its path, not a verdict."""
    PillowImage.new("RGB", (64, 64)).save(tmp_path / "blank.png")
    with pytest.raises(ImageError, match=r"blank\.png: the second image shows no face"):
        faceall.verify(PORTRAIT, tmp_path / "blank.png")


def test_find_searches_a_folder_and_warns_of_unreadable_files(tmp_path: Path) -> None:
    """The nearest face of the folder is the same person; a damaged file is skipped with a warning."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(PORTRAIT.read_bytes())
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"skipped: .*bad\.jpg"):
        found = faceall.find(OTHER, tmp_path)
    assert [hit.path for hit in found[0].faces] == [tmp_path / "a" / "1.jpg"]
    assert found[0].faces[0].match
    (row,) = found.to_dicts()
    assert row["match"] is True
    assert "<table>" in found._repr_html_()
    assert str(tmp_path / "a" / "1.jpg") in found._repr_html_()


def test_find_in_an_empty_folder_is_empty(tmp_path: Path) -> None:
    """No image, no hit, no error; a query without a face has no results."""
    (only,) = faceall.find(OTHER, tmp_path)
    assert only.faces == ()
    assert faceall.find(np.zeros((64, 64), np.uint8), tmp_path) == []


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: faceall.verify(PORTRAIT, OTHER, threshold=5),
            "threshold is 5, expected a squared distance from 0 to 4",
        ),
        (lambda: faceall.find(OTHER, ".", k=0), "k is 0, expected an integer of at least 1"),
        (lambda: faceall.detect_faces("https://example.org/a.jpg"), "is a URL"),
        (lambda: faceall.represent(None), "an image is a NoneType"),
    ],
)
def test_wrong_arguments_are_one_sentence(call: object, text: str) -> None:
    """Expected and actual, in one line."""
    with pytest.raises(ArgumentError, match=text):
        call()  # type: ignore[operator]


def test_face_is_cut_to_the_image() -> None:
    """A box that reaches beyond the image is clipped; its crop has at least one pixel."""
    face = Face(np.array([-5.4, 3, 12, 99]), 0.9, np.zeros((5, 2)))
    image = np.arange(20 * 10 * 3, dtype=np.uint8).reshape(20, 10, 3)
    assert face.clipped_box(image.shape) == (0, 3, 10, 20)
    np.testing.assert_array_equal(face.crop(image), image[3:20, 0:10])
    outside = Face(np.array([50, 50, 60, 60]), 0.9, np.zeros((5, 2)))
    assert outside.crop(image).shape == (1, 1, 3)
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\)"):
        face.crop(np.zeros(3, np.uint8))


def test_no_faces_can_be_selected() -> None:
    """An empty list selects nothing."""
    faces = Faces.of([Face(np.zeros(4), 0.5, np.zeros((5, 2)))])
    assert len(faces.take([])) == 0
    assert len(faces.take([False])) == 0


def test_results_and_faces_can_be_pickled() -> None:
    """They travel to other processes."""
    face = Face(np.zeros(4), 0.5, np.zeros((5, 2)), embedding=np.ones(4))
    again = pickle.loads(pickle.dumps(face))
    np.testing.assert_array_equal(again.embedding, face.embedding)
    assert pickle.loads(pickle.dumps(Results())) == []


def test_to_pandas_makes_a_row_per_hit() -> None:
    """With pandas; without it the error names the package."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    assert isinstance(Results().to_pandas(), pandas.DataFrame)
