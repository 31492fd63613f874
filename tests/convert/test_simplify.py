"""Batch normalisation folded away: the same outputs, and fewer layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coreml_nets import embedder_net, messy_net
from faceall.caffe import Net
from faceall.caffe.files import write_net
from faceall.caffe.reference import run_all
from faceall.convert import ParityOptions, convert
from faceall.convert.passes.simplify import apply_batch_norm


def without_factor(net: Net) -> Net:
    """The net as files have it whose BatchNorm holds a mean and a variance alone."""
    return net.with_weights({key: array for key, array in net.weights.items() if key != "norm/2"})


def with_factor(net: Net, factor: float) -> Net:
    """The net with a mean and a variance that are to be divided by `factor` first."""
    scaled = {f"norm/{number}": net.weights[f"norm/{number}"] * np.float32(factor) for number in (0, 1)}
    return net.with_weights({**net.weights, **scaled, "norm/2": np.array([factor], np.float32)})


@pytest.mark.parametrize("make", [embedder_net, messy_net])
@pytest.mark.parametrize("change", [lambda net: net, without_factor, lambda net: with_factor(net, 250.0)])
def test_folded_nets_compute_the_same(make: object, change: object) -> None:
    """With a factor of 1, of another size, or none."""
    net = change(make())  # type: ignore[operator]
    folded = apply_batch_norm(net, "fold")
    (name,) = net.inputs
    sample = {name: np.random.default_rng(0).normal(size=net.inputs[name]).astype(np.float32)}
    wanted, made = run_all(net, sample), run_all(folded, sample)
    for blob in net.outputs:
        np.testing.assert_allclose(made[blob], wanted[blob], atol=2e-6)
    assert "BatchNorm" not in {layer.type for layer in folded.layers}
    assert len(folded.layers) < len(net.layers) or make is messy_net


def test_weights_of_four_axes_are_folded_as_well(tmp_path: Path) -> None:
    """Files of the old format hold a vector (C,) as (1, 1, 1, C)."""
    net = embedder_net()
    old = {key: array.reshape(1, 1, 1, -1) if array.ndim == 1 else array for key, array in net.weights.items()}
    write_net(net.with_weights(old), tmp_path / "old.prototxt", tmp_path / "old.caffemodel")
    assert convert(tmp_path / "old.prototxt", tmp_path / "made", parity=ParityOptions(engine="reference")).report.passed
