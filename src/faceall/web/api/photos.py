"""Photos: listed, shown, removed."""

from __future__ import annotations

import hashlib

import numpy as np
from flask import Blueprint, request
from werkzeug.wrappers import Response

from faceall.gallery import StoredFace, StoredPhoto
from faceall.images import draw_faces, encode_jpeg, resize
from faceall.types import Faces, Image
from faceall.web.api.faces import picture
from faceall.web.api.inputs import page, whole
from faceall.web.api.receipts import receipt_of
from faceall.web.api.serializers import Json
from faceall.web.errors import refused
from faceall.web.security.limits import too_large
from faceall.web.services import services

_LONGEST_SIDE = 4096
_QUALITY = 85


def add_routes(blueprint: Blueprint) -> None:
    """Photos under /photos."""
    blueprint.get("/photos")(list_photos)
    blueprint.get("/photos/<int:photo_id>")(show_photo)
    blueprint.get("/photos/<int:photo_id>/image")(image)
    blueprint.delete("/photos/<int:photo_id>")(remove_photo)


def list_photos() -> Json:
    """A page of photos that show a face, by their ids; those of a person, where that is asked for."""
    limit, offset = page()
    person = whole(request.args, "person")
    if person is not None:
        services().gallery.person(person)  # says so where there is none
    found = services().gallery.page_of_photos(person=person, limit=limit, offset=offset)
    return {"photos": [services().shapes.photo(photo) for photo in found.items], "total": found.total}


def show_photo(photo_id: int) -> Json:
    """One photo with its faces."""
    return services().shapes.photo(services().gallery.photo(photo_id))


def image(photo_id: int) -> Response:
    """The photo, upright, as a JPEG of at most `max` pixels a side; `face` marks one of its faces."""
    longest = whole(request.args, "max", 1600, low=16, high=_LONGEST_SIDE)
    marked = whole(request.args, "face")
    photo = services().gallery.photo(photo_id)
    faces = [face for face in photo.faces if face.face_id == marked]
    if marked is not None and not faces:
        raise refused(f"the photo {photo_id} has no face {marked}", 404)
    with services().pictures.open(_content(photo)) as pixels:
        return picture(encode_jpeg(_shown(pixels, longest or 1, faces), _QUALITY))


def remove_photo(photo_id: int) -> Json:
    """Remove a photo with all its faces for good; the answer is a receipt. A file that was no upload stays."""
    photo = services().gallery.photo(photo_id)
    name = services().shapes.photo(photo)["name"]
    return receipt_of({"kind": "photo", "id": photo_id, "name": name}, services().gallery.delete_photo(photo_id))


def _content(photo: StoredPhoto) -> bytes:
    """The bytes of the photo's file, which must be those that were registered."""
    path = services().shapes.file_of(photo)
    most = services().options.most_file_bytes
    try:
        if path is not None and path.stat().st_size > most:
            raise too_large(f"the photo has more than {most:,} bytes, which is too much to show")
        content = b"" if path is None else path.read_bytes()
    except OSError:  # it goes at this moment, or may not be read
        content = b""
    found = services().gallery.photo_with(hashlib.sha256(content).digest()) if content else None
    if found is None or found.photo_id != photo.photo_id:
        raise refused("the file of this photo is gone or has changed; the thumbnails of its faces are kept", 404)
    return content


def _shown(pixels: Image, longest: int, faces: list[StoredFace]) -> Image:
    """A picture scaled down, with some of its faces marked."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    small = resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
    if not faces:
        return small
    boxes = np.array([face.box for face in faces], np.float32) * scale
    landmarks = np.array([face.landmarks for face in faces], np.float32) * scale
    return draw_faces(small, Faces(boxes, np.array([face.score for face in faces], np.float32), landmarks))
