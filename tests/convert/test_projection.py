"""Smaller embeddings: fitted, folded, and as good as a projection of the vectors themselves."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest

from faceall.caffe.engines import get_engine
from faceall.caffe.net import Layer, Net, input_layer, weight_keys
from faceall.caffe.shapes import infer_shapes
from faceall.convert.passes.head import bottleneck_as
from faceall.convert.passes.projection import fit_projection, project, report_projection, sample_pairs
from faceall.convert.tensorflow.facenet import translate
from faceall.errors import ConvertError
from faceall.types import Float32Array
from tensorflow_graphs import small_facenet


def vectors_of(net: Net, count: int = 40, seed: int = 0) -> Float32Array:
    """What the small net makes of random images."""
    x = np.random.default_rng(seed).normal(size=(count, 3, 19, 19)).astype(np.float32)
    return get_engine("reference").compile(net, ["embeddings"])({"input": x})["embeddings"]


@pytest.fixture(params=["keep", "fold"])
def net(request: pytest.FixtureRequest) -> Net:
    """The small FaceNet with 10 numbers, in both styles of batch norm."""
    return translate(small_facenet().bound(), name="net", batch_norm=request.param).net


@pytest.fixture
def people() -> tuple[Float32Array, tuple[str, ...]]:
    """Unit vectors of 20 people with 5 images each, in 16 numbers of which 4 matter."""
    random = np.random.default_rng(0)
    centres = np.repeat(random.normal(size=(20, 4)), 5, axis=0)
    noise = np.concatenate([random.normal(0, 0.1, (100, 4)), random.normal(0, 0.01, (100, 12))], axis=1)
    vectors = np.concatenate([centres, np.zeros((100, 12))], axis=1) + noise
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), tuple(f"person {number // 5}" for number in range(100))


@pytest.mark.parametrize("size", [1, 4, 9])
@pytest.mark.parametrize("bottleneck", ["inner-product", "convolution"])
def test_net_gives_the_projected_vectors(net: Net, size: int, bottleneck: Any) -> None:
    """Folding into the bottleneck equals projecting what the net made, brought to unit length; no layer is added."""
    net = bottleneck_as(net, "embeddings", bottleneck)
    projection = fit_projection(vectors_of(net), size)
    smaller = project(net, "embeddings", projection)
    assert infer_shapes(smaller)["embeddings"] == (1, size)
    actual = vectors_of(smaller, seed=9)
    np.testing.assert_allclose(actual, projection.apply(vectors_of(net, seed=9)), atol=5e-6)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, atol=1e-5)
    gone = Counter(layer.type for layer in net.layers) - Counter(layer.type for layer in smaller.layers)
    assert set(gone) <= {"BatchNorm", "Scale"}
    assert len(smaller.layers) <= len(net.layers)


def test_projection_keeps_cosines_better_than_any_other(people: tuple[Float32Array, Any]) -> None:
    """The squared error of all products is the sum of the squared eigenvalues left out; random ones do worse."""
    vectors = people[0].astype(np.float64)
    matrix = fit_projection(people[0], 4).matrix
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(4), atol=1e-12)

    def error(rows: Any) -> float:
        small = vectors @ rows.T
        return float(np.sum((small @ small.T - vectors @ vectors.T) ** 2))

    values = np.linalg.eigvalsh(vectors @ vectors.T)
    assert error(matrix) == pytest.approx(np.sum(values[:-4] ** 2), rel=1e-6)
    random = np.random.default_rng(1)
    others = (np.linalg.qr(random.normal(size=(16, 4)))[0].T for _ in range(50))
    assert error(matrix) < min(map(error, others))


def test_report_says_what_is_lost(people: tuple[Float32Array, tuple[str, ...]]) -> None:
    """Four of sixteen numbers keep these people apart; one does not, and the report shows it."""
    vectors, labels = people
    good = report_projection(fit_projection(vectors, 4), vectors, labels)
    poor = report_projection(fit_projection(vectors, 1), vectors, labels)
    assert (good.before, good.after, good.crops, good.pairs) == (16, 4, 100, 400)
    assert good.variance > 0.99
    assert good.spread > 0.99
    assert good.accuracy_before == pytest.approx(good.accuracy_after, abs=0.01)
    assert poor.accuracy_after is not None
    assert poor.accuracy_before is not None
    assert poor.accuracy_after < poor.accuracy_before - 0.1
    assert poor.cosine_error > good.cosine_error
    assert "16 to 4 numbers, fitted on 100 crops" in good.to_text()
    assert "on 400 pairs" in good.to_text()
    assert "accuracy" not in report_projection(fit_projection(vectors, 4), vectors).to_text()


def test_pairs_are_as_labelled(people: tuple[Float32Array, tuple[str, ...]]) -> None:
    """Every pair of one person, as many of two people, the same ones each time."""
    labels = np.array(people[1])
    first, second, same = sample_pairs(people[1]) or pytest.fail("no pairs")
    np.testing.assert_array_equal(labels[first] == labels[second], same)
    assert same.sum() == 20 * 10 == (~same).sum()
    again = sample_pairs(people[1]) or pytest.fail("no pairs")
    np.testing.assert_array_equal(first, again[0])
    assert sample_pairs(["a", "b", "c"]) is None
    assert sample_pairs(["a", "a"]) is None


def test_every_pair_of_one_person_is_there_once() -> None:
    """Against a list of all pairs, people mixed and of all sizes."""
    labels = np.random.default_rng(1).integers(0, 9, 60)
    first, second, same = sample_pairs([str(label) for label in labels]) or pytest.fail("no pairs")
    wanted = {(a, b) for b in range(60) for a in range(b) if labels[a] == labels[b]}
    assert sorted(zip(first[same], second[same], strict=True)) == sorted(wanted)


def test_few_of_many_pairs_are_drawn_without_a_list() -> None:
    """Of 200 million pairs 1,000 are drawn in next to no memory; each is of one person, and none of a crop itself."""
    labels = np.repeat(["a", "b"], [20_000, 20])
    tracemalloc.start()
    first, second, same = sample_pairs(list(labels), limit=1000) or pytest.fail("no pairs")
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest < 20e6
    assert 950 < same.sum() <= 1000
    np.testing.assert_array_equal(labels[first] == labels[second], same)
    assert (first != second).all()


@pytest.mark.parametrize("size", [0, 16, 17])
def test_size_that_is_not_smaller_is_refused(people: tuple[Float32Array, Any], size: int) -> None:
    """The error says what is possible."""
    with pytest.raises(ConvertError, match="has to be from 1 to 15"):
        fit_projection(people[0], size)


def test_too_few_crops_are_refused(people: tuple[Float32Array, Any]) -> None:
    """Directions that no crop shows cannot be fitted."""
    with pytest.raises(ConvertError, match="7 crops are too few to fit 8 numbers"):
        fit_projection(people[0][:7], 8)


def test_projection_of_another_size_is_refused(net: Net, people: tuple[Float32Array, Any]) -> None:
    """A net of 10 numbers and a projection of 16."""
    with pytest.raises(ConvertError, match="makes 10 numbers, the projection takes 16"):
        project(net, "embeddings", fit_projection(people[0], 4))


def test_normalize_layer_is_resized_with_its_scale() -> None:
    """A net that ends in Normalize with a factor per channel keeps its length."""
    random = np.random.default_rng(0)
    options = {"inner_product_param": {"num_output": 6, "bias_term": False}}
    net = Net(
        "net",
        (
            input_layer("data", (1, 8)),
            Layer("product", "InnerProduct", ("data",), ("product",), options),
            Layer("vector", "Normalize", ("product",), ("vector",), {"norm_param": {"channel_shared": False}}),
        ),
        {**weight_keys("product", [random.normal(size=(6, 8))]), **weight_keys("vector", [np.ones(6)])},
    )
    x = {"data": random.normal(size=(20, 8)).astype(np.float32)}
    reference = get_engine("reference")
    vectors = reference.compile(net)(x)["vector"]
    projection = fit_projection(vectors, 3)
    actual = reference.compile(project(net, "vector", projection))(x)["vector"]
    np.testing.assert_allclose(actual, projection.apply(vectors), atol=1e-5)
