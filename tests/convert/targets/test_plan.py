"""Preparation of nets for Apple's formats, and the options that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coreml_nets import embedder_net, manifest_of, messy_net
from faceall.caffe import Layer, Net, input_layer
from faceall.caffe.net import weight_keys
from faceall.caffe.reference import run_all
from faceall.convert.targets.coreml import CoremlOptions
from faceall.convert.targets.coreml.palette import palette
from faceall.convert.targets.plan import (
    complete_batch_norm,
    even_channels,
    feature_name,
    make_plan,
    single_writers,
    unit_tail,
)
from faceall.errors import ConvertError
from faceall.types import Array


def outputs_of(net: Net, shape: tuple[int, ...]) -> list[Array]:
    sample = np.random.default_rng(1).normal(0, 1, shape)
    (name,) = net.inputs
    blobs = run_all(net, {name: sample})
    return [blobs[name] for name in net.outputs]


def test_every_blob_gets_one_writer() -> None:
    """Layers in place are taken apart; the results and their names stay."""
    net = messy_net()
    apart = single_writers(net)
    tops = [top for layer in apart.layers for top in layer.tops]
    assert len(tops) == len(set(tops)) > len({top for layer in net.layers for top in layer.tops})
    assert apart.outputs == net.outputs
    for before, after in zip(outputs_of(net, (1, 3, 16, 16)), outputs_of(apart, (1, 3, 16, 16)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_batch_norm_of_two_blobs_gets_its_third() -> None:
    """An absent factor is 1."""
    layers = (input_layer("data", (1, 2, 3, 3)), Layer("norm", "BatchNorm", ("data",), ("norm",)))
    net = Net("two", layers, weight_keys("norm", [np.array([1, 2]), np.array([3, 4])]))
    done = complete_batch_norm(net)
    assert len(done.blobs("norm")) == 3
    np.testing.assert_array_equal(outputs_of(net, (1, 2, 3, 3))[0], outputs_of(done, (1, 2, 3, 3))[0])


@pytest.mark.parametrize("copies", [False, True])
def test_a_spelled_out_length_becomes_one_layer(copies: bool) -> None:
    """Square, sum, root and product are one Normalize, with the same result."""
    net = embedder_net(portable_tail=True, copies=copies)
    short = unit_tail(net)
    assert [layer.type for layer in short.layers[-2:]] == ["InnerProduct", "Normalize"]
    assert not any(layer.type == "Power" for layer in short.layers)
    np.testing.assert_allclose(outputs_of(short, (1, 3, 16, 16))[0], outputs_of(net, (1, 3, 16, 16))[0], atol=1e-9)


def test_a_product_of_something_else_stays() -> None:
    """With a matrix that is not all ones nothing is taken together."""
    net = embedder_net(portable_tail=True, copies=False)
    weights = {**net.weights, "total/0": net.weights["total/0"] * 2}
    assert len(unit_tail(replace(net, weights=weights)).layers) == len(net.layers)


def test_channels_of_one_size_keep_the_result() -> None:
    """Each large kernel's rows get a mean square of 1, a Scale after it undoes that."""
    net = embedder_net(outputs=64)
    even = even_channels(net)
    assert sum(layer.type == "Scale" for layer in even.layers) > 0
    kernel = even.blobs("vector")[0]
    np.testing.assert_allclose(np.mean(kernel.astype(np.float64) ** 2, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(outputs_of(even, (1, 3, 16, 16))[0], outputs_of(net, (1, 3, 16, 16))[0], atol=1e-5)


def test_plans_of_embedders_and_detectors() -> None:
    """An embedder's result is `embedding` at unit length; other nets keep their names, and their size may be free."""
    plan = make_plan(embedder_net(), CoremlOptions(input="image"), manifest_of())
    assert dict(plan.inputs) == {"data": "image"}
    assert [*plan.outputs.values()] == ["embedding"]
    assert plan.net.layers[-1].type == "Normalize"
    assert not plan.flexible
    plain = make_plan(embedder_net(), CoremlOptions(input="array", unit_length=False), manifest_of())
    assert plain.net.layers[-1].type == "InnerProduct"
    detector = make_plan(messy_net(), CoremlOptions(input="array"), None)
    assert dict(detector.outputs) == {"box-2": "box_2", "prob": "prob"}
    assert detector.flexible
    assert feature_name("2conv4-2/x") == "_2conv4_2_x"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"format": "onnx"}, "format 'onnx' is unknown; known: mlprogram, neuralnetwork"),
        ({"precision": "int4"}, "precision 'int4' is unknown"),
        ({"minimum_ios": 12}, "minimum iOS 12 is unknown to Core ML; known: 13, 14"),
        ({"minimum_ios": 14}, "mlprogram with float32 needs iOS 15 or later, not 14"),
        ({"minimum_ios": 15, "precision": "int8"}, "mlprogram with int8 needs iOS 16 or later, not 15"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], text: str) -> None:
    """The refusal names the option and what is known or needed."""
    with pytest.raises(ConvertError, match=text):
        CoremlOptions(**options)  # type: ignore[arg-type]


def test_a_image_needs_a_manifest_that_fits() -> None:
    """Without a manifest nobody knows how pixels become numbers; with one of another size it is not this net's."""
    with pytest.raises(ConvertError, match="needs the model's manifest"):
        make_plan(embedder_net(), CoremlOptions(), None)
    with pytest.raises(ConvertError, match="takes 16x16 pixels, its manifest says 160x160"):
        make_plan(embedder_net(), CoremlOptions(), replace(manifest_of(), input_size=(160, 160)))


def test_a_palette_is_better_than_even_steps_and_always_the_same() -> None:
    """Chosen values have a smaller squared error than evenly spaced ones; few values are kept exactly."""
    values = np.random.default_rng(2).normal(0, 1, (40, 70)).astype(np.float32)
    table, numbers = palette(values, 6)
    assert len(table) == 64
    assert np.all(np.diff(table) >= 0)
    assert numbers.dtype == np.uint8
    even = np.linspace(values.min(), values.max(), 64)
    near = even[np.abs(values.reshape(-1, 1) - even).argmin(axis=1)]
    assert np.mean((table[numbers] - values.reshape(-1)) ** 2) < 0.8 * np.mean((near - values.reshape(-1)) ** 2)
    again = palette(values, 6)
    np.testing.assert_array_equal(again[0], table)
    few, chosen = palette(np.array([3, 1, 3, 2], np.float32), 8)
    assert few[chosen].tolist() == [3, 1, 3, 2]
    assert len(few) == 256
