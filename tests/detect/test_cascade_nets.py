"""The nets of the cascade: batches, and results of float32 with the help of a coarser net."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import pytest

from faceall.caffe.engines import get_engine, has_bfloat16_products
from faceall.detect import MtcnnDetector
from faceall.detect.batches import run_in_batches
from faceall.detect.nets import MARGIN, CascadeNet
from faceall.detect.proposals import _deciding, propose
from faceall.detect.pyramid import plan_pyramid
from faceall.detect.weights import OUTPUT
from faceall.types import Float32Array, Image


class Brightness:
    """A net whose logit is the mean of a crop, plus an error; it notes its batches."""

    precision = "float32"

    def __init__(self, error: float = 0.0) -> None:
        self.error = error
        self.batches: list[int] = []

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        crops = inputs["data"]
        self.batches.append(len(crops))
        logits = crops.mean(axis=(1, 2, 3)) + self.error * np.where(np.arange(len(crops)) % 2, 1, -1)
        return {OUTPUT: np.stack([logits, np.arange(len(crops))], axis=1).astype(np.float32)}


def crops_of(logits: np.ndarray) -> Float32Array:
    """Crops with these means."""
    return np.broadcast_to(logits[:, None, None, None], (len(logits), 3, 4, 4)).astype(np.float32)


def test_batches_have_few_sizes() -> None:
    """150 crops are a full batch and one that is filled up; the filling is not in the result."""
    net = Brightness()
    logits = np.linspace(-1, 1, 150)
    found = run_in_batches(net, crops_of(logits), 128)
    assert net.batches == [128, 24]
    np.testing.assert_allclose(found[:, 0], logits, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 300])
def test_a_coarse_net_changes_no_result(count: int) -> None:
    """However the coarse net errs within the margin, the exact results above the threshold are the same."""
    crops = crops_of(np.random.default_rng(count).normal(0, 1, count))
    alone = CascadeNet(Brightness()).run(crops, 0.4)[:, 0]
    helped = CascadeNet(Brightness(), Brightness(0.99 * MARGIN)).run(crops, 0.4)[:, 0]
    np.testing.assert_array_equal(alone > 0.4, helped > 0.4)
    np.testing.assert_array_equal(alone[alone > 0.4], helped[helped > 0.4])


def test_the_exact_net_sees_only_what_is_near_the_threshold() -> None:
    """What the coarse net rejects clearly is not computed again."""
    exact = Brightness()
    found = CascadeNet(exact, Brightness(0.01)).run(crops_of(np.array([-5.0, -4.0, 0.0, 2.0])), 0.1)
    assert exact.batches == [2]
    assert np.isneginf(found[:, 0]).tolist() == [True, True, False, False]


def test_each_crop_may_have_its_own_threshold() -> None:
    """A crop is computed exactly if it is near its own threshold, and in any case if that is -inf."""
    exact = Brightness()
    least = np.array([0.0, 3.0, -np.inf, 1.9, np.inf], np.float32)
    found = CascadeNet(exact, Brightness(0.01)).run(crops_of(np.array([1.0, 2.0, -9.0, 2.0, 5.0])), least)
    assert exact.batches == [3]
    assert np.isneginf(found[:, 0]).tolist() == [False, True, False, False, True]


@pytest.mark.parametrize("seed", range(20))
def test_the_cells_that_decide_give_the_same_maxima(seed: int) -> None:
    """With exact logits in the cells that decide and inexact ones elsewhere, the local maxima are the exact ones."""
    rng = np.random.default_rng(seed)
    exact = cv2.GaussianBlur(rng.normal(0, 6, (40, 60)).astype(np.float32), (0, 0), 1.2)
    coarse = (exact + rng.uniform(-0.99 * MARGIN, 0.99 * MARGIN, exact.shape)).astype(np.float32)
    coarse[coarse <= -MARGIN] = -np.inf  # the threshold is 0
    decides = _deciding(coarse)
    mixed = np.where(decides, exact, coarse)
    around = np.ones((3, 3), np.uint8)
    expected, found = ((logits > 0) & (logits >= cv2.dilate(logits, around)) for logits in (exact, mixed))
    np.testing.assert_array_equal(found & decides, expected)
    np.testing.assert_array_equal(found, expected)
    assert 0 < decides.sum() < np.isfinite(coarse).sum()


@pytest.mark.skipif(not has_bfloat16_products(get_engine()), reason="the processor does not compute in bfloat16")
def test_help_by_bfloat16_leaves_the_proposals_as_they_are(astronaut: Image) -> None:
    """On a large canvas the proposals are those of P-Net in float32 alone."""
    image = np.tile(astronaut, (3, 3, 1))
    pyramid = plan_pyramid(image.shape[1], image.shape[0], 20, 0.709)
    assert pyramid.width * pyramid.height > 1_000_000
    helped, exact = (MtcnnDetector(precision=precision)._nets[0] for precision in ("auto", "float32"))
    assert helped.coarse is not None
    assert exact.coarse is None
    (boxes, logits), (expected_boxes, expected_logits) = (
        propose([image], pyramid, net, -0.85, 2000) for net in (helped, exact)
    )
    np.testing.assert_allclose(logits, expected_logits, atol=1e-3)
    np.testing.assert_allclose(boxes, expected_boxes, atol=0.1)
