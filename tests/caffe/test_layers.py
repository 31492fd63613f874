"""Every layer type: its operation and shapes against its definition in loops."""

from __future__ import annotations

import numpy as np
import pytest
from caffe_nets import CASES, Case, random_inputs, random_window
from oracles import ORACLES

from faceall.caffe.layers import LAYERS
from faceall.caffe.net import Net
from faceall.caffe.reference import run_all
from faceall.caffe.shapes import infer_shapes


def check(case: Case, seed: int) -> None:
    """The case's results and inferred shapes equal the oracle's, on random numbers."""
    rng = np.random.default_rng(seed)
    net = case.net(rng)
    inputs = random_inputs(net, rng)
    options = dict(case.options)
    wanted = ORACLES[case.kind](options, list(inputs.values()), net.blobs("it"), case.tops)
    blobs, shapes = run_all(net, inputs), infer_shapes(net)
    for number, expected in enumerate(wanted):
        actual = blobs[f"out{number}"]
        assert actual.dtype == np.float64
        assert actual.shape == shapes[f"out{number}"] == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_computes_its_definition(name: str) -> None:
    """The result and its shape are what loops over the definition give."""
    check(CASES[name], seed=len(name))


@pytest.mark.parametrize("kind", ["Convolution", "Pooling"])
@pytest.mark.parametrize("seed", range(60))
def test_a_window_of_any_geometry_slides_as_defined(kind: str, seed: int) -> None:
    """Kernel, stride, pad, dilation, groups and rounding may be anything that fits."""
    check(random_window(np.random.default_rng(seed), kind), seed)


def test_every_layer_type_has_an_oracle_and_a_case() -> None:
    """Silence alone has no output to compare."""
    assert ORACLES.keys() == LAYERS.keys() - {"Silence"}
    assert {case.kind for case in CASES.values()} == set(ORACLES)


def test_the_key_of_a_layer_type_is_its_name() -> None:
    """`LAYERS` finds every row by its own type."""
    assert all(name == spec.type for name, spec in LAYERS.items())


def _batch_norm(factor: float | None) -> Net:
    case = CASES["batch norm, two axes"]
    net = case.net(np.random.default_rng(1))
    weights = dict(net.weights)
    if factor is None:
        del weights["it/2"]
    else:
        weights["it/2"] = np.array([factor])
    return net.with_weights(weights)


def test_batch_norm_with_a_factor_of_zero_takes_mean_and_variance_as_zero() -> None:
    """x / sqrt(eps), as Caffe does for statistics that were never gathered."""
    inputs = {"in0": np.ones((3, 5), np.float32)}
    np.testing.assert_allclose(run_all(_batch_norm(0.0), inputs)["out0"], np.full((3, 5), 1e-5**-0.5), rtol=1e-6)


def test_batch_norm_without_a_factor_divides_by_one() -> None:
    """Two blobs give the same as a third of 1."""
    inputs = random_inputs(_batch_norm(None), np.random.default_rng(2))
    with_one, without = (run_all(_batch_norm(factor), inputs)["out0"] for factor in (1.0, None))
    np.testing.assert_array_equal(with_one, without)


def test_softmax_of_huge_numbers_is_finite() -> None:
    """The largest number is subtracted first."""
    net = Case("Softmax", {}, ((1, 3),)).net(np.random.default_rng(0))
    result = run_all(net, {"in0": np.array([[1e4, 1e4, -1e4]], np.float32)})["out0"]
    np.testing.assert_allclose(result, [[0.5, 0.5, 0.0]])


def test_sigmoid_of_huge_numbers_is_finite_and_silent() -> None:
    """No overflow either way."""
    net = Case("Sigmoid", {}, ((1, 3),)).net(np.random.default_rng(0))
    with np.errstate(all="raise"):
        result = run_all(net, {"in0": np.array([[1e4, 0.0, -1e4]], np.float32)})["out0"]
    np.testing.assert_allclose(result, [[1.0, 0.5, 0.0]])


def test_a_maximum_in_a_border_is_never_the_border() -> None:
    """All numbers are negative, so a border of zeros would win where it counted."""
    net = Case("Pooling", {"kernel_size": 3, "stride": 2, "pad": 1}, ((1, 1, 4, 4),)).net(np.random.default_rng(0))
    assert run_all(net, {"in0": np.full((1, 1, 4, 4), -5.0, np.float32)})["out0"].max() == -5.0
