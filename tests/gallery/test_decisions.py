"""Open-set decisions: the rate that a threshold keeps, its source, and how it depends on the gallery."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceall.analysis.open_set import (
    StrangerScores,
    comparisons,
    fit_model,
    fit_scores,
    interval,
    nearest_others,
    scores_of_model,
)
from faceall.errors import ArgumentError
from faceall.gallery import Gallery, MatchThreshold, NamedVectors
from faceall.gallery.decisions import fit_named, prior_of
from faceall.gallery.thresholds import threshold_in_force
from faceall.models import Manifest
from faceall.types import Array

TRUE = StrangerScores(0.02, 0.1)


def maxima(random: np.random.Generator, count: int, people: int) -> Array:
    """Draw the similarity of `count` unknown people to the nearest of `people` registered people."""
    return np.asarray(random.normal(TRUE.mean, TRUE.deviation, (count, people)).max(axis=1))


@pytest.mark.parametrize("people", [1, 10, 1000])
@pytest.mark.parametrize("fpir", [0.001, 0.01, 0.1])
def test_thresholds_keep_their_rate(people: int, fpir: float) -> None:
    """The share of simulated unknown people who get a name equals the requested rate at any gallery size."""
    limit = TRUE.threshold(fpir, people)
    assert TRUE.fpir(limit, people) == pytest.approx(fpir, rel=1e-6)
    strangers = maxima(np.random.default_rng(1), 20_000, people) if people < 1000 else None
    if strangers is not None:
        assert (2 - 2 * strangers <= limit).mean() == pytest.approx(fpir, abs=4 * np.sqrt(fpir / 20_000))


def test_larger_galleries_and_smaller_rates_are_stricter() -> None:
    """The threshold falls as the number of people grows and as the rate falls."""
    limits = [TRUE.threshold(0.01, people) for people in (1, 10, 100, 1000)]
    assert limits == sorted(limits, reverse=True)
    assert TRUE.threshold(0.001, 100) < TRUE.threshold(0.01, 100) < TRUE.threshold(0.1, 100)
    assert TRUE.threshold(1.0, 100) == TRUE.threshold(0.5, 100)


def test_the_distribution_is_recovered_from_searches() -> None:
    """A threshold for 1 % fitted on 400 left-out people accepts 0.5 % to 2 % of new unknown people."""
    random = np.random.default_rng(2)
    fitted = fit_scores(maxima(random, 400, 399), 399, None)
    assert fitted.people == 400
    assert 0.005 < TRUE.fpir(fitted.threshold(0.01, 400), 400) < 0.02


@pytest.mark.parametrize(("people", "compared"), [(100, 20), (400, 399), (900, 900)])
def test_cautious_thresholds_keep_to_the_rate(people: int, compared: int) -> None:
    """Of thresholds for 1 % that are fitted on samples, four in five have at most that rate; of plain ones half."""
    random = np.random.default_rng(7)
    kept, plain = [], []
    for _ in range(150):
        fitted = fit_scores(maxima(random, people, compared), compared, None, bend=0.0)
        kept.append(TRUE.fpir(fitted.cautious_threshold(0.01, compared), compared) <= 0.01)
        plain.append(TRUE.fpir(fitted.threshold(0.01, compared), compared) <= 0.01)
    assert 0.65 <= np.mean(kept) <= 0.92
    assert 0.35 <= np.mean(plain) <= 0.65


def test_caution_falls_with_the_people_behind_an_estimate() -> None:
    """The cautious threshold is stricter than the estimate, less so with more people, and wider for a larger rate."""
    few, many = (replace(TRUE, support=people) for people in (100, 1000))
    estimate = TRUE.threshold(0.01, 100)
    assert few.cautious_threshold(0.01, 100) < many.cautious_threshold(0.01, 100) < estimate
    assert few.cautious_threshold(0.01, 100, confidence=0.5) == pytest.approx(estimate)
    assert few.cautious_threshold(0.01, 100) < few.cautious_threshold(0.1, 100)
    assert fit_scores(np.linspace(0.2, 0.4, 50), 50, TRUE).support == 150
    assert fit_scores(np.linspace(0.2, 0.4, 50), 50, None).support == 50


def test_small_galleries_rely_on_the_model() -> None:
    """Two people do not change the model's threshold; five change it by less than 0.1."""
    prior = scores_of_model(1.03, 1e-3)
    assert prior.fpir(1.03, 1) == pytest.approx(1e-3)
    assert fit_scores(np.array([0.9, 0.9]), 1, prior) == prior
    odd = fit_scores(np.linspace(0.4, 0.6, 5), 4, prior)
    assert abs(odd.threshold(0.01, 5) - prior.threshold(0.01, 5)) < 0.1
    with pytest.raises(ValueError, match="2 values, expected at least 3 or a prior"):
        fit_scores(np.array([0.9, 0.9]), 1, None)


def test_people_are_left_out_of_their_own_search() -> None:
    """Each person's first face is compared only with faces and templates of others, as a loop does."""
    random = np.random.default_rng(3)
    people = np.sort(random.integers(0, 7, 20))
    vectors = random.normal(size=(20, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = []
    for person in np.unique(people):
        probe = vectors[people == person][0]
        found = []
        for other in np.unique(people[people != person]):
            faces = vectors[people == other]
            template = faces.sum(axis=0) / np.linalg.norm(faces.sum(axis=0))
            found.append((max(float(probe @ face) for face in faces) + float(probe @ template)) / 2)
        expected.append(max(found))
    np.testing.assert_allclose(nearest_others(vectors, people), expected, rtol=1e-5)


def test_intervals_narrow_with_people() -> None:
    """The bootstrap interval contains the threshold, and is narrower with ten times the people."""
    random = np.random.default_rng(4)
    widths = []
    for count in (40, 400):
        found = maxima(random, count, count - 1)
        low, high = interval(found, count - 1, None, lambda scores: scores.threshold(0.01, 400))
        assert low <= fit_scores(found, count - 1, None).threshold(0.01, 400) <= high
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]


def test_three_answers() -> None:
    """A face is a match, possible or unknown by its distance; a close second person makes it possible."""
    limit = MatchThreshold(1.0, None, "gallery", possible=1.2, fpir=0.01, people=10, margin=0.05)
    assert [limit.decide(distance) for distance in (0.9, 1.1, 1.3)] == ["match", "possible", "unknown"]
    assert limit.decide(0.9, 0.92) == "possible"
    assert limit.decide(0.9, 0.99) == "match"
    assert limit.decide(0.9, 1.01) == "match"
    assert MatchThreshold(1.0, None, "given").decide(1.1) == "unknown"


def test_galleries_store_the_requested_rate(tmp_path: Path) -> None:
    """The requested rate is 1 % by default, is stored, can be reset, and is validated."""
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.fpir == 0.01
        gallery.choose_fpir(0.001)
        with pytest.raises(ArgumentError, match="fpir is 2, expected a rate above 0"):
            gallery.choose_fpir(2)
    with Gallery.open(tmp_path / "gallery") as gallery:
        assert gallery.fpir == 0.001
        gallery.choose_fpir(None)
        assert gallery.fpir == 0.01


def test_models_without_a_threshold_have_no_distribution() -> None:
    """A manifest without a pair threshold and its rate gives no distribution."""
    manifest = Manifest(name="m", embedding_size=4, input_size=(8, 8), input_blob="data", output_blob="out")
    assert prior_of(manifest) is None


def test_a_gallery_without_people_uses_the_model() -> None:
    """Without people the threshold is the model's threshold for one person."""
    prior = scores_of_model(1.0, 1e-3)
    named = NamedVectors((), np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
    fitted = fit_named(named, 0, prior, 0.01)
    assert fitted.scores == prior
    low, high = fitted.interval
    assert low < prior.threshold(0.01, 1) < high


def test_several_faces_of_a_person_count_less_than_people() -> None:
    """10 people with 5 faces each count as more than 10 comparisons and fewer than 50."""
    assert comparisons(10, 10) == 10
    assert 10 < comparisons(10, 50) < 50
    assert comparisons(0, 0) == 0


@pytest.mark.parametrize("bend", [0.0, 0.05, 0.1])
def test_bent_tails_keep_their_rate(bend: float) -> None:
    """Threshold and rate are inverse functions for every bend, also below the median of the distribution."""
    scores = StrangerScores(0.02, 0.1, bend=bend)
    for people, fpir in ((1, 0.5), (30, 0.01), (3000, 0.001)):
        assert scores.fpir(scores.threshold(fpir, people), people) == pytest.approx(fpir, rel=1e-6)


def test_the_tail_of_a_model_is_measured() -> None:
    """The quantiles fitted to 600 random vectors at rates 1e-2 and 1e-4 equal the counted ones."""
    vectors = np.random.default_rng(5).normal(size=(600, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fitted = fit_model(vectors, np.arange(600))
    similarities = np.sort((vectors @ vectors.T)[np.triu_indices(600, 1)])
    for rate in (1e-2, 1e-4):
        counted = 2 - 2 * np.quantile(similarities, 1 - rate)
        assert fitted.threshold(rate, 1) == pytest.approx(counted, abs=0.02)
    with pytest.raises(ValueError, match="at least 2,000"):
        fit_model(vectors[:20], np.arange(20))


def test_scores_of_known_models() -> None:
    """A measured model has a distribution without one in its manifest, unless its vectors were changed."""
    manifest = Manifest(
        name="m",
        embedding_size=256,
        input_size=(8, 8),
        input_blob="data",
        output_blob="out",
        source_sha256="c634a15039da60122434de560dc3dde0e7c6fbb1b111b022acdc955c522f9e5d",
    )
    prior = prior_of(manifest)
    assert prior is not None
    assert 0.05 < prior.deviation < 0.15
    pair = threshold_in_force(None, manifest)
    assert pair is not None
    assert pair.false_accept_rate == 1e-3
    assert prior.fpir(pair.distance, 1) == pytest.approx(1e-3, rel=1e-3)
    assert prior_of(replace(manifest, embedding_size=128)) is None
    assert threshold_in_force(None, replace(manifest, embedding_size=128)) is None
