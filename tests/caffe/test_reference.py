"""Running a whole net in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from caffe_nets import layer, random_inputs, random_net

from faceall.caffe.net import Net, input_layer
from faceall.caffe.reference import run_all
from faceall.errors import ShapeError


def test_run_all_gives_every_blob_in_the_order_of_execution() -> None:
    """So the first blob that differs between two nets names the layer at fault."""
    net = random_net(2)
    inputs = random_inputs(net, np.random.default_rng(0))
    blobs = run_all(net, inputs)
    assert list(blobs) == list(dict.fromkeys(top for item in net.layers for top in item.tops))
    changed = run_all(net.with_weights({**net.weights, "wide/0": net.weights["wide/0"] * 1.001}), inputs)
    assert next(name for name in blobs if not np.array_equal(blobs[name], changed[name])) == "wide"


def test_a_layer_in_place_leaves_the_input_of_the_caller_alone() -> None:
    """The blob has the last value, the caller's array its own."""
    net = Net("x", (input_layer("data", (1, 2)), layer("ReLU", ["data"], ["data"], "relu")))
    given = np.array([[-1.0, 1.0]], np.float32)
    np.testing.assert_array_equal(run_all(net, {"data": given})["data"], [[0.0, 1.0]])
    np.testing.assert_array_equal(given, [[-1.0, 1.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_run_all_computes_in_the_dtype_that_is_asked_for(dtype: type[np.floating]) -> None:
    """float64 by default, as it is a measure."""
    net = random_net(4)
    inputs = random_inputs(net, np.random.default_rng(0))
    precise, blobs = run_all(net, inputs), run_all(net, inputs, dtype=dtype)
    assert {blob.dtype for blob in blobs.values()} == {np.dtype(dtype)}
    for name, blob in blobs.items():
        np.testing.assert_allclose(blob, precise[name], rtol=1e-3, atol=1e-4)


def test_a_batch_is_its_images_one_by_one() -> None:
    """No image sees another."""
    net = random_net(5)
    inputs = random_inputs(net, np.random.default_rng(0), 3)
    together = run_all(net, inputs)
    for number in range(3):
        alone = run_all(net, {"data": inputs["data"][number : number + 1]})
        for name in net.outputs:
            np.testing.assert_allclose(together[name][number : number + 1], alone[name], rtol=1e-9, atol=1e-12)


def test_an_input_that_is_not_given_is_named() -> None:
    """With what was given."""
    with pytest.raises(ShapeError, match="net 'random-0' needs the input 'data', given: image"):
        run_all(random_net(0), {"image": np.zeros((1, 3, 20, 20))})
