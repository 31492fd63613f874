"""Turn the pixels of an opened image upright and into RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile

from faceall.images.decoding.refusals import UnreadableError
from faceall.native import native_call
from faceall.types import Array, Image

ORIENTATION = 0x0112  # EXIF and TIFF tag

_BITS_PER_SAMPLE = 0x0102  # TIFF tag

PHOTOMETRIC = 0x0106  # TIFF tag; 0 means that zero is white

_STRIP_BYTES = 1 << 22

_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")

# EXIF orientation -> how to make the stored pixels upright: whether to transpose, and along which axes to flip
# afterwards (OpenCV's codes: 1 left-right, 0 top-bottom, -1 both)
_TURNS: dict[int, tuple[bool, int | None]] = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def orientation_of(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) if it is absent or unreadable."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - with broken metadata Pillow raises nearly anything; the pixels are still good
        return 1


def swaps_sides(orientation: int) -> bool:
    """Return whether an EXIF orientation makes width of height."""
    return _TURNS.get(orientation, (False,))[0]


@native_call
def upright(pixels: Image, orientation: int) -> Image:
    """Turn and flip pixels (H, W, 3) so that they are upright; the result is contiguous."""
    if orientation not in _TURNS:
        return pixels
    import cv2  # ten times faster at this than NumPy

    transpose, flip = _TURNS[orientation]
    result: Array = pixels
    if transpose:
        result = cv2.transpose(result)
    if flip is not None:
        result = cv2.flip(result, flip)
    return result


def to_rgb(image: PillowImage.Image) -> Image:
    """Convert a decoded image of any mode to (H, W, 3) uint8.

    Raises
    ------
    UnreadableError
        Its pixels are floating-point numbers or have 32 bits.
    """
    if image.mode.startswith("I"):
        image = PillowImage.fromarray(_eight_bits(image))
    if image.mode == "F":
        raise UnreadableError("has floating-point pixels; save it with 8 or 16 bits per channel first")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = _on_white(image)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return _array(image)


def _on_white(image: PillowImage.Image) -> PillowImage.Image:
    """Composite an image with transparency on white."""
    image = image.convert("RGBA")
    white = PillowImage.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def _eight_bits(image: PillowImage.Image) -> Array:
    """Convert gray of 12 or 16 bits to (H, W) uint8, preserving black and white."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    bits = int(np.ravel(tags.get(_BITS_PER_SAMPLE, 16))[0])
    if bits > 16 or values.min() < 0 or values.max() > 65535:
        raise UnreadableError("has 32 bits per pixel; save it with 8 or 16 bits per channel first")
    gray: Array = np.clip(values >> (bits - 8), 0, 255).astype(np.uint8)
    return 255 - gray if tags.get(PHOTOMETRIC) == 0 else gray


def _array(image: PillowImage.Image) -> Image:
    """Convert an RGB image to (H, W, 3) uint8 in strips, so that a huge one is not three times in memory."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_BYTES // (3 * width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = image if bottom - top == height else image.crop((0, top, width, bottom))
        pixels[top:bottom] = np.frombuffer(strip.tobytes(), np.uint8).reshape(bottom - top, width, 3)
    return pixels
