"""Reading and writing Caffe's text format."""

from __future__ import annotations

import pytest
from caffe_nets import CASES, random_net
from hypothesis import given
from hypothesis import strategies as st

from faceall.caffe.net import Layer, Net
from faceall.caffe.prototxt import read_prototxt, write_prototxt
from faceall.errors import NetError, NetFormatError, UnsupportedLayerError

SMALL = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
"""


def same(left: Net, right: Net) -> bool:
    """Whether two nets have the same name and layers."""
    return left.name == right.name and left.layers == right.layers


def test_read_prototxt_gives_layers_in_their_order() -> None:
    """Names, types, blobs and options are those of the text; an option that is absent has Caffe's default."""
    net = read_prototxt(SMALL)
    data, conv = net.layers
    assert (net.name, data.type, net.inputs, net.outputs) == ("small", "Input", {"data": (1, 3, 8, 8)}, ("conv",))
    assert (conv.name, conv.type, conv.bottoms, conv.tops) == ("conv", "Convolution", ("data",), ("conv",))
    assert (conv.option("num_output"), conv.option("kernel_size")) == (4, [3])
    assert (conv.option("group"), conv.option("bias_term")) == (1, True)


@pytest.mark.parametrize(
    "declared", ["input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8", "input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }"]
)
def test_an_input_at_the_top_of_the_file_becomes_an_input_layer(declared: str) -> None:
    """Both old spellings give the net that the new one gives."""
    rest = SMALL[SMALL.index("layer {\n") :]
    assert same(read_prototxt(f'name: "small" input: "data" {declared} {rest}'), read_prototxt(SMALL))


def test_an_input_without_a_shape_is_refused() -> None:
    """The message gives both counts."""
    with pytest.raises(NetFormatError, match="names 1 inputs but gives 0 input shapes"):
        read_prototxt('input: "data"')


def test_the_old_format_gives_the_same_layers() -> None:
    """V1 `layers` with types as enumeration read as V2 `layer`."""
    new = read_prototxt(
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c"'
        " convolution_param { num_output: 2 kernel_size: 1 } }"
        'layer { name: "r" type: "ReLU" bottom: "c" top: "c" }'
        'layer { name: "f" type: "InnerProduct" bottom: "c" top: "f" inner_product_param { num_output: 3 } }'
    )
    old = read_prototxt(
        'layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1'
        " convolution_param { num_output: 2 kernel_size: 1 } }"
        'layers { name: "r" type: RELU bottom: "c" top: "c" }'
        'layers { name: "f" type: INNER_PRODUCT bottom: "c" top: "f" inner_product_param { num_output: 3 } }'
    )
    assert same(old, new)


def test_an_unknown_type_of_the_old_format_is_named_with_the_known_ones() -> None:
    """The layer, its type and what faceall knows."""
    with pytest.raises(UnsupportedLayerError, match=r"'norm1'.*MVN.*known types: CONCAT, CONVOLUTION"):
        read_prototxt('layers { name: "norm1" type: MVN }')


def test_layers_for_training_alone_are_left_out() -> None:
    """`include { phase: TRAIN }` and `exclude { phase: TEST }` drop a layer; TEST keeps it."""
    net = read_prototxt(
        'layer { name: "a" type: "ReLU" include { phase: TRAIN } }'
        'layer { name: "b" type: "ReLU" exclude { phase: TEST } }'
        'layer { name: "c" type: "ReLU" include { phase: TEST } }'
        'layer { name: "d" type: "ReLU" exclude { phase: TRAIN } }'
    )
    assert [layer.name for layer in net.layers] == ["c", "d"]


@pytest.mark.parametrize(
    ("rule", "state", "stays"),
    [
        ("include { min_level: 1 }", "", False),
        ("include { min_level: 1 }", "state { level: 1 }", True),
        ("include { max_level: -1 }", "", False),
        ('include { stage: "embed" }', "", False),
        ('include { stage: "embed" }', 'state { stage: "embed" stage: "other" }', True),
        ('include { not_stage: "embed" }', 'state { stage: "embed" }', False),
        ('include { phase: TEST not_stage: "embed" }', "", True),
        ('include { stage: "a" } include { phase: TEST }', "", True),
        ('exclude { stage: "embed" }', 'state { stage: "embed" }', False),
        ("exclude { phase: TEST min_level: 2 }", "", True),
    ],
)
def test_rules_of_level_and_stage_are_those_of_caffe(rule: str, state: str, stays: bool) -> None:
    """One rule that is met includes or excludes; a rule is met if all its parts are."""
    net = read_prototxt(f'{state} layer {{ name: "a" type: "ReLU" {rule} }}')
    assert [layer.name for layer in net.layers] == (["a"] if stays else [])


def test_both_kinds_of_rules_are_refused() -> None:
    """Caffe stops there, too."""
    with pytest.raises(NetFormatError, match="'a' has rules to include and to exclude it"):
        read_prototxt('layer { name: "a" type: "ReLU" include { phase: TEST } exclude { stage: "x" } }')


TRAINING = """
name: "training"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 12 } data_param { source: "train # { lmdb" batch_size: 64 } }
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TEST }
  transform_param { %s mean_value: 127.5 } image_data_param { source: "test.txt" } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 } convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "vector" type: "InnerProduct" bottom: "conv" top: "vector" inner_product_param { num_output: 8 } }
layer { name: "margin" type: "MarginInnerProduct" bottom: "vector" bottom: "label" top: "margin" top: "lambda"
  margin_inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "margin" bottom: "label" top: "loss" loss_param { x: 1 } }
layer { name: "top1" type: "Accuracy" bottom: "margin" bottom: "label" top: "top1" include { phase: TEST } }
"""


def test_a_net_for_training_becomes_the_net_of_its_test_phase() -> None:
    """The data layer becomes the input; layers of losses and labels go, and may have unknown fields."""
    net = read_prototxt(TRAINING % "crop_size: 14")
    assert [layer.name for layer in net.layers] == ["data", "conv", "vector"]
    assert net.inputs == {"data": (1, 3, 14, 14)}
    assert net.outputs == ("vector",)


def test_the_size_of_training_images_is_asked_for() -> None:
    """If the data layer does not crop, the size is not in the file."""
    with pytest.raises(
        NetFormatError, match=r"'data' does not state the size of its images: give it with --image-size"
    ):
        read_prototxt(TRAINING % "")
    assert read_prototxt(TRAINING % "", 16).inputs == {"data": (1, 3, 16, 16)}


def test_an_unknown_field_of_a_layer_that_stays_is_refused() -> None:
    """With its line, although fields of training are accepted elsewhere."""
    with pytest.raises(NetFormatError, match=r"kernel_sise"):
        read_prototxt((TRAINING % "crop_size: 14").replace("kernel_size", "kernel_sise"))


def test_a_net_for_training_of_the_old_format_is_reduced() -> None:
    """V1 layers have their types as words."""
    net = read_prototxt(
        'layers { name: "data" type: DATA top: "data" top: "label" transform_param { crop_size: 9 } '
        'data_param { source: "x" } }'
        'layers { name: "relu" type: RELU bottom: "data" top: "relu" }'
        'layers { name: "loss" type: SOFTMAX_LOSS bottom: "relu" bottom: "label" }'
    )
    assert [(layer.name, layer.type) for layer in net.layers] == [("data", "Input"), ("relu", "ReLU")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('name: "x"\nlayer {\n  name: "a"\n  kind: "ReLU"\n}', r"4:3 .*kind"),
        ('layer {\n  type: "ReLU"\n  relu_param { slope: 1 }\n}', r"3:16 .*slope"),
        ('layer { type: "ReLU"', "1:"),
    ],
)
def test_a_damaged_text_is_refused_with_line_and_column(text: str, place: str) -> None:
    """An unknown field or a missing bracket, and where it stands."""
    with pytest.raises(NetFormatError, match=place):
        read_prototxt(text)


def test_two_layers_of_one_name_are_refused() -> None:
    """Weights are found by the layer's name."""
    with pytest.raises(NetFormatError, match="two layers called 'a'"):
        read_prototxt('layer { name: "a" type: "ReLU" } layer { name: "a" type: "ReLU" }')


@given(st.text(max_size=200) | st.text("layer{}:\"'\n 0123456789abcdefinputdm_", max_size=200))
def test_any_text_is_read_or_refused_as_a_net(text: str) -> None:
    """Nothing but a NetError comes out of a text that is not a net."""
    try:
        read_prototxt(text)
    except NetError:
        return


@given(st.integers(0, len(SMALL) - 1), st.characters(codec="ascii"))
def test_one_wrong_character_is_read_or_refused_as_a_net(place: int, character: str) -> None:
    """The same for a text that is nearly right."""
    try:
        read_prototxt(SMALL[:place] + character + SMALL[place + 1 :])
    except NetError:
        return


@pytest.mark.parametrize("seed", range(5))
def test_written_text_reads_as_the_same_net(seed: int) -> None:
    """Every option of every layer type survives, its number exactly (float32 in the file)."""
    once = read_prototxt(write_prototxt(random_net(seed)))
    assert same(read_prototxt(write_prototxt(once)), once)
    assert [layer.type for layer in once.layers] == [layer.type for layer in random_net(seed).layers]


@pytest.mark.parametrize("name", CASES)
def test_options_of_every_type_survive_the_text(name: str) -> None:
    """Whole numbers, words and switches exactly; fractions as float32."""
    case = CASES[name]
    text = write_prototxt(Net("x", (Layer("it", case.kind, ("a",), ("b",), _parameters(name)),)))
    (layer,) = read_prototxt(text).layers
    for option, value in case.options.items():
        assert layer.option(option) == (pytest.approx(value) if isinstance(value, (float, list)) else value)


def _parameters(name: str) -> dict[str, object]:
    from faceall.caffe.schema import PARAMETER_FIELDS

    case = CASES[name]
    return {PARAMETER_FIELDS[case.kind]: case.options} if case.options else {}


def test_an_option_that_the_format_does_not_have_is_refused_on_writing() -> None:
    """The layer is named, and so is the option."""
    layer = Layer("r", "ReLU", ("x",), ("y",), {"relu_param": {"slope": 0.1}})
    with pytest.raises(NetFormatError, match=r"layer 'r' \(ReLU\).*'slope'"):
        write_prototxt(Net("x", (layer,)))


def test_the_nets_of_mtcnn_survive_the_text(mtcnn_net: Net) -> None:
    """All layers and options of det1, det2, det3."""
    assert same(read_prototxt(write_prototxt(mtcnn_net)), mtcnn_net)
