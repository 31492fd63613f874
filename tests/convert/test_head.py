"""The end of an embedder: found, rewritten, folded; the same vectors, other layers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.convert.passes.head import BottleneckStyle, bottleneck_as, find_head, fold_head
from faceall.convert.tensorflow.facenet import translate
from faceall.errors import ConvertError
from faceall.types import Float32Array
from tensorflow_graphs import small_facenet


def small(batch_norm: Any) -> Net:
    """The small FaceNet as a net."""
    return translate(small_facenet().bound(), name="net", batch_norm=batch_norm).net


def run(net: Net, output: str = "embeddings", seed: int = 3) -> Float32Array:
    """What the net makes of three random images."""
    ((name, shape),) = net.inputs.items()
    x = np.random.default_rng(seed).normal(size=(3, *shape[1:])).astype(np.float32)
    return get_engine("reference").compile(net, [output])({name: x})[output]


def types(net: Net) -> Counter[str]:
    """How many layers there are of each type."""
    return Counter(layer.type for layer in net.layers)


def with_head(*layers: Layer, **blobs: list[Any]) -> Net:
    """A net of an image (2, 3, 3) and these layers."""
    weights: dict[str, Float32Array] = {}
    for name, arrays in blobs.items():
        weights |= weight_keys(name, arrays)
    return Net("net", (input_layer("data", (1, 2, 3, 3)), *layers), weights)


def product(name: str, bottom: str, outputs: int) -> Layer:
    """An InnerProduct."""
    return Layer(name, "InnerProduct", (bottom,), (name,), {"inner_product_param": {"num_output": outputs}})


@pytest.mark.parametrize("style", ["keep", "fold"])
def test_head_of_facenet_is_found(style: str) -> None:
    """The bottleneck, the normalisation behind it if kept, and the five layers of the unit length."""
    head = find_head(small(style), "embeddings")
    assert head.linear.name == "Net_Bottleneck"
    assert [layer.type for layer in head.after] == (["BatchNorm", "Scale"] if style == "keep" else [])
    assert [layer.type for layer in head.unit] == ["Power", "InnerProduct", "Power", "InnerProduct", "Eltwise"]


@pytest.mark.parametrize("style", ["keep", "fold"])
def test_bottleneck_becomes_a_convolution_and_comes_back(style: str) -> None:
    """The same vectors both ways; one InnerProduct less, one Convolution more."""
    net = small(style)
    there = bottleneck_as(net, "embeddings", "convolution")
    assert find_head(there, "embeddings").linear.type == "Convolution"
    assert types(there)["Convolution"] == types(net)["Convolution"] + 1
    assert types(there)["InnerProduct"] == types(net)["InnerProduct"] - 1
    np.testing.assert_allclose(run(there), run(net), atol=1e-6)
    back = bottleneck_as(there, "embeddings", "inner-product")
    assert find_head(back, "embeddings").linear.type == "InnerProduct"
    np.testing.assert_allclose(run(back), run(net), atol=1e-6)


def test_bottleneck_over_a_image_becomes_a_kernel_of_its_size() -> None:
    """An InnerProduct that flattens by itself needs a kernel as large as the image."""
    random = np.random.default_rng(0)
    net = with_head(product("vector", "data", 4), vector=[random.normal(size=(4, 18)), random.normal(size=4)])
    changed = bottleneck_as(net, "vector", "convolution")
    assert types(changed) == Counter(Input=1, Convolution=1, Flatten=1)
    np.testing.assert_allclose(run(changed, "vector"), run(net, "vector"), atol=1e-6)


def test_style_that_is_there_already_changes_nothing() -> None:
    """An InnerProduct stays one."""
    net = small("fold")
    assert bottleneck_as(net, "embeddings", "inner-product") is net


def test_folding_the_head_leaves_one_product() -> None:
    """BatchNorm and Scale behind the bottleneck go, those of the convolutions stay."""
    net = small("keep")
    folded = fold_head(net, "embeddings")
    assert find_head(folded, "embeddings").after == ()
    assert types(net) - types(folded) == Counter(BatchNorm=1, Scale=1)
    np.testing.assert_allclose(run(folded), run(net), atol=1e-6)


def test_folding_passes_through_a_flattening() -> None:
    """A convolution as bottleneck has a Flatten between it and its normalisation."""
    net = bottleneck_as(small("keep"), "embeddings", "convolution")
    folded = fold_head(net, "embeddings")
    assert types(net) - types(folded) == Counter(BatchNorm=1, Scale=1)
    np.testing.assert_allclose(run(folded), run(net), atol=1e-6)


@pytest.mark.parametrize("style", ["inner-product", "convolution"])
def test_vector_that_is_read_elsewhere_is_refused(style: BottleneckStyle) -> None:
    """A classifier on the raw product would change with it."""
    net = small("keep")
    other = Layer(
        "logits", "InnerProduct", ("Net_Bottleneck",), ("logits",), {"inner_product_param": {"num_output": 2}}
    )
    net = replace(net, layers=(*net.layers, other))
    with pytest.raises(ConvertError, match=r"'logits' \(InnerProduct\) reads 'Net_Bottleneck' besides"):
        bottleneck_as(net, "embeddings", style)


def test_net_without_a_bottleneck_is_refused() -> None:
    """The error names the layer that makes the vector."""
    net = with_head(Layer("pool", "Pooling", ("data",), ("pool",), {"pooling_param": {"global_pooling": True}}))
    with pytest.raises(ConvertError, match=r"'pool' \(Pooling\), expected an InnerProduct"):
        find_head(net, "pool")


def test_unknown_style_is_refused() -> None:
    """The error lists the known ones."""
    with pytest.raises(ValueError, match="known: inner-product, convolution"):
        bottleneck_as(small("fold"), "embeddings", "matrix")  # type: ignore[arg-type]
