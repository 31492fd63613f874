"""The four spellings of a pool that rounds down: one net, one result, other layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.shapes import infer_shapes
from faceall.convert.passes.pools import FloorPool, rounds_down, write_floor_pools
from faceall.convert.tensorflow.facenet import facenet_net
from faceall.errors import ConvertError

STYLES = get_args(FloorPool)


def net_with_pool(options: dict[str, Any], size: tuple[int, int] = (8, 8), *, branch: bool = False) -> Net:
    """A pool alone, or joined with a convolution that makes as many rows and columns."""
    pool = Layer("pool", "Pooling", ("data",), ("pool",), {"pooling_param": {"round_mode": "FLOOR", **options}})
    layers = [input_layer("data", (1, 2, *size)), pool]
    weights = {}
    if branch:
        kernel = np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)
        convolution = {"num_output": 3, "kernel_size": [3], "stride": [2], "bias_term": False}
        layers.insert(1, Layer("conv", "Convolution", ("data",), ("conv",), {"convolution_param": convolution}))
        layers.append(Layer("both", "Concat", ("conv", "pool"), ("both",)))
        weights = weight_keys("conv", [kernel])
    return Net("net", tuple(layers), weights)


def assert_same(net: Net, changed: Net) -> None:
    """Both give the same numbers under the same names."""
    x = {"data": np.random.default_rng(1).normal(size=(2, *net.inputs["data"][1:])).astype(np.float32)}
    reference = get_engine("reference")
    wanted = reference.compile(net)(x)
    actual = reference.compile(changed, list(wanted))(x)
    for blob, array in wanted.items():
        np.testing.assert_array_equal(actual[blob], array)


def types(net: Net) -> Counter[str]:
    """How many layers there are of each type."""
    return Counter(layer.type for layer in net.layers if layer.type != "Input")


LAYERS_LEFT = {
    "crop": Counter(Convolution=1, Pooling=1, Crop=1, Concat=1),
    "slice": Counter(Convolution=1, Pooling=1, Slice=2, Silence=2, Concat=1),
    "conv": Counter(Convolution=2, Pooling=1, Concat=1),
    "round-mode": Counter(Convolution=1, Pooling=1, Concat=1),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["MAX", "AVE"])
def test_spelling_gives_the_same_numbers(style: FloorPool, kind: str) -> None:
    """Each style has its own layers and the pool's own result."""
    net = net_with_pool({"pool": kind, "kernel_size": 3, "stride": 2}, branch=True)
    changed = write_floor_pools(net, style)
    assert types(changed) == LAYERS_LEFT[style]
    assert any(map(rounds_down, changed.layers)) == (style == "round-mode")
    assert_same(net, changed)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 8), (8, 9), (10, 7)])
def test_pools_of_any_geometry(style: FloorPool, kernel: int, stride: int, size: tuple[int, int]) -> None:
    """Rows and columns may differ in what has to go."""
    net = net_with_pool({"pool": "MAX", "kernel_size": kernel, "stride": stride}, size)
    assert_same(net, write_floor_pools(net, style))


def test_pool_alone_is_sliced_where_there_is_nothing_to_crop_to() -> None:
    """Without a branch, "crop" is "slice"."""
    net = net_with_pool({"pool": "MAX", "kernel_size": 3, "stride": 2})
    assert types(write_floor_pools(net, "crop")) == Counter(Pooling=1, Slice=2, Silence=2)


def test_pool_with_a_border_cannot_be_sliced() -> None:
    """The border would follow the cut; "crop" finds another way, "slice" says so."""
    net = net_with_pool({"pool": "MAX", "kernel_size": 3, "stride": 2, "pad": 1}, (8, 8))
    with pytest.raises(ConvertError, match="'pool' rounds down and has a border"):
        write_floor_pools(net, "slice")
    assert_same(net, write_floor_pools(net, "crop"))


@pytest.mark.parametrize("style", STYLES)
def test_pool_that_fits_exactly_needs_nothing(style: FloorPool) -> None:
    """Where both roundings agree, a plain pool is left."""
    net = net_with_pool({"pool": "MAX", "kernel_size": 3, "stride": 2}, (9, 9))
    changed = write_floor_pools(net, style)
    assert types(changed) == Counter(Pooling=1)
    assert not any(map(rounds_down, changed.layers))


def test_net_is_not_changed() -> None:
    """A pass makes a new net."""
    net = net_with_pool({"pool": "MAX", "kernel_size": 3, "stride": 2})
    before = net.layers
    write_floor_pools(net, "slice")
    assert net.layers is before


def test_unknown_style_is_refused() -> None:
    """The error lists the known ones."""
    with pytest.raises(ValueError, match="known: crop, slice, conv, round-mode"):
        write_floor_pools(net_with_pool({"kernel_size": 3}), "floor")  # type: ignore[arg-type]


def test_real_facenet_has_one_such_pool(shared: Path) -> None:
    """At 160 pixels only the pool of Mixed_7a is spelled: 8 rows, a window of 3, a step of 2."""
    net = facenet_net(shared / "models/facenet/20180408-102900.pb", floor_pool="round-mode")
    (pool,) = filter(rounds_down, net.layers)
    assert "Mixed_7a" in pool.name
    assert infer_shapes(net)[pool.tops[0]][2:] == (3, 3)
    cropped = types(write_floor_pools(net, "crop"))
    assert cropped - types(net) == Counter(Crop=1)
