"""The NumPy evaluator against definitions written out in loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from faceall.convert.tensorflow.evaluate import evaluate
from faceall.convert.tensorflow.graph import Graph
from faceall.errors import UnsupportedGraphError
from faceall.types import Array
from tensorflow_graphs import GraphMaker, small_facenet


def value(g: GraphMaker, x: Array, name: str = "embeddings") -> Array:
    """The tensor `name` for the images `x`."""
    graph = g.graph()
    return evaluate(Graph(graph.nodes, "input", name), {"input": x})[name]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: as many windows as size / stride, rounded up; the odd pixel comes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize(("size", "stride", "padding"), [*itertools.product([1, 2, 3], [1, 2], ["SAME", "VALID"])])
def test_convolution_is_a_sum_over_the_window(size: int, stride: int, padding: str) -> None:
    """Every output is the sum of pixel times weight over its window."""
    random = np.random.default_rng(3)
    x, w = random.normal(size=(2, 6, 7, 2)), random.normal(size=(size, size, 2, 3))
    g = GraphMaker()
    g.placeholder("input")
    g.node("embeddings", "Conv2D", ["input", g.constant("w", w)], strides=[1, stride, stride, 1], padding=padding)
    pads = [same_padding(side, size, stride) if padding == "SAME" else (0, 0) for side in (6, 7)]
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    high, wide = ((padded.shape[axis] - size) // stride + 1 for axis in (1, 2))
    wanted = np.zeros((2, high, wide, 3))
    for n, row, column, out in np.ndindex(wanted.shape):
        window = padded[n, row * stride : row * stride + size, column * stride : column * stride + size]
        wanted[n, row, column, out] = (window * w[..., out]).sum()
    actual = value(g, x)
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, atol=1e-5)


@pytest.mark.parametrize(("op", "padding"), [*itertools.product(["MaxPool", "AvgPool"], ["SAME", "VALID"])])
def test_pools_look_at_the_image_alone(op: str, padding: str) -> None:
    """Neither the maximum nor the mean of a window counts padding."""
    x = np.random.default_rng(4).normal(size=(1, 5, 6, 2)) - 3
    g = GraphMaker()
    g.placeholder("input")
    g.node("embeddings", op, ["input"], ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding=padding)
    pads = [same_padding(side, 3, 2) if padding == "SAME" else (0, 0) for side in (5, 6)]
    high, wide = ((side + sum(pad) - 3) // 2 + 1 for side, pad in zip((5, 6), pads, strict=True))
    wanted = np.zeros((1, high, wide, 2))
    for _, row, column, channel in np.ndindex(wanted.shape):
        top, left = row * 2 - pads[0][0], column * 2 - pads[1][0]
        window = x[0, max(top, 0) : top + 3, max(left, 0) : left + 3, channel]
        wanted[0, row, column, channel] = window.max() if op == "MaxPool" else window.mean()
    np.testing.assert_allclose(value(g, x), wanted, atol=1e-6)


def test_switch_takes_one_branch() -> None:
    """The branch that is not taken is not run, even where it holds what the evaluator does not know."""
    for flag, wanted in ((False, -2.0), (True, 3.0)):
        g = GraphMaker()
        g.placeholder("input")
        predicate = g.constant("flag", np.array(flag))
        g.node("switch", "Switch", ["input", predicate])
        g.node("off", "Neg", ["switch"])
        g.node("on", "Identity", ["switch:1"])
        g.node("strange", "NoSuchOperation", ["switch" if flag else "switch:1"])
        g.node("inner", "Merge", ["strange", "off" if not flag else "on"])
        g.node("embeddings", "Identity", ["inner"])
        assert value(g, np.array([-wanted if not flag else wanted])) == [wanted]


def test_constants_live_in_the_branch_of_their_control_edge() -> None:
    """Merge of two constants takes the one whose branch is taken."""
    g = GraphMaker()
    g.placeholder("input")
    g.node("switch", "Switch", [g.constant("flag", np.array(False)), "flag"])
    g.node("t", "Identity", ["switch:1"])
    g.node("f", "Identity", ["switch"])
    g.constant("one", 1.0, controls=("t",))
    g.constant("two", 2.0, controls=("f",))
    g.node("embeddings", "Merge", ["one", "two"])
    assert value(g, np.zeros(1)) == 2.0


def test_unknown_operation_is_named() -> None:
    """What stands in the way of the output is named."""
    g = GraphMaker()
    g.placeholder("input")
    g.node("strange", "NoSuchOperation", ["input"])
    g.node("embeddings", "Relu", ["strange"])
    with pytest.raises(UnsupportedGraphError, match=r"'strange' \(NoSuchOperation\)"):
        value(g, np.zeros((1, 2, 2, 1)))


@pytest.mark.parametrize("norm", ["fused", "plain"])
def test_vectors_have_unit_length_and_depend_on_the_image(norm: str) -> None:
    """The small FaceNet that other tests lean on is no constant."""
    graph = small_facenet(norm).bound()
    x = np.random.default_rng(0).normal(size=(3, 19, 19, 3)).astype(np.float32)
    vectors = evaluate(graph, {"input": x}, keep=())["embeddings"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
