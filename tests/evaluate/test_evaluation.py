"""Evaluation of a list of pairs: figures, report, and images without a vector."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from stand_ins import ColourDetector, ColourEmbedder, write_photo

from faceall.errors import EvaluationError
from faceall.evaluate import Evaluation, Pair, PairOptions, evaluate_pairs, read_pairs, report_html
from faceall.models import ModelFolder

PEOPLE = 12


class Colours(ColourEmbedder):
    """Use the mean colour of a crop as its vector."""

    precision = "float32"


def photo(folder: Path, person: int, number: int) -> Path:
    """Write a photo of a person's colour with some noise."""
    random = np.random.default_rng(person)
    red, green, blue = (int(value) for value in random.integers(20, 220, 3))
    path = folder / f"p{person}" / f"p{person}_{number:04d}.png"
    return write_photo(path, [(40, 25, 40, (red, green, blue + 9 * number))])


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    """Make equal numbers of pairs of one person and of two people."""
    lines = []
    for person in range(PEOPLE):
        photo(tmp_path, person, 1)
        photo(tmp_path, person, 2)
        lines += [f"p{person} 1 2", f"p{person} 1 p{(person + 1) % PEOPLE} 2"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines))
    return read_pairs(tmp_path / "pairs.txt")


def measured(pairs: list[Pair], *models: Colours, **options: bool) -> Evaluation:
    return evaluate_pairs(pairs, models or [Colours()], ColourDetector(), PairOptions(**options))


def test_distances_are_those_of_the_pairs(pairs: list[Pair]) -> None:
    """Each pair's distance is the squared distance of its two images' vectors, for every model."""
    from faceall.images import read_image

    models = [Colours(), Colours("others", size=5)]
    found = measured(pairs, *models)
    detector = ColourDetector()
    for model, result in zip(models, found.results, strict=True):
        for pair, distance in zip(found.pairs, result.distances, strict=True):
            vectors = []
            for path in (pair.first, pair.second):
                image = read_image(path)
                (faces,) = detector.detect_batch([image])
                vectors.append(model.embed_crops(model.crop(image, faces))[0].astype(float))
            assert distance == pytest.approx(((vectors[0] - vectors[1]) ** 2).sum(), abs=1e-6)
    assert [result.size for result in found.results] == [8, 5]
    assert found.folds == 10
    assert found.left_out == found.unusable == ()


def test_unusable_images_are_counted(pairs: list[Pair]) -> None:
    """Missing, unreadable and faceless images are listed with a reason; their pairs are left out."""
    pairs[0].second.unlink()
    pairs[2].second.write_bytes(b"no image")
    write_photo(pairs[4].second, [])
    found = measured(pairs)
    assert {image.path: image.problem for image in found.unusable} == {
        pairs[0].second: "missing",
        pairs[2].second: "unreadable",
        pairs[4].second: "no-face",
    }
    gone = {image.path for image in found.unusable}
    assert set(found.left_out) == {pair for pair in pairs if {pair.first, pair.second} & gone}
    assert len(found.pairs) + len(found.left_out) == len(pairs)
    values = found.to_json()
    assert values["pairs"] == {"all": 24, "used": 18, "same": 9, "different": 9, "left_out": 6}
    assert values["images"] == {"used": 21, "missing": 1, "unreadable": 1, "no-face": 1}
    assert found.folds == 9
    (result,) = found.results
    assert result.accuracy_of_all == pytest.approx(result.scores["squared_l2"].accuracy * 18 / 24)
    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize("kind", [True, False])
def test_one_kind_alone_is_refused(pairs: list[Pair], kind: bool) -> None:
    """At least two usable pairs of each kind are needed."""
    words = "of two people" if kind else "of one person"
    with pytest.raises(EvaluationError, match=f"the list has 0 pairs {words}; expected 2"):
        measured([pair for pair in pairs if pair.same == kind])
    kept = [pair for pair in pairs if pair.same == kind]
    broken = [Pair(Path("gone.jpg"), pair.second, not kind, pair.line) for pair in kept]
    with pytest.raises(EvaluationError, match=f"of 24 pairs, 12 cannot be used, which leaves 0 pairs {words}"):
        measured(kept + broken)


def test_nothing_usable(tmp_path: Path) -> None:
    """If no image exists, the error is one line."""
    pairs = [Pair(tmp_path / f"{n}.jpg", tmp_path / f"{n}-.jpg", n % 2 == 0, n) for n in range(8)]
    with pytest.raises(EvaluationError, match="of 8 pairs, 8 cannot be used"):
        measured(pairs)


def test_flipping_takes_the_mean(pairs: list[Pair]) -> None:
    """The vector is the normalised mean over the crop and its mirror image."""

    class LeftHalf(Colours):
        """Use the left half of a crop as its vector."""

        def crop(self, image, faces, /):  # type: ignore[no-untyped-def]
            crops = super().crop(image, faces)
            crops[:, :, 2:] //= 3
            return crops

        def embed_crops(self, crops, /):  # type: ignore[no-untyped-def]
            return super().embed_crops(crops[:, :, :2])

    first, second = LeftHalf(), Colours()
    plain, flipped = measured(pairs, first), measured(pairs, first, flip=True)
    assert not np.allclose(plain.results[0].distances, flipped.results[0].distances, atol=1e-6)
    whole = [measured(pairs, second, flip=flip).results[0].distances for flip in (False, True)]
    assert whole[0] == pytest.approx(whole[1], abs=1e-6)  # a crop of one colour is its own mirror image


def test_speed_is_measured_per_model(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces per second are measured singly and in batches of 16; a model twice as slow has half the rate."""
    import time

    monkeypatch.setattr("faceall.evaluate.speed._REST", 0)

    class Slow(Colours):
        """Sleep for every crop."""

        pause = 0.004

        def embed_crops(self, crops, /):  # type: ignore[no-untyped-def]
            time.sleep(self.pause * len(crops))
            return super().embed_crops(crops)

    class Slower(Slow):
        pause = 0.012

    slow, slower = (result.speed for result in measured(pairs, Slow(), Slower(), speed=True).results)
    assert slow is not None
    assert slower is not None
    assert 0 < slower.alone < slow.alone <= 250
    assert 0 < slower.batch < slow.batch <= 250
    assert measured(pairs).results[0].speed is None


def test_report_shows_the_worst_pairs(pairs: list[Pair], tmp_path: Path) -> None:
    """The page embeds the worst pairs; it has no URLs or scripts, and names are escaped."""
    evil = photo(tmp_path, 50, 1).rename(tmp_path / "<b>&1.png")
    far = write_photo(tmp_path / "far.png", [(40, 25, 40, (1, 250, 1))])
    pairs += [Pair(evil, far, True, 99), Pair(evil, tmp_path / "<i>gone.jpg", True, 100)]
    found = measured(pairs, Colours(), Colours("others"))
    text = report_html(found)
    assert set(re.findall(r"https?://[^\"']*", text)) == {"http://www.w3.org/2000/svg"}
    assert text.count("<script") == text.count("<b>&1") == text.count("<i>gone") == 0
    assert "&lt;b&gt;&amp;1.png" in text
    assert "&lt;i&gt;gone.jpg" in text
    assert text.count("data:image/jpeg;base64,") >= 16
    first = text.index("One person, largest distances")
    assert first < text.index("line 99") < text.index("Two people, smallest")
    assert text.count("<svg") == text.count("</svg>") == 4  # DET and ROC of both, and distances of each


def test_report_of_missing_images(pairs: list[Pair]) -> None:
    """An image that was deleted since leaves an empty box, not an error."""
    found = measured(pairs)
    for pair in pairs:
        pair.first.unlink(missing_ok=True)
        pair.second.unlink(missing_ok=True)
    assert 'class="gone"' in report_html(found)


@pytest.mark.slow
def test_facenet_on_real_pairs(shared: Path, facenet: ModelFolder) -> None:
    """On sixty pairs of LFW's view 1, the 512-D model has an area above 0.99 and at most three errors."""
    from faceall import Detector, Embedder

    listed = read_pairs(shared / "data" / "lfw-dev" / "pairs.txt")
    chosen = listed[:30] + listed[500:530]
    found = evaluate_pairs(chosen, [Embedder(facenet.path)], Detector())
    scores = found.results[0].scores["squared_l2"]
    assert (len(found.pairs), found.left_out) == (60, ())
    assert scores.area > 0.99
    assert scores.accuracy >= 57 / 60
    assert 0.8 < scores.threshold < 1.5
    manifest, result = facenet.manifest, found.results[0]
    assert (manifest.match_threshold, manifest.match_threshold_false_accept_rate) == (1.03, 1e-3)
    within = result.distances <= 1.03
    assert not within[~found.same].any()
    assert within[found.same].mean() > 0.85
