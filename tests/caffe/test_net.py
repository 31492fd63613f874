"""`Net` and `Layer`."""

from __future__ import annotations

import numpy as np
import pytest
from caffe_nets import layer, random_inputs, random_net

from faceall.caffe.net import Layer, Net, input_layer
from faceall.errors import NetFormatError


def test_an_option_that_is_not_given_has_caffes_default() -> None:
    """Numbers, words, switches and lists; None where Caffe has none."""
    pool, convolution = Layer("p", "Pooling", ("x",), ("y",)), Layer("c", "Convolution", ("x",), ("y",))
    assert (pool.option("pool"), pool.option("stride"), pool.option("round_mode")) == ("MAX", 1, "CEIL")
    assert (convolution.option("bias_term"), convolution.option("kernel_size")) == (True, ())
    assert (convolution.option("num_output"), convolution.option("group")) == (None, 1)
    assert Layer("b", "BatchNorm", ("x",), ("y",)).option("eps") == pytest.approx(1e-5)


def test_inputs_are_what_input_layers_declare() -> None:
    """One shape may serve all tops of an Input layer; any other count is refused."""
    both = {"shape": [{"dim": [1, 3]}]}
    assert Net("x", (Layer("in", "Input", (), ("a", "b"), {"input_param": both}),)).inputs == {"a": (1, 3), "b": (1, 3)}
    with pytest.raises(NetFormatError, match=r"'in' \(Input\) has 3 tops but 2 shapes"):
        _ = Net("x", (Layer("in", "Input", (), ("a", "b", "c"), {"input_param": {"shape": both["shape"] * 2}}),)).inputs


def test_outputs_are_the_blobs_that_no_layer_reads() -> None:
    """A layer that works in place does not count as a reader of its own result."""
    layers = (
        input_layer("data", (1, 3)),
        layer("InnerProduct", ["data"], ["left"], num_output=2),
        layer("ReLU", ["left"], ["left"], "relu"),
        layer("Slice", ["data"], ["kept", "dropped"], "cut", slice_point=[1]),
        layer("Silence", ["dropped"], []),
    )
    assert Net("x", layers).outputs == ("left", "kept")


def test_blobs_come_in_the_order_of_their_numbers() -> None:
    """Whatever the order of the dict, and also beyond nine; a slash in the layer's name is part of the name."""
    weights = {f"a/b/{number}": np.full(1, number, np.float32) for number in reversed(range(12))}
    net = Net("x", (layer("ReLU", ["x"], ["y"], "a/b"),), weights)
    assert [int(blob[0]) for blob in net.blobs("a/b")] == list(range(12))
    assert net.blobs("a") == ()


def test_with_weights_leaves_the_net_as_it_was() -> None:
    """A net is a value; the numbers become float32."""
    net = random_net(0)
    other = net.with_weights({"stem/0": np.ones((1, 2))})
    assert other.weights["stem/0"].dtype == np.float32
    assert (len(other.weights), other.layers) == (1, net.layers)
    assert len(net.weights) > 1


def test_two_layers_of_one_name_are_refused() -> None:
    """Since weights are found by name."""
    with pytest.raises(NetFormatError, match="net 'x' has two layers called 'a'"):
        Net("x", (layer("ReLU", ["x"], ["y"], "a"), layer("ReLU", ["y"], ["z"], "a")))


def test_random_inputs_fit_the_declared_shapes() -> None:
    """The tests' own helper."""
    net = random_net(3)
    assert {name: array.shape for name, array in random_inputs(net, np.random.default_rng(0)).items()} == net.inputs
