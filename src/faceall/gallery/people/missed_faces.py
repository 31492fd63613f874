"""Faces that a photo shows and the gallery does not have: removed before, or missed by the detector."""

from __future__ import annotations

import numpy as np

from faceall.analysis.analyser import make_thumbnail
from faceall.errors import ArgumentError, UnknownFaceError
from faceall.gallery.browse import stored_photo
from faceall.gallery.context import Context
from faceall.gallery.photo_files import find_image
from faceall.gallery.records import Analysis, StoredPhoto
from faceall.images import crop
from faceall.types import Faces, Float32Array, Image

_SAME = 0.4  # intersection over union from which two boxes are one face
_SURROUNDINGS = 0.6  # of the side of a drawn box, searched around it
_SIDE = 480  # pixels to which the surroundings are scaled
_SMALLEST = 10  # pixels
_POINTS = np.array([(0.31, 0.38), (0.69, 0.38), (0.5, 0.58), (0.34, 0.77), (0.66, 0.77)], np.float32)
"""Typical landmarks of a frontal face, as parts of its box, for a drawn face whose landmarks are not found."""


def find_missing_faces(context: Context, photo_id: int) -> tuple[int, ...]:
    """Detect the faces of a photo again and add those that the gallery does not have; return their ids.

    Faces in the bin, and stale ones, are not added.
    """
    photo, image = _read(context, photo_id)
    faces, _ = context.analyser.find(image)
    known = _known_boxes(context, photo)
    new = [number for number, box in enumerate(faces.boxes) if not _overlaps(box, known)]
    return _add(context, photo, image, faces.take(new)) if new else ()


def add_drawn_face(context: Context, photo_id: int, box: tuple[float, float, float, float]) -> int:
    """Add a face that a user has drawn; its landmarks are detected in the box, or assumed. Return its id.

    Raises
    ------
    ArgumentError
        The box is not on the photo, is tiny, or is on a known face.
    """
    photo, image = _read(context, photo_id)
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box
    drawn = np.array([max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)], np.float32)
    if not np.isfinite(drawn).all() or (drawn[2:] - drawn[:2]).min() < _SMALLEST:
        raise ArgumentError(
            f"box is {list(box)}, expected x0 y0 x1 y1 on the photo ({width} x {height}), {_SMALLEST} pixels or more"
        )
    if _overlaps(drawn, _known_boxes(context, photo)):
        raise ArgumentError("there is a known face at this place of the photo")
    found = _detect_near(context, image, drawn)
    if found is None:
        landmarks = drawn[:2] + _POINTS * (drawn[2:] - drawn[:2])
        found = Faces(drawn[None], np.zeros(1, np.float32), landmarks[None].astype(np.float32))
    return _add(context, photo, image, found)[0]


def _read(context: Context, photo_id: int) -> tuple[StoredPhoto, Image]:
    """Return a photo and its pixels; its file must be unchanged."""
    context.require_same_model()
    photo = stored_photo(context.store, photo_id)
    if photo.source == "video":
        raise UnknownFaceError(f"photo {photo_id} is a video; faceall video --register finds its faces")
    digest = context.store.photos.digest(photo_id)
    _, image, reason = find_image(digest, photo.paths)
    if image is None:
        raise UnknownFaceError(f"the file of photo {photo_id} cannot be used: {reason}")
    return photo, image


def _known_boxes(context: Context, photo: StoredPhoto) -> Float32Array:
    """Return the boxes (n, 4) of all faces of a photo, those in the bin and stale ones included."""
    boxes = [face.box for face in photo.faces]
    return np.array([*boxes, *context.store.photos.absent_boxes(photo.photo_id)], np.float32).reshape(-1, 4)


def _overlaps(box: Float32Array, others: Float32Array) -> bool:
    """Return whether a box (4,) is the same face as one of others (n, 4)."""
    if not len(others):
        return False
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return bool((shared / np.maximum(areas - shared, 1e-6)).max() > _SAME)


def _detect_near(context: Context, image: Image, drawn: Float32Array) -> Faces | None:
    """Detect a face in the enlarged surroundings of a drawn box; None if there is none at its place."""
    half = float((drawn[2:] - drawn[:2]).max()) * (0.5 + _SURROUNDINGS)
    centre = (drawn[:2] + drawn[2:]) / 2
    corner = centre - half
    around = crop(image, (*corner.tolist(), *(centre + half).tolist()), size=(_SIDE, _SIDE))
    (faces,) = context.analyser.detector.detect_batch([around])
    scale = 2 * half / _SIDE
    boxes = faces.boxes * scale + np.tile(corner, 2)
    at = [number for number, box in enumerate(boxes) if _overlaps(box.astype(np.float32), drawn[None])]
    if not at:
        return None
    chosen = np.array(at[:1])
    landmarks = faces.landmarks[chosen] * scale + corner
    return Faces(boxes[chosen].astype(np.float32), faces.scores[chosen], landmarks.astype(np.float32))


def _add(context: Context, photo: StoredPhoto, image: Image, faces: Faces) -> tuple[int, ...]:
    """Store faces of a photo, without a person; the largest is primary if the photo has no primary face."""
    embedder, store = context.analyser.embedder, context.store
    vectors = embedder.embed_crops(embedder.crop(image, faces))
    sizes = np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1)
    primary = None if any(face.primary for face in photo.faces) else int(np.argmax(sizes))
    thumbnails = tuple(make_thumbnail(image, face) for face in faces)
    with store.changing():
        before = {face.face_id for face in store.faces.listed(photo=photo.photo_id)}
        analysis = Analysis(faces=faces, primary=primary, thumbnails=thumbnails, vectors=vectors)
        store.photos.add_faces(photo.photo_id, analysis, None)
        after = [face.face_id for face in store.faces.listed(photo=photo.photo_id)]
    return tuple(key for key in after if key not in before)
