"""`Window`: the sliding window of a convolution or a pooling, read from Caffe's several ways to write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from faceall.caffe.layers.spec import LayerLike
from faceall.errors import ShapeError

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A sliding window; every pair is (height, width), in pixels.

    Parameters
    ----------
    kernel : (int, int)
        Size of the window.
    stride : (int, int)
        Step from one window to the next.
    pad : (int, int)
        Border on each side of the input, always symmetric in Caffe.
    dilation : (int, int)
        Distance between neighbouring kernel elements; 1 is dense.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def extent(self) -> Pair:
        """The number of pixels from the first to the last element of the window, both included."""
        height, width = ((kernel - 1) * step + 1 for kernel, step in zip(self.kernel, self.dilation, strict=True))
        return height, width

    @property
    def padded(self) -> bool:
        """Whether any side has a border."""
        return self.pad != (0, 0)


def window(layer: LayerLike, spatial: Pair | None = None) -> Window:
    """Read the window of a Convolution, ConvolutionDepthwise or Pooling layer.

    Parameters
    ----------
    layer : Layer
        The layer.
    spatial : (int, int), optional
        Height and width of the input, which are the kernel of a global pooling.

    Raises
    ------
    ShapeError
        The options contradict each other. The message does not name the layer.
    """
    stride = _pair(layer, "stride", "stride", 1)
    pad = _pair(layer, "pad", "pad", 0)
    if layer.type == "Pooling":
        if layer.option("global_pooling"):
            return _global_window(layer, spatial, stride, pad)
        found = Window(_pair(layer, "kernel_size", "kernel", None), stride, pad)
        if any(border >= size for border, size in zip(pad, found.kernel, strict=True)):
            raise ShapeError(
                f"has a pad of {_text(pad)}, which must be smaller than its kernel of {_text(found.kernel)}"
            )
    else:
        found = Window(
            _pair(layer, "kernel_size", "kernel", None), stride, pad, _pair(layer, "dilation", "dilation", 1)
        )
    for name in ("kernel", "stride", "dilation"):
        if min(getattr(found, name)) < 1:
            raise ShapeError(f"has a {name} of {_text(getattr(found, name))}, expected at least 1x1")
    return found


def _global_window(layer: LayerLike, spatial: Pair | None, stride: Pair, pad: Pair) -> Window:
    if stride != (1, 1) or pad != (0, 0) or layer.given.keys() & {"kernel_size", "kernel_h", "kernel_w"}:
        raise ShapeError("pools globally, so it may not have a kernel, a stride or a pad")
    if spatial is None:
        raise ShapeError("pools globally, so its window needs the height and width of its input")
    return Window(spatial)


def _pair(layer: LayerLike, name: str, stem: str, default: int | None) -> Pair:
    """Return (height, width) from STEM_h and STEM_w, or from the one or two values of `name`."""
    given = layer.given
    sides = [given[side] for side in (f"{stem}_h", f"{stem}_w") if side in given]
    values = given.get(name, [])
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    if sides:
        if values:
            raise ShapeError(f"gives {name} as well as {stem}_h or {stem}_w; give one of the two")
        if stem != "pad" and len(sides) == 1:
            raise ShapeError(f"gives only one of {stem}_h and {stem}_w; give both")
        return int(given.get(f"{stem}_h", 0)), int(given.get(f"{stem}_w", 0))
    if not values and default is not None:
        return default, default
    if len(values) not in (1, 2):
        raise ShapeError(f"gives {len(values)} values of {name}, expected one, or two for height and width")
    return int(values[0]), int(values[-1])


def _text(pair: Pair) -> str:
    return f"{pair[0]}x{pair[1]}"
