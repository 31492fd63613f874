"""From a graph to a net: small graphs of every kind, each compared with the graph itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.net import Net
from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.facenet import facenet_net, translate
from faceall.convert.tensorflow.graph import Graph
from faceall.convert.tensorflow.graphdef import parse_graph
from faceall.convert.tensorflow.simplify import bind
from faceall.errors import UnsupportedGraphError
from faceall.types import Array
from tensorflow_graphs import GraphMaker, small_facenet


def images(graph: Graph, count: int = 3) -> Array:
    """Random images of the size that the graph declares."""
    shape = graph.nodes[graph.input].attrs["shape"]
    return np.random.default_rng(5).normal(size=(count, *shape)).astype(np.float32)


def run(net: Net, x: Array) -> Array:
    """What the reference engine makes of images (N, H, W, C)."""
    return get_engine("reference").compile(net)({"input": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})["embeddings"]


def assert_same(graph: Graph, *, tolerance: float = 2e-6, **options: Any) -> Net:
    """The net computes what the graph computes, in both styles of batch norm; returns the one that keeps it."""
    x = images(graph)
    wanted = evaluate(graph, {graph.input: x}, keep=())[graph.output]
    assert np.abs(wanted).max() > 1e-3
    nets = {style: translate(graph, name="net", batch_norm=style, **options).net for style in ("keep", "fold")}
    for net in nets.values():
        actual = run(net, x)
        if actual.ndim == 4 and wanted.ndim == 4:
            actual = actual.transpose(0, 2, 3, 1)
        elif wanted.shape[1:3] == (1, 1):
            wanted = wanted.reshape(actual.shape)
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)
    return nets["keep"]


def types(net: Net) -> Counter[str]:
    """How many layers there are of each type."""
    return Counter(layer.type for layer in net.layers)


@pytest.mark.parametrize("norm", ["fused", "plain"])
@pytest.mark.parametrize("queue", [False, True])
def test_small_facenet_gives_the_same_vectors(norm: str, queue: bool) -> None:
    """Both forms of batch norm and both ways of feeding images convert exactly."""
    net = assert_same(small_facenet(norm, queue=queue).bound())
    assert net.inputs == {"input": (1, 3, 19, 19)}
    assert net.outputs == ("embeddings",)
    assert types(net)["BatchNorm"] == types(net)["Scale"] == 5  # the four convolutions' and the bottleneck's


def test_folded_net_has_no_batch_norm_left() -> None:
    """Folding leaves convolutions and matrix products with a bias."""
    net = translate(small_facenet().bound(), name="net", batch_norm="fold").net
    assert not {"BatchNorm", "Scale"} & set(types(net))
    assert types(net)["Convolution"] == 5


def test_kept_batch_norm_is_written_out_in_full() -> None:
    """Epsilon is 0.001 and not Caffe's default; the third blob is one; the statistics are global."""
    net = translate(small_facenet().bound(), name="net", batch_norm="keep").net
    layers = [layer for layer in net.layers if layer.type == "BatchNorm"]
    assert layers
    for layer in layers:
        assert layer.option("eps") == pytest.approx(0.001)
        assert layer.parameters["batch_norm_param"]["use_global_stats"] is True
        np.testing.assert_array_equal(net.blobs(layer.name)[2], [1.0])


@pytest.mark.parametrize("seed", range(5))
def test_order_of_nodes_does_not_matter(seed: int) -> None:
    """A file with its nodes shuffled gives the same net, layer for layer."""
    maker = small_facenet("fused")
    first = translate(maker.bound(), name="net").net
    second = translate(bind(parse_graph(maker.data(shuffle=seed))), name="net").net
    assert first.layers == second.layers
    assert first.weights.keys() == second.weights.keys()
    assert all(np.array_equal(first.weights[key], second.weights[key]) for key in first.weights)


def test_names_are_the_scopes() -> None:
    """A layer is called as its scope, with '_' for '/', and writes a blob of its name."""
    net = translate(small_facenet().bound(), name="net").net
    names = [layer.name for layer in net.layers]
    assert "Net_Conv2d_1a_3x3" in names
    assert "Net_Mixed_Branch_1_MaxPool_1a_3x3" in names
    assert all(layer.tops == (layer.name,) for layer in net.layers if len(layer.tops) == 1)
    assert names[-1] == "embeddings"


def test_unguarded_flags_of_any_kind_are_off() -> None:
    """A flag may be a placeholder, one with a default, or a constant."""
    for op in ("Placeholder", "PlaceholderWithDefault", "Const"):
        maker = small_facenet()
        flag = next(node for node in maker.message.node if node.name == "phase_train")
        maker.message.node.remove(flag)
        if op == "PlaceholderWithDefault":
            maker.node("phase_train", op, [maker.constant("phase_train/input", np.array(True))])
        elif op == "Const":
            maker.constant("phase_train", np.array(True))
        else:
            maker.flag()
        assert_same(maker.bound())


def joined(g: GraphMaker, x: str) -> Graph:
    """`x` as the result."""
    g.node("embeddings", "Identity", [x])
    return g.bound()


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_convolutions_keep_their_padding(size: int, stride: int, side: int, padding: str) -> None:
    """SAME pads one side more where the numbers are odd; the converted kernel still meets the same pixels."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, side, side, 2))
    assert_same(joined(g, g.convolution(x, "conv", 2, 3, size=size, stride=stride, padding=padding)))


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [8, 9, 10])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_maximum_pools_round_as_the_graph_does(size: int, stride: int, side: int, padding: str) -> None:
    """Caffe rounds up; where TensorFlow rounds down the image is trimmed first."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, side, side, 2))
    window = {"ksize": [1, size, size, 1], "strides": [1, stride, stride, 1], "padding": padding}
    if (size, stride, padding) == (2, 1, "SAME"):
        pytest.skip("Caffe cannot pad one side alone; see test_pool_that_caffe_cannot_make_is_refused")
    assert_same(joined(g, g.node("MaxPool", "MaxPool", [x], **window)), tolerance=0)


def test_pool_that_caffe_cannot_make_is_refused() -> None:
    """A 2 x 2 maximum at every pixel is padded on one side alone, which Caffe's pooling does not do."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 8, 8, 2))
    window = {"ksize": [1, 2, 2, 1], "strides": [1, 1, 1, 1], "padding": "SAME"}
    with pytest.raises(UnsupportedGraphError, match=r"'MaxPool' \(MaxPool: it makes \(8, 8\) windows, Caffe \(7, 7\)"):
        translate(joined(g, g.node("MaxPool", "MaxPool", [x], **window)), name="net")


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 9])
def test_average_pools_round_as_the_graph_does(size: int, stride: int, side: int) -> None:
    """The same holds for averages without padding."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, side, side, 2))
    window = {"ksize": [1, size, size, 1], "strides": [1, stride, stride, 1], "padding": "VALID"}
    assert_same(joined(g, g.node("AvgPool", "AvgPool", [x], **window)))


def test_pool_beside_a_convolution_is_cropped_to_it() -> None:
    """FaceNet's reduction needs a Crop against the other branch, and no Slice."""
    kinds = types(translate(small_facenet().bound(), name="net").net)
    assert kinds["Crop"] == 1
    assert kinds["Slice"] == 0


def test_pool_without_a_sibling_is_sliced() -> None:
    """A pool in a plain chain needs Slice and Silence, one pair per axis."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 8, 8, 2))
    window = {"ksize": [1, 3, 3, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
    net = assert_same(joined(g, g.node("MaxPool", "MaxPool", [x], **window)))
    assert types(net)["Slice"] == types(net)["Silence"] == 2


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolution(stride: int, multiplier: int) -> None:
    """A depthwise convolution becomes one with as many groups as channels."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 9, 8, 3))
    weights = g.numbers("weights", 3, 3, 3, multiplier)
    y = g.node("depthwise", "DepthwiseConv2dNative", [x, weights], strides=[1, stride, stride, 1], padding="SAME")
    net = assert_same(joined(g, g.node("bias", "BiasAdd", [y, g.numbers("biases", 3 * multiplier)])))
    assert net.layers[1].option("group") == 3
    assert types(net) == Counter({"Input": 1, "Convolution": 1})


def test_dilated_convolution() -> None:
    """Dilation is handed on."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 9, 9, 2))
    options = {"strides": [1, 1, 1, 1], "dilations": [1, 2, 2, 1], "padding": "SAME"}
    assert_same(joined(g, g.node("conv", "Conv2D", [x, g.numbers("weights", 3, 3, 2, 3)], **options)))


def test_zeros_around_a_image_join_the_convolution() -> None:
    """Pad and a VALID convolution become one padded convolution, also where the sides differ."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 9, 9, 2))
    x = g.node("Pad", "Pad", [x, g.constant("pads", np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32))])
    net = assert_same(joined(g, g.convolution(x, "conv", 2, 3, stride=2, padding="VALID")))
    assert types(net) == Counter({"Input": 1, "Convolution": 1})


def prelu(g: GraphMaker, x: str, spelling: str) -> str:
    """A rectifier with a slope per channel, in one of the ways in which people write it."""
    alpha = g.numbers("alpha", 3, low=0.05, high=0.4)
    zero = g.constant("zero", 0.0)
    up = g.node("up", "Relu", [x])
    if spelling == "relu of the negative":
        down = g.node("down", "Neg", [g.node("relu_1", "Relu", [g.node("neg", "Neg", [x])])])
    elif spelling == "minimum":
        up, down = g.node("max", "Maximum", [zero, x]), g.node("min", "Minimum", [x, zero])
    elif spelling == "absolute":
        half = g.constant("half", 0.5)
        down = g.node("mul_half", "Mul", [g.node("sub", "Sub", [x, g.node("abs", "Abs", [x])]), half])
    elif spelling == "difference":
        down = g.node("relu_1", "Relu", [g.node("neg", "Neg", [x])])
        return g.node("sub", "Sub", [up, g.node("mul", "Mul", [alpha, down])])
    else:
        return g.node("larger", "Maximum", [g.node("mul", "Mul", [alpha, x]), x])
    return g.node("sum", "AddV2", [g.node("mul", "Mul", [down, alpha]), up])


@pytest.mark.parametrize("spelling", ["relu of the negative", "minimum", "absolute", "difference", "larger"])
def test_every_spelling_of_prelu_is_one_layer(spelling: str) -> None:
    """Relu(x) - a relu(-x) and its like become PReLU."""
    g = GraphMaker()
    x = g.convolution(g.placeholder("input", (-1, 6, 6, 2)), "conv", 2, 3)
    net = assert_same(joined(g, prelu(g, x, spelling)))
    assert types(net) == Counter({"Input": 1, "Convolution": 1, "PReLU": 1})


def test_one_slope_for_all_is_a_leaky_rectifier() -> None:
    """maximum(x, 0.1 x) becomes ReLU with a slope."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 4, 4, 3))
    small = g.node("small", "Mul", [x, g.constant("alpha", 0.1)])
    net = assert_same(joined(g, g.node("leaky", "Maximum", [x, small])))
    assert types(net) == Counter({"Input": 1, "ReLU": 1})


def test_residual_sum_is_not_taken_for_a_rectifier() -> None:
    """relu(x) + 0.5 x is neither a rectifier nor lost."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 4, 4, 3))
    half = g.node("half", "Mul", [x, g.constant("by", 0.5)])
    net = assert_same(joined(g, g.node("sum", "Add", [g.node("relu", "Relu", [x]), half])))
    assert types(net) == Counter({"Input": 1, "ReLU": 1, "Eltwise": 1})


def test_matrix_product_after_a_image_meets_the_same_numbers() -> None:
    """TensorFlow flattens channels last, Caffe channels first: the rows of the matrix are permuted."""
    g = GraphMaker()
    x = g.convolution(g.placeholder("input", (-1, 4, 5, 2)), "conv", 2, 3)
    x = g.flatten(x, "flatten", 60)
    x = g.node("fc/MatMul", "MatMul", [x, g.numbers("fc/weights", 60, 7)])
    net = assert_same(joined(g, g.node("fc/BiasAdd", "BiasAdd", [x, g.numbers("fc/biases", 7)])))
    assert types(net) == Counter({"Input": 1, "Convolution": 1, "InnerProduct": 1})


def test_flattened_result_keeps_its_order() -> None:
    """A flattened image that is not multiplied is permuted."""
    g = GraphMaker()
    net = assert_same(joined(g, g.flatten(g.placeholder("input", (-1, 4, 5, 2)), "flatten", 40)), tolerance=0)
    assert types(net) == Counter({"Input": 1, "Permute": 1, "Flatten": 1})


@pytest.mark.parametrize("keep", [False, True])
def test_global_average(keep: bool) -> None:
    """Mean over rows and columns becomes a global pool."""
    g = GraphMaker()
    axes = g.constant("axes", np.array([1, 2], np.int32))
    assert_same(joined(g, g.node("Mean", "Mean", [g.placeholder("input", (-1, 4, 5, 2)), axes], keep_dims=keep)))


def test_batch_norm_of_a_vector_through_a_image() -> None:
    """Fused batch norm wants images, so a vector is reshaped there and back; the net needs no such layers."""
    g = GraphMaker()
    x = g.flatten(g.placeholder("input", (-1, 2, 2, 2)), "flatten", 8)
    x = g.node("fc/MatMul", "MatMul", [x, g.numbers("fc/weights", 8, 6)])
    x = g.node("there", "Reshape", [x, g.constant("there/shape", np.array([-1, 1, 1, 6], np.int32))])
    x = g.fused_norm(x, "BatchNorm", 6, g.flag())
    x = g.node("back", "Reshape", [x, g.constant("back/shape", np.array([-1, 6], np.int32))])
    net = assert_same(joined(g, x))
    assert types(net) == Counter({"Input": 1, "InnerProduct": 1, "BatchNorm": 1, "Scale": 1})


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "RealDiv"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_arithmetic_with_constants(op: str, per_channel: bool) -> None:
    """A constant beside a tensor becomes Power or Scale, also in front of the first convolution."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 4, 4, 3))
    number = g.numbers("number", 3, low=0.5, high=2.0) if per_channel else g.constant("number", 127.5)
    net = assert_same(joined(g, g.node("y", op, [x, number])))
    assert types(net)["Scale" if per_channel else "Power"] == 1


def test_constant_minus_tensor() -> None:
    """The order of a difference counts."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 4, 4, 3))
    assert_same(joined(g, g.node("y", "Sub", [g.constant("number", 3.0), x])))


@pytest.mark.parametrize("op", ["Sigmoid", "Softmax", "Relu"])
def test_activations(op: str) -> None:
    """Activations work on images, Softmax over channels."""
    g = GraphMaker()
    assert_same(joined(g, g.node("y", op, [g.placeholder("input", (-1, 4, 4, 3))])))


def test_batch_norm_with_gamma_and_shuffled_operands() -> None:
    """Written-out batch norm is found with a gamma, and with the operands of its sums and products swapped."""
    g = GraphMaker()
    x = g.convolution(g.placeholder("input", (-1, 6, 6, 2)), "conv", 2, 3)
    x = g.plain_norm(x, "BatchNorm", 3, g.flag(), scaled=True)
    for node in g.message.node:
        if node.op in ("Add", "Mul") and node.name.startswith("BatchNorm/batchnorm"):
            node.input[:] = list(node.input)[::-1]
    assert types(assert_same(joined(g, x)))["BatchNorm"] == 1


def test_dropout_without_a_flag_is_left_out() -> None:
    """x / keep * floor(keep + random) is x when nobody trains."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 4, 4, 3))
    keep = g.constant("keep", 0.8)
    random = g.node("random", "RandomUniform", [g.node("shape", "Shape", [x])])
    mask = g.node("Floor", "Floor", [g.node("add", "Add", [random, keep])])
    y = g.node("mul", "Mul", [g.node("div", "RealDiv", [x, keep]), mask])
    net = translate(joined(g, g.node("relu", "Relu", [y])), name="net").net
    assert types(net) == Counter({"Input": 1, "ReLU": 1})


def test_all_that_cannot_convert_is_listed_at_once() -> None:
    """One error names every operation without a counterpart, whatever the reason."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 8, 8, 3))
    first = g.node("odd/one", "Softplus", [x])
    window = {"ksize": [1, 3, 3, 1], "strides": [1, 1, 1, 1], "padding": "SAME"}
    second = g.node("odd/two", "AvgPool", [x], **window)
    third = g.node("odd/three", "SpaceToDepth", [g.node("fine", "Relu", [first])], block_size=2)
    axis = g.constant("axis", np.array(3, np.int32))
    graph = joined(g, g.node("concat", "ConcatV2", [second, third, axis]))
    with pytest.raises(UnsupportedGraphError) as caught:
        translate(graph, name="net")
    for name in ("'odd/one' (Softplus)", "'odd/two' (AvgPool", "'odd/three' (SpaceToDepth)"):
        assert name in str(caught.value)
    assert "3 operations" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_boundary_may_be_named() -> None:
    """Other nodes than `input` and `embeddings` can be the boundary."""
    graph = small_facenet().bound(input="Net/Conv2d_1a_3x3/Relu:0", output="Net/Bottleneck/MatMul")
    assert graph.nodes[graph.input].op == "Placeholder"
    net = translate(graph, name="net", image_size=9)
    assert net.net.inputs["input"][2:] == (9, 9)


@pytest.mark.parametrize(("missing", "hint"), [("input", "--input"), ("embeddings", "--output")])
def test_unclear_boundary_lists_the_candidates(missing: str, hint: str) -> None:
    """Without the usual names and with several candidates, the error lists them."""
    g = GraphMaker()
    for number in (1, 2):
        g.node(f"out_{number}", "Relu", [g.placeholder(f"images_{number}", (-1, 4, 4, 3))])
    if missing == "input":
        g.node("embeddings", "Add", ["out_1", "out_2"])
    else:
        g.node("input", "Identity", ["images_1"])
    with pytest.raises(UnsupportedGraphError, match=hint) as caught:
        g.bound()
    assert ("images_1" if missing == "input" else "out_1") in str(caught.value)


def test_single_candidates_are_taken() -> None:
    """The only placeholder for images and the only end of a graph need no names."""
    g = GraphMaker()
    g.node("last", "Relu", [g.convolution(g.placeholder("images"), "conv", 3, 4)])
    graph = g.bound()
    assert (graph.input, graph.output) == ("images", "last")
    assert_same(graph)


def test_unknown_name_is_refused() -> None:
    """A boundary that is not in the graph is named in the error."""
    with pytest.raises(UnsupportedGraphError, match="no node 'nowhere' for its output"):
        small_facenet().bound(output="nowhere")


def test_output_that_ignores_the_input_is_refused() -> None:
    """A constant result is no net."""
    g = GraphMaker()
    g.placeholder("input")
    g.node("embeddings", "Identity", [g.constant("c", 1.0)])
    with pytest.raises(UnsupportedGraphError):
        translate(g.bound(), name="net")


def test_cycle_is_refused() -> None:
    """A loop in the graph is an error, not an endless search."""
    g = GraphMaker()
    x = g.placeholder("input", (-1, 4, 4, 3))
    g.node("a", "Add", [x, "b"])
    g.node("b", "Relu", ["a"])
    g.node("embeddings", "Relu", ["b"])
    with pytest.raises(UnsupportedGraphError, match="cycle"):
        g.bound()


@pytest.mark.parametrize("style", ["keep", "fold"])
def test_real_facenet_gives_the_golden_vectors(shared: Path, style: Any) -> None:
    """The weights of 20180408-102900 give what TensorFlow gives, to 1e-5."""
    golden = np.load(shared / "models/facenet/golden.npz")
    net = facenet_net(shared / "models/facenet/20180408-102900.pb", batch_norm=style)
    crops = (golden["crops"].astype(np.float32) - 127.5) / 128
    compiled = get_engine().compile(net, ["embeddings"])
    actual = compiled({"input": np.ascontiguousarray(crops.transpose(0, 3, 1, 2))})["embeddings"]
    assert np.abs(actual - golden["embeddings"]).max() <= 1e-5
