"""Pixels: read pictures of any usual kind, cut and scale them, draw on them, write them.

A picture is RGB uint8 (H, W, 3), upright, everywhere in faceall; that is decided here once.
"""

from faceall.images.decode import DEFAULT_MAX_PIXELS, PictureHeader, read_header, read_image
from faceall.images.draw import draw_faces
from faceall.images.encode import encode_jpeg, write_image
from faceall.images.files import IMAGE_SUFFIXES, find_images, is_image_path
from faceall.images.scale import crop, resize

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "IMAGE_SUFFIXES",
    "PictureHeader",
    "crop",
    "draw_faces",
    "encode_jpeg",
    "find_images",
    "is_image_path",
    "read_header",
    "read_image",
    "resize",
    "write_image",
]
