"""Fit linear classifiers with scikit-learn, and measure how strangers score."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from faceall.analysis.open_set import fit_scores
from faceall.errors import MissingDependencyError
from faceall.types import Array, Float32Array, Int64Array

Kind: TypeAlias = Literal["svm", "logistic"]
"""svm: a linear support vector machine, one against the rest. logistic: multinomial logistic regression."""

KINDS: tuple[Kind, ...] = get_args(Kind)
FOLDS = 5
"""The people are left out in so many parts when the scores of strangers are measured."""

_STRENGTH: dict[Kind, float] = {"svm": 1.0, "logistic": 10.0}  # inverse regularisation C, for unit vectors
_TWO = 2


def fit_linear(vectors: Float32Array, people: Int64Array, kind: Kind) -> tuple[Float32Array, Float32Array]:
    """Fit one linear score per person.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors.
    people : (n,) int64
        The person of each, 0 to p - 1; each occurs.
    kind : {"svm", "logistic"}
        The method.

    Returns
    -------
    weights, bias : (p, D) and (p,) float32
        See `person_scores`.

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.
    """
    model = _estimator(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence: scores are calibrated afterwards in any case
        model.fit(vectors, people)
    weights, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(weights) == 1:  # two people: scikit-learn keeps the score of the second one
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    return weights.astype(np.float32), np.broadcast_to(bias, len(weights)).astype(np.float32)


def _estimator(kind: Kind) -> Any:
    """Return an estimator of scikit-learn."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise MissingDependencyError('a classifier needs scikit-learn: pip install "faceall[classifier]"') from error
    if kind == "svm":
        return LinearSVC(C=_STRENGTH[kind], class_weight="balanced", random_state=0)
    return LogisticRegression(C=_STRENGTH[kind], class_weight="balanced", max_iter=100)


def person_scores(vectors: Float32Array, weights: Float32Array, bias: Float32Array, kind: Kind) -> Array:
    """Score faces as people.

    Parameters
    ----------
    vectors : (n, D) float32
        Unit vectors.
    weights, bias : (p, D) and (p,) float32
        Of `fit_linear`.
    kind : {"svm", "logistic"}
        The method.

    Returns
    -------
    (n, p) float64
        svm: distance from the separating plane in margins. logistic: logarithm of the odds of the person, which can be
        compared between classifiers of different numbers of people.
    """
    scores = (vectors @ weights.T + bias).astype(np.float64)
    if kind == "svm":
        return scores
    shifted = scores - scores.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    rest = np.maximum(powers.sum(axis=1, keepdims=True) - powers, 1e-12)
    return np.asarray(shifted - np.log(rest))


def stranger_thresholds(
    vectors: Float32Array, people: Int64Array, kind: Kind, rates: Sequence[float], *, seed: int = 0
) -> list[float]:
    """Estimate the scores that strangers exceed at given rates.

    Parts of the people are left out in turn, and their faces are classified as the others. The distribution of the
    highest scores is fitted like that of the searches of a gallery (`fit_scores`).

    Parameters
    ----------
    vectors, people : (n, D) float32, (n,) int64
        Unit vectors and their people, ascending.
    kind : {"svm", "logistic"}
        The method.
    rates : sequence of float
        False-positive identification rates.
    seed : int
        Seed of the division into parts.

    Returns
    -------
    list of float
        One score per rate.
    """
    count = int(people.max()) + 1
    folds = min(FOLDS, count // _TWO)
    parts = np.random.default_rng(seed).permutation(count) % folds
    maxima: list[Array] = []
    for part in range(folds):
        inside = parts[people] != part
        renumbered = np.unique(people[inside], return_inverse=True)[1].astype(np.int64)
        weights, bias = fit_linear(vectors[inside], renumbered, kind)
        maxima.append(person_scores(vectors[~inside], weights, bias, kind).max(axis=1))
    trained = count - count / folds
    fitted = fit_scores(np.concatenate(maxima), trained, None)
    compared = count if kind == "svm" else trained  # odds already take the number of people into account
    return [fitted.similarity(rate, compared) for rate in rates]
