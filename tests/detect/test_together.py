"""Searches that run together: each net runs once on the crops of all that wait for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from faceall.detect import Detector, MtcnnDetector
from faceall.detect.detector import _groups
from faceall.detect.nets import CascadeNet
from faceall.detect.together import Judged, Steps, run_together
from faceall.detect.weights import OUTPUT
from faceall.types import Float32Array, Image


class Mean:
    """A net whose logit is the mean of a crop; it notes its batches."""

    precision = "float32"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        self.batches.append(len(inputs["data"]))
        return {OUTPUT: inputs["data"].mean(axis=(1, 2, 3))[:, None]}


def search(nets: list[CascadeNet], values: list[float]) -> Steps[list[float]]:
    """Let each net judge crops with these means, and return all logits."""
    found: list[float] = []
    for net in nets:
        crops = np.broadcast_to(np.float32(values)[:, None, None, None], (len(values), 3, 2, 2)).copy()
        found += (yield Judged(net, crops))[:, 0].tolist()
    return found


def test_a_net_runs_once_for_all_searches() -> None:
    """Three searches of different lengths give what each gives alone, in one call of each net where they meet."""
    first, second = Mean(), Mean()
    nets = [CascadeNet(first), CascadeNet(second)]
    found = run_together([search(nets, [1, 2]), search(nets[1:], [3]), search(nets, []), search([], [4])])
    assert found == [[1, 2, 1, 2], [3], [], []]
    assert (first.batches, second.batches) == ([2], [1, 2])
    assert run_together([]) == []


def test_each_search_keeps_its_thresholds() -> None:
    """What one search needs exactly is computed exactly, though another one on the same net does not need its own."""

    def one(value: float, least: float) -> Steps[list[float]]:
        crops = np.full((1, 3, 2, 2), value, np.float32)
        return (yield Judged(net, crops, least))[:, 0].tolist()

    net = CascadeNet(Mean(), Mean())
    assert run_together([one(1, 5), one(2, -np.inf), one(7, 5)]) == [[-np.inf], [2], [7]]


def test_images_together_give_what_each_gives_alone(astronaut: Image) -> None:
    """Crops of other images in the same call of a net change no face by more than rounding."""
    detector = MtcnnDetector()
    images = [astronaut[::2, ::2].copy(), astronaut[40:240, 130:310], np.zeros((40, 70, 3), np.uint8), astronaut]
    for together, image in zip(detector.search(images), images, strict=True):
        alone = detector(image)
        assert len(together) == len(alone)
        np.testing.assert_allclose(together.boxes, alone.boxes, atol=0.01)
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-4)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotated_images_together(astronaut: Image, turns: int) -> None:
    """An image on its side among upright ones is searched in the other orientations, and the others are not changed."""
    detector = Detector()
    turned = np.ascontiguousarray(np.rot90(astronaut, turns))
    upright, found, again = detector.detect_batch([astronaut, turned, astronaut])
    np.testing.assert_allclose(found.boxes, detector(turned).boxes, atol=0.01)
    np.testing.assert_allclose(upright.boxes, again.boxes, atol=0.01)
    assert len(found) == len(upright) == 1


@pytest.mark.parametrize(
    ("sides", "threads", "expected"),
    [
        ([250] * 16, 2, [8, 8]),
        ([250] * 3, 2, [2, 1]),
        ([2000] * 4, 2, [1, 1, 1, 1]),
        ([1], 1, [1]),
        ([], 0, []),
        ([250] * 36, 2, [9, 9, 9, 9]),
    ],
)
def test_groups_hold_small_images_together(sides: list[int], threads: int, expected: list[int]) -> None:
    """Small images share a group, large ones have their own, and every thread gets as many groups; none is lost."""
    images = [np.full((side, side, 3), number, np.uint8) for number, side in enumerate(sides)]
    groups = _groups(images, threads)
    assert [len(group) for group in groups] == expected
    assert [int(image[0, 0, 0]) for group in groups for image in group] == list(range(len(sides)))
