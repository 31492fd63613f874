"""What stands before a net in a SavedModel: files become images, images become the numbers that the net takes."""

from __future__ import annotations

import numpy as np

from faceall.convert.targets.savedmodel.encode import DOUBLE, FLOAT, INT32, TEXT, VARIANT, function
from faceall.convert.tensorflow.graph_writer import GraphWriter
from faceall.models import Manifest, Standardisation
from faceall.protobuf import Message

DECODE = "faceall_decode"
"""How the two functions of the loop over files start."""

_RGB = 3


def decode(writer: GraphWriter, files: str, size: tuple[int, int] | None, scope: str) -> tuple[str, list[Message]]:
    """Decode a batch of JPEG or PNG files, one after the other.

    Parameters
    ----------
    files : str
        (n,) text, whole files.
    size : tuple[int, int] | None
        (height, width) in pixels that every image is brought to; None: all have one size already.

    Returns
    -------
    (n, height, width, 3) float32 RGB
        Whole numbers 0 .. 255; and the functions that the loop calls.
    """
    place, height_width = f"{scope}decode", list(size or (-1, -1))
    shape = writer.constant(f"{place}/element_shape", np.array([*height_width, _RGB], np.int32))
    zero = writer.constant(f"{place}/zero", np.array(0, np.int32))
    count = _first_size(writer, files, place)
    images = writer.node(f"{place}/images", "TensorListReserve", [shape, count], element_dtype=FLOAT)
    prefix = f"{DECODE}_{scope.strip('/') or 'images'}"
    names = (f"{prefix}_more", f"{prefix}_next")
    kinds = {"number": INT32, "count": INT32, "files": TEXT, "images": VARIANT}
    loop = writer.node(
        f"{place}/while",
        "StatelessWhile",
        [zero, count, files, images],
        T=tuple(kinds.values()),
        cond=names[0],
        body=names[1],
        output_shapes=(),
        parallel_iterations=10,
    )
    options = {"element_dtype": FLOAT, "num_elements": -1}
    done = writer.node(f"{place}/stack", "TensorListStack", [f"{loop}:3", shape], **options)
    return done, [_more(names[0], kinds), _next(names[1], kinds, size)]


def _first_size(writer: GraphWriter, tensor: str, place: str) -> str:
    """How many files there are, a number."""
    shape = writer.node(f"{place}/Shape", "Shape", [tensor], out_type=INT32)
    zero = writer.constant(f"{place}/first", np.array([0], np.int32))
    one = writer.constant(f"{place}/second", np.array([1], np.int32))
    return writer.node(f"{place}/count", "StridedSlice", [shape, zero, one, one], shrink_axis_mask=1)


def _more(name: str, kinds: dict[str, int]) -> Message:
    """Whether files are left: number < count."""
    writer = GraphWriter()
    left = writer.node("Less", "Less", ["number", "count"])
    return function(name, kinds, writer.nodes.values(), {"left": left})


def _next(name: str, kinds: dict[str, int], size: tuple[int, int] | None) -> Message:
    """Decode one file and put its image into the list."""
    writer = GraphWriter()
    axis = writer.constant("axis", np.array(0, np.int32))
    file = writer.node("file", "GatherV2", ["files", "number", axis], batch_dims=0)
    options = {"channels": _RGB, "ratio": 1, "fancy_upscaling": True, "try_recover_truncated": False}
    image = writer.node(
        "DecodeJpeg", "DecodeJpeg", [file], dct_method=b"INTEGER_ACCURATE", acceptable_fraction=1.0, **options
    )
    image = writer.node("float", "Cast", [image], DstT=FLOAT) if size is None else resize(writer, image, size)
    one = writer.constant("one", np.array(1, np.int32))
    results = {
        "number_next": writer.node("next", "AddV2", ["number", one]),
        "count_next": "count",
        "files_next": "files",
        "images_next": writer.node(
            "TensorListSetItem", "TensorListSetItem", ["images", "number", image], element_dtype=FLOAT
        ),
    }
    return function(name, kinds, writer.nodes.values(), results)


def resize(writer: GraphWriter, image: str, size: tuple[int, int]) -> str:
    """Scale one image (h, w, 3) uint8 to `size` (height, width), as `faceall.images.resize` does.

    Each axis is averaged by area where it shrinks and interpolated bilinearly where it grows, with whole numbers after
    each of the two steps; (height, width, 3) float32.
    """
    wanted = writer.constant("size", np.array(size, np.int32))
    first, second, one = (
        writer.constant(name, np.array([n], np.int32)) for name, n in (("zero", 0), ("two", 2), ("step", 1))
    )
    shape = writer.node("Shape", "Shape", [image], out_type=INT32)
    now = writer.node("now", "StridedSlice", [shape, first, second, one])
    smaller = writer.node("smaller", "Minimum", [now, wanted])
    batch = writer.node("batch", "ExpandDims", [image, writer.constant("front", np.array(0, np.int32))])
    shrunk = writer.node("shrunk", "ResizeArea", [batch, smaller], align_corners=False)
    half = writer.constant("half", 0.5)  # it rounds up, as OpenCV does
    whole = writer.node("whole", "Floor", [writer.node("shrunk_half", "AddV2", [shrunk, half])])
    options = {"align_corners": False, "half_pixel_centers": True}
    grown = writer.node("grown", "ResizeBilinear", [whole, wanted], **options)
    grown = writer.node("grown_whole", "Floor", [writer.node("grown_half", "AddV2", [grown, half])])
    sizes = writer.constant("sizes", np.array([*size, _RGB], np.int32))
    return writer.node("image", "Reshape", [grown, sizes])


def standardise(writer: GraphWriter, images: str, manifest: Manifest, scope: str) -> str:
    """Write the standardisation: images in RGB, 0 to 255, become the net's input (n, H, W, 3) float32."""
    if manifest.channels == "BGR":
        last = writer.constant(f"{scope}standardise/axis", np.array([3], np.int32))
        images = writer.node(f"{scope}standardise/BGR", "ReverseV2", [images, last])
    rule, name = manifest.standardisation, f"{scope}standardised"
    if rule.kind == "prewhiten":
        return _prewhiten(writer, images, f"{scope}standardise", name)
    return _fixed(writer, images, rule, f"{scope}standardise", name)


def _fixed(writer: GraphWriter, images: str, rule: Standardisation, place: str, name: str) -> str:
    centred = writer.node(f"{place}/Sub", "Sub", [images, writer.constant(f"{place}/mean", rule.mean)])
    return writer.node(name, "Mul", [centred, writer.constant(f"{place}/scale", rule.scale)])


def _prewhiten(writer: GraphWriter, images: str, place: str, name: str) -> str:
    """Each image by its own mean and deviation, in float64 up to the last step."""
    x = writer.node(f"{place}/double", "Cast", [images], DstT=DOUBLE)
    axes = writer.constant(f"{place}/axes", np.array([1, 2, 3], np.int32))
    mean = writer.node(f"{place}/mean", "Mean", [x, axes], keep_dims=True)
    square = writer.node(f"{place}/SquaredDifference", "SquaredDifference", [x, mean])
    variance = writer.node(f"{place}/variance", "Mean", [square, axes], keep_dims=True)
    deviation = writer.node(f"{place}/deviation", "Sqrt", [variance])
    bounds = (writer.constant(f"{place}/{n}", np.array([n], np.int32)) for n in (1, 4))
    step = writer.constant(f"{place}/step", np.array([1], np.int32))
    shape = writer.node(f"{place}/Shape", "Shape", [images], out_type=INT32)
    sizes = writer.node(f"{place}/sizes", "StridedSlice", [shape, *bounds, step])
    whole = writer.node(f"{place}/size", "Prod", [sizes, writer.constant(f"{place}/zero", np.array([0], np.int32))])
    least = writer.node(f"{place}/least", "Rsqrt", [writer.node(f"{place}/numbers", "Cast", [whole], DstT=DOUBLE)])
    spread = writer.node(f"{place}/Maximum", "Maximum", [deviation, least])
    centred = writer.node(f"{place}/Sub", "Sub", [x, mean])
    ratio = writer.node(f"{place}/RealDiv", "RealDiv", [centred, spread])
    return writer.node(name, "Cast", [ratio], DstT=FLOAT)
