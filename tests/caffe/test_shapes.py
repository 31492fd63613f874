"""Shapes, and the refusals of what does not fit. That shapes equal the oracle's is tested in test_layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from caffe_nets import CASES, IMAGE, Case, layer, random_inputs, random_net, with_random_weights

from faceall.caffe.layers import KNOWN_TYPES, Window, window
from faceall.caffe.net import Layer, Net, input_layer
from faceall.caffe.reference import run_all
from faceall.caffe.shapes import fit_weights, infer_shapes, layer_blobs
from faceall.errors import NetError, NetFormatError, ShapeError, UnsupportedLayerError

RNG_SEED = 7


def chain(*layers: Layer, shape: tuple[int, ...] = (1, 3, 8, 8)) -> Net:
    """A net without weights whose input is 'data'."""
    return Net("chain", (input_layer("data", shape), *layers))


def message(net: Net) -> str:
    """The one line with which the net is refused."""
    with pytest.raises(NetError) as caught:
        infer_shapes(net)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("seed", range(10))
def test_shapes_are_those_of_the_results(seed: int) -> None:
    """Every blob of nets that mix all layer types, for the declared input and for another size and batch."""
    net = random_net(seed)
    for inputs in (random_inputs(net, np.random.default_rng(seed)), {"data": np.zeros((3, 3, 33, 30), np.float32)}):
        shapes = infer_shapes(net, {"data": inputs["data"].shape})
        assert shapes == {name: blob.shape for name, blob in run_all(net, inputs).items()}


@pytest.mark.parametrize(("side", "cells"), [(12, 1), (13, 2), (14, 2), (24, 7), (57, 24), (240, 115)])
def test_p_net_gives_one_cell_every_two_pixels(mtcnn_folder: Any, side: int, cells: int) -> None:
    """Two convolutions after a pooling that rounds up."""
    from faceall.caffe.files import read_net

    net = read_net(mtcnn_folder / "det1.prototxt", mtcnn_folder / "det1.caffemodel")
    shapes = infer_shapes(net, {"data": (5, 3, side, 2 * side)})
    assert shapes["prob1"][:3] == (5, 2, cells)
    assert shapes["conv4-2"] == (5, 4, *shapes["prob1"][2:])
    pooled = -(-(side - 2 - 2) // 2) + 1
    assert cells == pooled - 4


def test_r_net_and_o_net_take_their_own_size_alone(mtcnn_folder: Any) -> None:
    """Their inner product was trained on one size; the message gives both counts."""
    from faceall.caffe.files import read_net

    net = read_net(mtcnn_folder / "det2.prototxt", mtcnn_folder / "det2.caffemodel")
    assert infer_shapes(net)["conv4"] == (1, 128)
    with pytest.raises(ShapeError, match=r"'conv4' \(InnerProduct\) expects 576 input values, its input 'conv3' has"):
        infer_shapes(net, {"data": (1, 3, 48, 48)})


def test_an_unknown_type_is_named_with_the_known_ones() -> None:
    """The layer, its type, all that faceall knows."""
    net = chain(Layer("l2", "L2Norm", ("data",), ("l2",)))
    with pytest.raises(UnsupportedLayerError) as caught:
        infer_shapes(net)
    assert str(caught.value).startswith("layer 'l2' has the unknown type 'L2Norm'; known types: Input, Axpy, ")
    assert all(kind in str(caught.value) for kind in KNOWN_TYPES)


def test_a_blob_that_nobody_writes_is_named() -> None:
    """And what has been written by then."""
    net = chain(layer("ReLU", ["dta"], ["out"]))
    with pytest.raises(
        NetFormatError, match=r"'out' \(ReLU\) reads 'dta', which no layer before it writes; written: data"
    ):
        infer_shapes(net)


def test_an_unknown_input_is_refused() -> None:
    """With the inputs that there are."""
    with pytest.raises(ShapeError, match="no input 'image'; its inputs: data"):
        infer_shapes(chain(), {"image": (1, 3, 8, 8)})


@pytest.mark.parametrize("shape", [(), (1, 0, 3), (1, -1)])
def test_an_input_of_no_size_is_refused(shape: tuple[int, ...]) -> None:
    """A prototxt may leave sizes open; then they have to be given."""
    with pytest.raises(ShapeError, match="input 'data' has shape"):
        infer_shapes(chain(shape=shape))


def test_a_convolution_of_other_channels_is_refused_in_channels() -> None:
    """The sentence says what the weights expect and what the input has."""
    net = with_random_weights(
        chain(layer("Convolution", ["data"], ["conv2"], num_output=4, kernel_size=[3])), np.random.default_rng(0)
    )
    with pytest.raises(ShapeError) as caught:
        infer_shapes(net, {"data": (1, 10, 8, 8)})
    assert str(caught.value) == "layer 'conv2' (Convolution) expects 3 input channels, its input 'data' has 10"


REFUSALS: dict[str, tuple[Case, str]] = {
    "no kernel": (Case("Convolution", {"num_output": 4}), "gives 0 values of kernel_size"),
    "three kernel sizes": (Case("Convolution", {"num_output": 4, "kernel_size": [1, 2, 3]}), "3 values of kernel_size"),
    "kernel twice": (Case("Convolution", {"num_output": 4, "kernel_size": [1], "kernel_h": 1}), "as well as kernel_h"),
    "half a kernel": (Case("Convolution", {"num_output": 4, "kernel_h": 3}), "only one of kernel_h and kernel_w"),
    "kernel of 0": (Case("Convolution", {"num_output": 4, "kernel_size": [0]}), "kernel of 0x0"),
    "stride of 0": (Case("Pooling", {"kernel_size": 2, "stride": 0}), "stride of 0x0"),
    "no outputs": (Case("Convolution", {"kernel_size": [3]}), "no num_output"),
    "groups": (Case("Convolution", {"num_output": 4, "kernel_size": [3], "group": 4}), "4 groups, which must divide"),
    "kernel too large": (Case("Convolution", {"num_output": 4, "kernel_size": [8]}), "8x8 pixels .* of 7x9"),
    "other axis": (Case("Convolution", {"num_output": 4, "kernel_size": [3], "axis": 2}), "only 1 is supported"),
    "two axes": (Case("Convolution", {"num_output": 4, "kernel_size": [3]}, ((2, 3),)), "4 axes .*shape .2, 3."),
    "pad of the kernel's size": (Case("Pooling", {"kernel_size": 2, "pad": 2}), "pad of 2x2, which must be smaller"),
    "global with a kernel": (Case("Pooling", {"global_pooling": True, "kernel_size": 2}), "may not have a kernel"),
    "stochastic": (Case("Pooling", {"pool": "STOCHASTIC", "kernel_size": 2}), "supported are MAX and AVE"),
    "window past the edge": (Case("Pooling", {"kernel_size": 1, "stride": 4}, ((1, 1, 4, 4),)), "does not fit"),
    "concat": (Case("Concat", {}, ((1, 2, 3, 4), (1, 2, 3, 5))), "'in1' of shape .* differs"),
    "eltwise": (Case("Eltwise", {}, ((1, 2), (1, 3))), "inputs of one shape"),
    "eltwise alone": (Case("Eltwise", {}, ((1, 2),)), "has 1 inputs, expected at least 2"),
    "coefficients": (Case("Eltwise", {"coeff": [1.0]}, ((1, 2), (1, 2))), "1 coeff for 2 inputs"),
    "coefficients of a product": (
        Case("Eltwise", {"coeff": [1.0, 2.0], "operation": "PROD"}, ((1, 2), (1, 2))),
        "for SUM",
    ),
    "flatten backwards": (Case("Flatten", {"axis": 2, "end_axis": 1}), "flattens axes 2 to 1"),
    "reshape": (Case("Reshape", {"shape": {"dim": [0, 5]}}), "do not hold the values"),
    "reshape, open": (Case("Reshape", {"shape": {"dim": [-1, -1]}}), "-1 at most once"),
    "reshape, nothing to keep": (Case("Reshape", {"shape": {"dim": [0, 0, 0]}}, ((2, 3),)), "0 for an axis"),
    "reshape, remainder": (Case("Reshape", {"shape": {"dim": [4, -1]}}, ((2, 3),)), "do not hold the values"),
    "permute": (Case("Permute", {"order": [0, 0]}), "different axes"),
    "softmax": (Case("Softmax", {"axis": 4}), "axis 4, its input 'in0' has 4 axes"),
    "crop": (Case("Crop", {"offset": [3]}, (IMAGE, (2, 6, 5, 5))), "reaches beyond its edge"),
    "crop offsets": (Case("Crop", {"offset": [1, 1, 1]}, (IMAGE, IMAGE)), "3 offsets, expected one, or 2"),
    "crop alone": (Case("Crop"), "has 1 inputs, expected 2"),
    "slice, unequal": (Case("Slice", {}, tops=4), "cuts into 4 equal parts"),
    "slice, points": (Case("Slice", {"slice_point": [4, 2]}, tops=3), "growing points between 0 and 6"),
    "slice, count": (Case("Slice", {"slice_point": [4]}, tops=3), "expected 2 growing points"),
    "scale": (Case("Scale", {"axis": 0}, (IMAGE, (2, 7))), "second input 'in1' has shape"),
    "scale axes": (Case("Scale", {"axis": 3, "num_axes": 2}), "axis 3 and num_axes 2"),
    "batch norm in training": (Case("BatchNorm", {"use_global_stats": False}), "set it to true"),
    "no channels": (Case("PReLU", {}, ((3,),)), "expects an axis of channels"),
    "two inputs": (Case("ReLU", {}, (IMAGE, IMAGE)), "has 2 inputs, expected 1"),
    "two outputs": (Case("ReLU", tops=2), "has 2 outputs, expected 1"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_fit_is_refused_in_one_line_that_names_the_layer(name: str) -> None:
    """Name, type and reason, for every misfit."""
    case, reason = REFUSALS[name]
    inputs = [f"in{number}" for number in range(len(case.inputs))]
    layers = [input_layer(blob, shape) for blob, shape in zip(inputs, case.inputs, strict=True)]
    layers.append(layer(case.kind, inputs, [f"out{number}" for number in range(case.tops)], "it", **case.options))
    with pytest.raises(NetError, match=rf"^layer 'it' \({case.kind}\) .*{reason}") as caught:
        infer_shapes(Net("misfit", tuple(layers)))
    assert "\n" not in str(caught.value)


def convolution() -> Net:
    """A net of one convolution, with weights."""
    return CASES["convolution"].net(np.random.default_rng(RNG_SEED))


def test_missing_weights_are_refused() -> None:
    """Where others are there, and where the net is to run."""
    net = convolution().with_weights({})
    assert infer_shapes(net)["out0"] == (2, 4, 5, 7)
    with pytest.raises(ShapeError, match=r"'it' \(Convolution\) has no weights, expected \(4, 6, 3, 3\), \(4,\)"):
        infer_shapes(net, need_weights=True)
    with pytest.raises(ShapeError, match="has no weights"):
        infer_shapes(net.with_weights({"other/0": np.ones(1)}))


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_count_of_weights_is_refused(count: int) -> None:
    """A bias is missing, or something is too much."""
    weights = {**convolution().weights, "it/2": np.ones(1, np.float32)}
    few = {key: weights[key] for key in sorted(weights)[:count]}
    with pytest.raises(ShapeError, match=rf"has {count} blobs of weights, expected 2: \(4, 6, 3, 3\), \(4,\)"):
        infer_shapes(convolution().with_weights(few))


def test_a_bias_of_another_length_is_refused() -> None:
    """The number of the blob and both shapes are given."""
    net = convolution()
    with pytest.raises(ShapeError, match=r"blob 1 .*shape \(4,\) .*has \(5,\)"):
        infer_shapes(net.with_weights({**net.weights, "it/1": np.ones(5)}))


def test_weights_of_an_old_file_fit() -> None:
    """Ones in front of a shape mean nothing: a bias (1, 1, 1, N) is the bias (N,)."""
    net = CASES["inner product"].net(np.random.default_rng(RNG_SEED))
    matrix, bias = net.blobs("it")
    old = net.with_weights({"it/0": matrix[None, None], "it/1": bias[None, None, None]})
    inputs = random_inputs(net, np.random.default_rng(1))
    np.testing.assert_array_equal(run_all(old, inputs)["out0"], run_all(net, inputs)["out0"])
    assert [blob.shape for blob in fit_weights(old).blobs("it")] == [matrix.shape, bias.shape]
    assert [blob.shape for blob in layer_blobs(old, old.layers[-1], (IMAGE,))] == [matrix.shape, bias.shape]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kernel_size": [3]}, Window((3, 3))),
        ({"kernel_size": [1, 7], "stride": [2, 1], "pad": [0, 3]}, Window((1, 7), (2, 1), (0, 3))),
        ({"kernel_h": 7, "kernel_w": 1, "pad_h": 3}, Window((7, 1), pad=(3, 0))),
        ({"kernel_size": [3], "stride_h": 2, "stride_w": 3, "dilation": [2]}, Window((3, 3), (2, 3), dilation=(2, 2))),
    ],
)
def test_a_window_has_one_meaning_in_all_spellings(options: dict[str, Any], expected: Window) -> None:
    """One number, two numbers, or two options."""
    assert window(layer("Convolution", ["x"], ["y"], **options)) == expected


def test_a_global_window_is_as_large_as_its_input() -> None:
    """So it needs to know the input."""
    pool = layer("Pooling", ["x"], ["y"], global_pooling=True)
    assert window(pool, (5, 7)) == Window((5, 7))
    with pytest.raises(ShapeError, match="needs the height and width"):
        window(pool)


def test_the_extent_of_a_dilated_window_spans_its_gaps() -> None:
    """Three elements two apart cover five pixels."""
    assert Window((3, 1), dilation=(2, 2)).extent == (5, 1)
