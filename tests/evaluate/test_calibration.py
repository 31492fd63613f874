"""Thresholds chosen from a gallery's own people agree with brute force, and galleries store them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import ColourDetector, ColourEmbedder, one_face, paint, write_photo

from faceall.analysis.open_set import scores_of_model
from faceall.errors import EvaluationError, IndexDamagedError
from faceall.evaluate import calibrate, calibrate_searches
from faceall.evaluate.calibration import (
    choose_threshold,
    compare_people,
    refuse_people_under_several_names,
    refuse_too_few_people,
)
from faceall.evaluate.gallery_decisions import missed_people
from faceall.gallery import Gallery, MatchThreshold, NamedVectors
from faceall.types import Array


def crowd(sizes: list[int], seed: int = 0, noise: float = 0.4) -> NamedVectors:
    """Make the given numbers of faces per person: noisy copies of a random direction."""
    random = np.random.default_rng(seed)
    people = np.repeat(np.arange(len(sizes)), sizes)
    vectors = random.normal(size=(len(sizes), 6))[people] + noise * random.normal(size=(len(people), 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return NamedVectors(tuple(f"p{n}" for n in range(len(sizes))), people, vectors.astype(np.float32))


def squared(first: Array, second: Array) -> float:
    return float(((first.astype(float) - second.astype(float)) ** 2).sum())


def false_accepts(named: NamedVectors, limit: float) -> float:
    """Return the mean share, over ordered pairs of people, of one's faces accepted as the other."""
    shares = []
    for one, other in itertools.permutations(range(len(named.names)), 2):
        faces, theirs = named.vectors[named.people == one], named.vectors[named.people == other]
        shares.append(np.mean([min(squared(face, their) for their in theirs) <= limit for face in faces]))
    return float(np.mean(shares))


SIZES = [1, 2, 3, 4, 1, 2, 5, 2, 2, 3, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate", [0.01, 0.03, 0.2])
def test_threshold_is_the_largest_that_keeps_the_rate(seed: int, rate: float) -> None:
    """The threshold keeps the rate; a slightly larger one does not."""
    named = crowd(SIZES, seed)
    threshold, (low, high), _, _ = choose_threshold(compare_people(named), rate, rounds=50)
    assert false_accepts(named, threshold) <= rate < false_accepts(named, threshold + 1.1e-4)
    assert 0 <= low <= high <= 4


def test_comparisons_are_those_of_leaving_out_one() -> None:
    """Each face is compared with the nearest face of every other person and the nearest other face of its own."""
    named = crowd(SIZES)
    compared = compare_people(named)
    for row, (person, face) in enumerate(zip(named.people, named.vectors, strict=True)):
        for other in range(len(SIZES)):
            rows = [place for place in np.flatnonzero(named.people == other) if place != row]
            nearest = min((squared(face, named.vectors[place]) for place in rows), default=math.nan)
            found = compared.genuine[row] if other == person else compared.impostor[row, other]
            assert found == pytest.approx(nearest, abs=1e-5, nan_ok=True)
        assert np.isinf(compared.impostor[row, person])


def test_false_rejections_are_counted_by_person() -> None:
    """The rate is the mean, over people with two or more faces, of the share of faces beyond the threshold."""
    named = crowd(SIZES, noise=0.7)
    threshold, _, rejected, interval = choose_threshold(compare_people(named), 0.02)
    shares = []
    for person in range(len(SIZES)):
        faces = named.vectors[named.people == person]
        if len(faces) > 1:
            nearest = [
                min(squared(face, other) for place, other in enumerate(faces) if place != row)
                for row, face in enumerate(faces)
            ]
            shares.append(np.mean([distance > threshold for distance in nearest]))
    assert rejected == pytest.approx(np.mean(shares))
    assert interval is not None
    assert 0 <= interval[0] <= np.mean(shares) <= interval[1] <= 1


def test_interval_narrows_with_more_people() -> None:
    """More people give a narrower interval, and it contains the threshold of a far larger crowd."""
    few, many = crowd([2] * 30), crowd([2] * 200)
    narrow = choose_threshold(compare_people(many), 0.02, rounds=200)
    wide = choose_threshold(compare_people(few), 0.02, rounds=200)
    assert narrow[1][1] - narrow[1][0] < wide[1][1] - wide[1][0]
    assert wide[1][0] <= narrow[0] <= wide[1][1]


def test_bootstrap_with_few_comparisons_agrees_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bootstrap gives the same result with only the nearest comparisons as with all."""
    compared = compare_people(crowd([2] * 40))
    usual = choose_threshold(compared, 0.02, rounds=30)
    monkeypatch.setattr("faceall.evaluate.calibration._TAIL", -10_000)
    monkeypatch.setattr("faceall.evaluate.calibration._MIN_TAIL", 3)
    assert choose_threshold(compared, 0.02, rounds=30) == usual


def test_single_faces_give_no_false_rejection_rate() -> None:
    """Without a person with two faces, only the false-accept rate is known."""
    threshold, _, rejected, interval = choose_threshold(compare_people(crowd([1] * 20)), 0.05, rounds=20)
    assert 0 < threshold < 4
    assert (rejected, interval) == (None, None)


def test_all_at_one_distance() -> None:
    """With all people at distance 2, the threshold is just below it; identical vectors are refused."""
    names = tuple("abcdefgh")
    people = np.arange(8)
    threshold, interval, _, _ = choose_threshold(
        compare_people(NamedVectors(names, people, np.eye(8, dtype=np.float32))), 0.05, rounds=20
    )
    assert (threshold, *interval) == pytest.approx((1.9999, 1.9999, 1.9999))
    same = NamedVectors(names, people, np.eye(8, dtype=np.float32)[np.zeros(8, int)])
    with pytest.raises(EvaluationError, match=r"distance 0: .* merge"):
        choose_threshold(compare_people(same), 0.05, rounds=20)


@given(st.integers(0, 300), st.floats(1e-4, 0.999))
def test_too_few_people_are_refused(people: int, rate: float) -> None:
    """At least 1 / rate pairs of people are needed; the error names the smallest sufficient number."""
    try:
        refuse_too_few_people(people, rate)
    except EvaluationError as error:
        needed = int(str(error).rpartition(" needs ")[2].split()[0].replace(",", ""))
        assert needed > people
        refuse_too_few_people(needed, rate)
        assert needed * (needed - 1) / 2 >= 1 / rate * (1 - 1e-6)
        assert (needed - 1) * (needed - 2) / 2 < 1 / rate
    else:
        assert people * (people - 1) / 2 >= 1 / rate * (1 - 1e-6)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (0, r"has 0 people with a name, 0 pairs of people, 0\.001 needs 46 people"),
        (1, r"has 1 person with a name, 0 pairs of people, 0\.001 needs 46 people"),
        (3, r"3 pairs of people, which supports a false-accept rate of 0\.34 at best; 0\.001 needs 46 people"),
        (45, r"990 pairs of people, which supports a false-accept rate of 0\.0011 at best; 0\.001 needs 46"),
    ],
)
def test_refusals_say_what_is_supported(people: int, message: str) -> None:
    """The error has the number of people, the best supported rate and the number needed."""
    with pytest.raises(EvaluationError, match=message):
        refuse_too_few_people(people, 1e-3)


# -- with a gallery -------------------------------------------------------------------------------------------------


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """Open a gallery of twelve people with two photos each, of nearly the same colour."""
    with Gallery.open(tmp_path / "gallery", detector=ColourDetector(), embedder=ColourEmbedder()) as opened:
        random = np.random.default_rng(3)
        for number in range(12):
            red, green, blue = (int(value) for value in random.integers(40, 240, 3))
            for shade in (0, 6):
                square = (40, 25, 40, (red, green, blue + shade))
                write_photo(tmp_path / "photos" / f"p{number:02}" / f"{shade}.png", [square])
        list(opened.register(tmp_path / "photos"))
        yield opened


def test_calibrating_a_gallery(gallery: Gallery, tmp_path: Path) -> None:
    """The stored threshold survives closing, applies to searches, and can be removed."""
    photo = tmp_path / "photos" / "p03" / "0.png"
    (before,) = gallery.search(photo)
    assert (before.threshold, {match.matches for match in before.matches}) == (None, {None})
    report = calibrate(gallery, false_accept_rate=0.05)
    assert gallery.calibration is None  # measuring stores nothing
    assert (report.calibration.people, report.calibration.faces, report.sampled) == (12, 24, False)
    gallery.calibration = report.calibration
    with Gallery.open(gallery.folder, detector=ColourDetector(), embedder=ColourEmbedder(), read_only=True) as again:
        assert again.calibration == report.calibration
        (result,) = again.search(photo, k=24)
        limit = report.calibration.threshold
        assert result.threshold == MatchThreshold(limit, 0.05, "calibration")
        assert [match.matches for match in result.matches] == [match.distance <= limit for match in result.matches]
        assert {match.matches for match in result.matches} == {True, False}
        (given_one,) = again.search(photo, threshold=0.5)
        assert given_one.threshold == MatchThreshold(0.5, None, "given")
    gallery.calibration = None
    assert gallery.calibration is None


def test_nearest_people_are_named(gallery: Gallery) -> None:
    """The report names the nearest pairs of people, because they may be one person."""
    gallery.people.rename("p00", "Zoe")
    face = gallery.faces.find(person="p01")[0]
    gallery.faces.assign(face.face_id, "Twin")
    nearest = calibrate(gallery, false_accept_rate=0.05).nearest
    assert (nearest[0].first, nearest[0].second) in {("p01", "Twin"), ("Twin", "p01")}
    assert [pair.distance for pair in nearest] == sorted(pair.distance for pair in nearest)


def test_larger_galleries_are_sampled(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many people or faces a fixed random sample is compared, and the report says so."""
    monkeypatch.setattr("faceall.evaluate.calibration.MOST_PEOPLE", 10)
    monkeypatch.setattr("faceall.evaluate.calibration.MOST_FACES", 1)
    report = calibrate(gallery, false_accept_rate=0.05)
    assert (report.calibration.people, report.calibration.faces, report.sampled) == (10, 10, True)
    assert calibrate(gallery, false_accept_rate=0.05) == report


def test_unassigned_faces_do_not_count(gallery: Gallery, tmp_path: Path) -> None:
    """Faces without a name and unnamed clusters are not used for calibration."""
    expected = calibrate(gallery, false_accept_rate=0.05).calibration
    write_photo(tmp_path / "more" / "x" / "1.png", one_face(5))
    list(gallery.register(tmp_path / "more", unnamed=True))
    assert calibrate(gallery, false_accept_rate=0.05).calibration == expected


def test_another_models_calibration_does_not_count(gallery: Gallery) -> None:
    """A stored threshold is ignored if the gallery's model changes."""
    gallery.calibration = calibrate(gallery, false_accept_rate=0.05).calibration
    with gallery._index.transaction() as connection:
        connection.execute("UPDATE meta SET value = 'other (0123)' WHERE key = 'index.model'")
    assert gallery.calibration is None


@pytest.mark.parametrize("value", ["{", "{}", "[1]", '{"threshold": 9}', "null", 7])
def test_damaged_calibration(gallery: Gallery, value: object) -> None:
    """An unreadable calibration is reported as damaged, with the command that replaces it."""
    with gallery._index.transaction() as connection:
        connection.execute("INSERT INTO meta (key, value) VALUES ('gallery.calibration', ?)", (value,))
    with pytest.raises(IndexDamagedError, match="faceall calibrate"):
        _ = gallery.calibration
    gallery.calibration = calibrate(gallery, false_accept_rate=0.05).calibration
    assert gallery.calibration is not None


@pytest.mark.parametrize("rate", [0, 1, -0.1, math.nan])
def test_impossible_rates_are_refused(gallery: Gallery, rate: float) -> None:
    """A rate must be between 0 and 1."""
    with pytest.raises(EvaluationError, match="expected above 0 and below 1"):
        calibrate(gallery, false_accept_rate=rate)


def test_empty_gallery(tmp_path: Path) -> None:
    """An empty gallery has no people to calibrate on."""
    with (
        Gallery.open(tmp_path / "gallery", detector=ColourDetector(), embedder=ColourEmbedder()) as gallery,
        pytest.raises(EvaluationError, match="0 people with a name"),
    ):
        calibrate(gallery)


def test_second_best_person(tmp_path: Path) -> None:
    """The second best person has the nearest face of all other people; None without other people."""
    with Gallery.open(tmp_path / "gallery", detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:
        for number in range(40):
            write_photo(tmp_path / "photos" / "Ada" / f"{number}.png", one_face(number))
        list(gallery.register(tmp_path / "photos"))
        query = paint(one_face(3))
        assert gallery.search(query, k=1)[0].second is None
        write_photo(tmp_path / "photos" / "Eve" / "1.png", [(40, 25, 40, (230, 10, 30))])
        write_photo(tmp_path / "photos" / "Zoe" / "1.png", [(40, 25, 40, (10, 230, 30))])
        list(gallery.register(tmp_path / "photos"))
        (result,) = gallery.search(query, k=1)
        assert [match.person for match in result.matches] == ["Ada"]
        everything = gallery.search(query, k=42)[0].matches
        assert result.second == next(match for match in everything if match.person != "Ada")
        (filtered,) = gallery.search(query, k=1, threshold=0)
        assert filtered.second is not None  # although no match is shown
        assert filtered.second.person == result.second.person


def clouds(count: int, *, spread: float = 0.35, seed: int = 0, faces: int = 2) -> NamedVectors:
    """Make unit vectors of people around random centres."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count, 64))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = np.repeat(centres, faces, axis=0) + random.normal(0, spread / 8, (count * faces, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = tuple(f"p{number}" for number in range(count))
    return NamedVectors(names, np.repeat(np.arange(count), faces), vectors.astype(np.float32))


def test_missed_people_are_counted() -> None:
    """People with two near faces are found; at a threshold of 0 no one is; single faces do not count."""
    named = clouds(30)
    assert not missed_people(named, 1.0).any()
    assert missed_people(named, 0.0).all()
    assert len(missed_people(clouds(30, faces=1), 1.0)) == 0


def test_one_person_under_many_names_is_refused() -> None:
    """Twenty people under sixty names have near-identical neighbours; different people do not."""
    prior = scores_of_model(1.2, 1e-3)
    refuse_people_under_several_names(clouds(60), prior)
    few = clouds(20, faces=3)
    many = NamedVectors(tuple(f"d{number}" for number in range(60)), np.arange(60), few.vectors)
    for scores in (prior, None):
        with pytest.raises(EvaluationError, match="60 of 60 people resemble another person"):
            refuse_people_under_several_names(many, scores)


def test_different_people_of_an_unknown_model_are_not_refused() -> None:
    """Without the scores of a model, the middle of the similarities tells 100 people from 20 people under 100 names."""
    refuse_people_under_several_names(clouds(100), None)
    refuse_people_under_several_names(clouds(100, faces=1), None)
    few = clouds(20, faces=5)
    with pytest.raises(EvaluationError, match="100 of 100 people resemble"):
        refuse_people_under_several_names(NamedVectors(tuple(map(str, range(100))), np.arange(100), few.vectors), None)


def test_calibration_by_pairs_refuses_people_under_several_names(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A threshold per comparison is not chosen either if the names are not those of different people."""
    few = clouds(20, faces=3)
    many = NamedVectors(tuple(f"d{number}" for number in range(60)), np.arange(60), few.vectors)
    monkeypatch.setattr(type(gallery.people), "named_vectors", lambda self, **sizes: many)
    with pytest.raises(EvaluationError, match="60 of 60 people resemble another person"):
        calibrate(gallery, false_accept_rate=0.01)


def test_searches_are_calibrated_on_the_people_of_a_gallery(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threshold is not beyond its interval; a smaller rate gives a smaller one; too few people are refused."""
    people = len([person for person in gallery.people if person.named])
    monkeypatch.setattr("faceall.evaluate.gallery_decisions.FEWEST_PEOPLE", people)
    found = calibrate_searches(gallery, fpir=0.1)
    assert (found.people, found.sampled) == (people, False)
    assert found.threshold <= found.interval[1]
    assert found.fnir is None or 0 <= found.fnir <= 1
    stricter = calibrate_searches(gallery, fpir=0.01)
    assert stricter.threshold <= found.threshold
    assert stricter.interval[1] < found.interval[1]
    with pytest.raises(EvaluationError, match="the FPIR is 0, expected above 0"):
        calibrate_searches(gallery, fpir=0)
    monkeypatch.setattr("faceall.evaluate.gallery_decisions.FEWEST_PEOPLE", people + 1)
    with pytest.raises(EvaluationError, match=f"the gallery has {people} people with a name, at least {people + 1}"):
        calibrate_searches(gallery, fpir=0.1)
