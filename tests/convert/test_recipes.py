"""The input of an imported net: chosen, known by its checksum, known by its graph, or named as unknown."""

from __future__ import annotations

import numpy as np
import pytest

from faceall.caffe.net import Layer, Net, input_layer
from faceall.convert import SourceOptions
from faceall.convert.recipes import FORMULAS, STANDARDISATIONS, alignment_of, recipe_for
from faceall.models import KNOWN_EMBEDDERS, Alignment


def net_of(size: tuple[int, int], *, layers: tuple[Layer, ...] = ()) -> Net:
    """A net that takes images of `size` (width, height)."""
    return Net("net", (input_layer("data", (1, 3, size[1], size[0])), *layers))


UNKNOWN = {"net.onnx": "0" * 64}
_OPTIONS = {"convolution_param": {"num_output": 3, "kernel_size": [3]}}
DEPTHWISE = Layer("deep", "ConvolutionDepthwise", ("data",), ("deep",), _OPTIONS)
SCALE = Layer("scale", "Power", ("data",), ("scaled",), {"power_param": {"scale": 0.0078125, "shift": -0.99609375}})


@pytest.mark.parametrize("known", KNOWN_EMBEDDERS, ids=lambda known: known.name)
def test_known_files_are_recognised_by_all_their_checksums(known: object) -> None:
    """The input is the published one, with the terms; one file of two is not enough."""
    files = dict(known.files)  # type: ignore[attr-defined]
    recipe = recipe_for(files.values(), net_of((112, 112)), SourceOptions(), 512)
    assert (recipe.unknown, recipe.known) == ((), known)
    assert recipe.channels == known.channels  # type: ignore[attr-defined]
    assert known.licence in recipe.remarks[0]  # type: ignore[attr-defined]
    if len(files) > 1:
        files.popitem()
        assert recipe_for(files.values(), net_of((112, 112)), SourceOptions(), 512).known is None


def test_an_unknown_net_names_every_part_that_is_assumed() -> None:
    """Nothing shows what a plain net of 160x160 expects."""
    recipe = recipe_for(UNKNOWN.values(), net_of((160, 160)), SourceOptions(), 64)
    assert recipe.unknown == ("channels", "standardisation", "alignment")
    assert recipe.alignment == "none"


def test_what_is_chosen_is_no_longer_unknown() -> None:
    """The options are taken as they are."""
    options = SourceOptions(channels="bgr", standardisation="arcface", alignment="openvino")
    recipe = recipe_for(UNKNOWN.values(), net_of((160, 160)), options, 64)
    assert (recipe.unknown, recipe.channels, recipe.alignment) == ((), "BGR", "openvino")
    assert recipe.standardisation == STANDARDISATIONS["arcface"]


def test_a_choice_against_a_known_file_is_reported() -> None:
    """The choice wins, and the remark says what differs."""
    files = dict(KNOWN_EMBEDDERS[0].files)
    recipe = recipe_for(files.values(), net_of((128, 128)), SourceOptions(channels="rgb"), 256)
    assert recipe.channels == "RGB"
    assert "channels as chosen" in recipe.remarks[-1]


def test_the_graph_of_0095_is_recognised() -> None:
    """128x128 pixels, 256 dimensions and depthwise convolutions: BGR, OpenVINO's template, pixels as they are."""
    recipe = recipe_for(UNKNOWN.values(), net_of((128, 128), layers=(DEPTHWISE,)), SourceOptions(), 256)
    assert (recipe.unknown, recipe.channels, recipe.alignment) == ((), "BGR", "openvino")


def test_a_family_leaves_open_what_its_members_differ_in() -> None:
    """MobileFaceNets are aligned to ArcFace's template, in either channel order."""
    prelu = Layer("prelu", "PReLU", ("deep",), ("deep",))
    net = net_of((112, 112), layers=(DEPTHWISE, prelu))
    recipe = recipe_for(UNKNOWN.values(), net, SourceOptions(), 128)
    assert (recipe.alignment, recipe.unknown) == ("arcface", ("channels", "standardisation"))
    assert recipe_for(UNKNOWN.values(), net, SourceOptions(), 512).unknown == ("channels",)


def test_a_net_that_rescales_takes_pixels_as_they_are() -> None:
    """The first layer is the standardisation."""
    recipe = recipe_for(UNKNOWN.values(), net_of((160, 160), layers=(SCALE,)), SourceOptions(), 64)
    assert recipe.standardisation == STANDARDISATIONS["none"]
    assert "standardisation" not in recipe.unknown


def test_narrow_nets_have_the_template_without_its_margins() -> None:
    """MobileFaceNet's 96x112 pixels are the middle of ArcFace's 112x112."""
    wide, narrow = (alignment_of("arcface", size).points * size for size in ((112, 112), (96, 112)))
    np.testing.assert_allclose(narrow, wide - [8, 0], atol=1e-9)
    assert alignment_of("openvino", (128, 128)) == Alignment(template="openvino-0095")


def test_every_standardisation_has_a_formula() -> None:
    """Messages name the formula of each."""
    assert STANDARDISATIONS.keys() == FORMULAS.keys()
