"""Read, crop, resize, draw on and write images.

An image is an upright RGB array, uint8 (H, W, 3), everywhere in faceall.
"""

from faceall.images.decoding import (
    DEFAULT_MAX_PIXELS,
    DecodedImage,
    ImageHeader,
    Reduction,
    decode_image,
    read_header,
    read_image,
)
from faceall.images.draw import draw_faces
from faceall.images.encode import encode_jpeg, write_image
from faceall.images.files import IMAGE_SUFFIXES, find_images, is_image_path
from faceall.images.inputs import ImageSource, as_image
from faceall.images.reader import reader_version
from faceall.images.scale import crop, resize
from faceall.images.warp import warp

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "IMAGE_SUFFIXES",
    "DecodedImage",
    "ImageHeader",
    "ImageSource",
    "Reduction",
    "as_image",
    "crop",
    "decode_image",
    "draw_faces",
    "encode_jpeg",
    "find_images",
    "is_image_path",
    "read_header",
    "read_image",
    "reader_version",
    "resize",
    "warp",
    "write_image",
]
