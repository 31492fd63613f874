"""Decode image files: recognise the format, refuse hostile ones, and make upright RGB pixels."""

from faceall.images.decoding.decode import (
    DEFAULT_MAX_PIXELS,
    DecodedImage,
    ImageHeader,
    Reduction,
    decode_image,
    open_and_look,
    pillow_pixels,
    read_header,
    read_image,
    why_missing,
)
from faceall.images.decoding.opening import open_header

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "DecodedImage",
    "ImageHeader",
    "Reduction",
    "decode_image",
    "open_and_look",
    "open_header",
    "pillow_pixels",
    "read_header",
    "read_image",
    "why_missing",
]
