"""Routes that list and remove photos, and return their images."""

from __future__ import annotations

import hashlib

import numpy as np
from flask import Blueprint, request
from werkzeug.wrappers import Response

from faceall.errors import ArgumentError, ImageError
from faceall.gallery import StoredFace, StoredPhoto
from faceall.images import draw_faces, encode_jpeg, resize
from faceall.types import Faces, Image
from faceall.video import read_frame
from faceall.web.api.faces import jpeg_response
from faceall.web.api.inputs import id_of, json_object, page, whole
from faceall.web.api.receipts import receipt_of
from faceall.web.errors import refused
from faceall.web.refusal import too_large
from faceall.web.serializers import Json
from faceall.web.services import services

_MAX_SIDE = 4096
_LARGEST = 1e6  # pixels
_QUALITY = 85
_FRAME_PIXELS = 3840 * 2160


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes under /photos."""
    blueprint.get("/photos")(list_photos)
    blueprint.get("/photos/<int:photo_id>")(show_photo)
    blueprint.get("/photos/<int:photo_id>/image")(image)
    blueprint.delete("/photos/<int:photo_id>")(remove_photo)
    blueprint.post("/photos/<int:photo_id>/find-faces")(find_faces)
    blueprint.post("/photos/<int:photo_id>/faces")(add_face)


def list_photos() -> Json:
    """List photos with a face by id: all, those of a person, or by who is on them and when they were made."""
    limit, offset = page()
    if any(name in request.args for name in ("with", "without", "since", "until")):
        return _found_photos(limit, offset)
    person = whole(request.args, "person")
    if person is not None:
        services().gallery.people.get(person)  # raises an error for an unknown id
    found = services().gallery.photos.page(person=person, limit=limit, offset=offset)
    return {"photos": [services().serializer.photo(photo) for photo in found.items], "total": found.total}


def _found_photos(limit: int, offset: int) -> Json:
    """Return photos that show all people of `with` and no one of `without`."""
    chosen = {name: [id_of(text, name) for text in request.args.getlist(name)] for name in ("with", "without")}
    since, until = request.args.get("since"), request.args.get("until")
    found = services().gallery.photos.search(
        people=chosen["with"], without=chosen["without"], since=since, until=until, limit=limit, offset=offset
    )
    return {"photos": [services().serializer.photo(photo) for photo in found.items], "total": found.total}


def show_photo(photo_id: int) -> Json:
    """Return a photo with its faces."""
    return services().serializer.photo(services().gallery.photos.get(photo_id))


def image(photo_id: int) -> Response:
    """Return a photo, upright, as a JPEG of at most `max` pixels per side; `face` marks one of its faces.

    Of a video it is the frame that shows the face best, by default the first face.
    """
    max_side = whole(request.args, "max", 1600, low=16, high=_MAX_SIDE)
    marked = whole(request.args, "face")
    photo = services().gallery.photos.get(photo_id)
    faces = [face for face in photo.faces if face.face_id == marked]
    if marked is not None and not faces:
        raise refused(f"the photo {photo_id} has no face {marked}", 404)
    side = max_side or 1
    if photo.source == "video":
        return _frame(photo, faces, side)
    with services().decoding.open(_content(photo), lambda width, height: _shrink(width, height, side)) as pixels:
        return jpeg_response(encode_jpeg(_scaled(pixels, side, faces, photo.width), _QUALITY))


def _frame(video: StoredPhoto, marked: list[StoredFace], max_side: int) -> Response:
    """Return the frame of a video that shows a face; the face is marked if it was asked for."""
    path = services().gallery.photos.unchanged_file(video.photo_id)
    if path is None:
        raise refused("the file of this video is missing or has changed; use the thumbnails of its faces", 404)
    seconds = min(face.moment.seconds for face in marked or video.faces if face.moment)
    with services().decoding.hold(_FRAME_PIXELS):
        try:
            frame = read_frame(path, seconds)
        except ImageError as error:
            raise refused("this video cannot be decoded any more; use the thumbnails of its faces", 404) from error
    return jpeg_response(encode_jpeg(_scaled(frame, max_side, marked, video.width), _QUALITY))


def find_faces(photo_id: int) -> Json:
    """Detect the faces of a photo again; returns the ids of those that were added."""
    services().gallery.photos.get(photo_id)
    return {"faces": list(services().gallery.photos.find_faces(photo_id))}


def add_face(photo_id: int) -> Json:
    """Add a face that the detector missed, given by its box in pixels of the upright photo."""
    box = json_object("box", needed=("box",))["box"]
    numbers = [value for value in box if isinstance(value, int | float)] if isinstance(box, list) else []
    if len(numbers) != 4 or any(isinstance(value, bool) or abs(value) > _LARGEST for value in numbers):
        raise refused("box must be a list of four numbers: x0, y0, x1, y1 in pixels of the photo")
    x0, y0, x1, y1 = map(float, numbers)
    services().gallery.photos.get(photo_id)
    try:
        face = services().gallery.photos.add_face(photo_id, (x0, y0, x1, y1))
    except ArgumentError as error:  # not on this photo, or on a known face
        raise refused(str(error), 409) from error
    return services().serializer.face(services().gallery.faces.get(face))


def remove_photo(photo_id: int) -> Json:
    """Remove a photo and its faces permanently; returns a receipt. Only uploaded files are deleted."""
    photo = services().gallery.photos.get(photo_id)
    name = services().serializer.photo(photo)["name"]
    return receipt_of({"kind": "photo", "id": photo_id, "name": name}, services().gallery.photos.remove(photo_id))


def _content(photo: StoredPhoto) -> bytes:
    """Read the photo's file, which must have the content that was registered."""
    path = services().serializer.file_of(photo)
    max_bytes = services().options.max_file_bytes
    try:
        if path is not None and path.stat().st_size > max_bytes:
            raise too_large(f"the photo has more than {max_bytes:,} bytes and cannot be shown")
        content = b"" if path is None else path.read_bytes()
    except OSError:  # removed meanwhile, or no permission
        content = b""
    found = services().gallery.photos.with_digest(hashlib.sha256(content).digest()) if content else None
    if found is None or found.photo_id != photo.photo_id:
        raise refused("the file of this photo is missing or has changed; use the thumbnails of its faces", 404)
    return content


def _shrink(width: int, height: int, max_side: int) -> int:
    """Return by which factor a JPEG may be reduced while it is decoded and still has `max_side` pixels."""
    return next((factor for factor in (8, 4, 2) if max(width, height) >= factor * max_side), 1)


def _scaled(pixels: Image, max_side: int, faces: list[StoredFace], full_width: int | None) -> Image:
    """Return an image scaled down, with some of its faces marked; their boxes are in pixels of the full width."""
    height, width = pixels.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    small = resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
    if not faces:
        return small
    scale = small.shape[1] / (full_width or width)
    boxes = np.array([face.box for face in faces], np.float32) * scale
    landmarks = np.array([face.landmarks for face in faces], np.float32) * scale
    return draw_faces(small, Faces(boxes, np.array([face.score for face in faces], np.float32), landmarks))
