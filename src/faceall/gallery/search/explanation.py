"""Explain a search in one image: the query, the faces found, and how they compare with an exact search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from faceall.analysis.analyser import THUMBNAIL
from faceall.errors import FaceallError
from faceall.gallery.people.names import unknown_face
from faceall.gallery.search.matching import Query, match_faces
from faceall.gallery.search.results import GalleryMatch, SearchResult
from faceall.gallery.store import Store
from faceall.images import crop, draw_faces, read_image, resize
from faceall.types import Face, Faces, Float32Array, Image

_QUERY = 480  # pixels, the longer side of the query
_TILE = 240
_GAP = 12
_TEXT = 15
_AROUND = 1.0  # of the face's size, what a tile shows on every side of it
_WHITE, _BLACK, _GRAY = (255, 255, 255), (0, 0, 0), (110, 110, 110)
_VERDICTS = {True: "match", False: "no match", None: ""}


@dataclass(frozen=True)
class Agreement:
    """Agreement of the approximate search with an exact one.

    same   how many of the nearest faces are the same
    count  of how many
    """

    same: int
    count: int

    @property
    def text(self) -> str:
        """The agreement as a sentence; empty if nothing was compared."""
        return "" if not self.count else f"{self.same} of {self.count} nearest faces are those of an exact search"


def explain_search(store: Store, query: Query, k: int, limit: float | None) -> Image:
    """Search approximately and exactly, and draw the results."""
    results = match_faces(store, query, k, limit)
    every = match_faces(store, query, k, None)
    exact: Iterable[Float32Array] = ()
    if len(query.faces):
        exact = store.faces.nearest(query.vectors, k, people=query.people, exact=True).distances
        if query.photos is not None:  # an exact search does not know dates
            exact = exact[:, :0]
    stored = store.faces.stored(match.face_id for result in results for match in result.matches)

    def face_of(face_id: int) -> tuple[Faces, bytes]:
        """Return a stored face, as `Faces`, and its thumbnail."""
        thumbnail = store.faces.thumbnail(face_id)
        if thumbnail is None:
            raise unknown_face(store, face_id)
        return Faces.of([stored[face_id].as_face()] if face_id in stored else []), thumbnail

    return draw_explanation(
        query.image,
        query.faces,
        results,
        agreements=[agreement_of(quick.matches, row) for quick, row in zip(every, exact, strict=True)],
        face_of=face_of,
    )


def draw_explanation(
    image: Image,
    faces: Faces,
    results: Sequence[SearchResult],
    *,
    agreements: Sequence[Agreement],
    face_of: Callable[[int], tuple[Faces, bytes]],
) -> Image:
    """Draw a query and its matches.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The query, RGB.
    faces : Faces
        The faces of the query.
    results : sequence of SearchResult
        One per face, in the same order.
    agreements : sequence of Agreement
        One per face.
    face_of : callable
        Returns for a face id the stored face and its thumbnail.

    Returns
    -------
    (height, width, 3) uint8
        The query with boxes and landmarks, and per face a row with its nearest faces of the gallery: cut from their
        photos, or the thumbnails of missing photos.
    """
    numbers = [str(number) for number in range(1, len(faces) + 1)]
    left = _fitted(draw_faces(image, faces, numbers), _QUERY)
    rows = [
        _row(f"face {number}", _query_tile(image, face, number), result, agreement, face_of)
        for number, face, result, agreement in zip(numbers, faces, results, agreements, strict=True)
    ]
    right = _stack(rows) if rows else _text_block(["no face found"], _TILE)
    height = max(left.shape[0], right.shape[0]) + 2 * _GAP
    page = np.full((height, left.shape[1] + right.shape[1] + 3 * _GAP, 3), 255, np.uint8)
    page[_GAP : _GAP + left.shape[0], _GAP : _GAP + left.shape[1]] = left
    start = left.shape[1] + 2 * _GAP
    page[_GAP : _GAP + right.shape[0], start : start + right.shape[1]] = right
    return page


def _row(
    title: str,
    query: Image,
    result: SearchResult,
    agreement: Agreement,
    face_of: Callable[[int], tuple[Faces, bytes]],
) -> Image:
    """Draw a line of text, and below it a tile of the query's face and one per match."""
    limit = "no threshold" if result.threshold is None else f"threshold {result.threshold.distance:g}"
    heading = ", ".join(part for part in (title, limit, agreement.text) if part)
    tiles = [query, *(_tile(match, *face_of(match.face_id)) for match in result.matches)]
    if len(tiles) == 1:
        heading = f"{heading}: no face within the threshold"
    width = max(len(tiles) * (_TILE + _GAP), 2 * _TILE)
    block = np.full((tiles[0].shape[0], width, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        block[:, number * (_TILE + _GAP) : number * (_TILE + _GAP) + _TILE] = tile
    return _stack([_text_block([heading], width), block])


def _tile(match: GalleryMatch, faces: Faces, thumbnail: bytes) -> Image:
    """Draw a match: its photo with the face, the person, distance and similarity."""
    tile = np.full((_TILE, _TILE, 3), 245, np.uint8)
    photo = _photo(match, faces, thumbnail)
    top, left = (_TILE - photo.shape[0]) // 2, (_TILE - photo.shape[1]) // 2
    tile[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    lines = [
        match.person or "unassigned",
        f"distance {match.distance:.3f}  {_VERDICTS[match.matches]}",
        f"similarity {match.similarity:.3f}  face {match.face_id}",
    ]
    return _stack([tile, _text_block(lines, _TILE, color=_GRAY if match.matches is False else _BLACK)], gap=0)


def _query_tile(image: Image, face: Face, number: str) -> Image:
    """Draw a face of the query as large as those of the matches."""
    tile = np.full((_TILE, _TILE, 3), 245, np.uint8)
    cut = _fitted(face.crop(image, margin=_AROUND), _TILE)
    top, left = (_TILE - cut.shape[0]) // 2, (_TILE - cut.shape[1]) // 2
    tile[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return _stack([tile, _text_block([f"face {number} of the query", "", ""], _TILE)], gap=0)


def _photo(match: GalleryMatch, faces: Faces, thumbnail: bytes) -> Image:
    """Return the surroundings of the matched face, as large as a tile; its thumbnail if the photo is missing."""
    try:
        photo = read_image(match.path)
    except FaceallError:
        return _fitted(read_image(thumbnail), THUMBNAIL)
    height, width = photo.shape[:2]
    x0, y0, x1, y1 = faces.boxes[0].tolist()
    reach = _AROUND * max(x1 - x0, y1 - y0, 1.0)
    region = (max(x0 - reach, 0.0), max(y0 - reach, 0.0), min(x1 + reach, width), min(y1 + reach, height))
    return _fitted(crop(draw_faces(photo, faces), region), _TILE)


def _fitted(image: Image, side: int) -> Image:
    """Resize an image so that its longer side has `side` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    return resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))


def _stack(blocks: Sequence[Image], gap: int = _GAP) -> Image:
    """Stack images vertically on white."""
    width = max(block.shape[1] for block in blocks)
    height = sum(block.shape[0] for block in blocks) + gap * (len(blocks) - 1)
    page = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for block in blocks:
        page[top : top + block.shape[0], : block.shape[1]] = block
        top += block.shape[0] + gap
    return page


def _text_block(lines: Sequence[str], width: int, color: tuple[int, int, int] = _BLACK) -> Image:
    """Draw lines of text on white; long lines are cut off."""
    font = ImageFont.load_default(_TEXT)
    image = PillowImage.new("RGB", (width, (_TEXT + 5) * len(lines) + 4), _WHITE)
    canvas = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        canvas.text((2, 2 + number * (_TEXT + 5)), line, fill=color, font=font)
    return np.array(image)


def agreement_of(quick: Sequence[GalleryMatch], exact: Float32Array) -> Agreement:
    """Count how many of the nearest faces are as near as those of an exact search.

    Parameters
    ----------
    quick : sequence of GalleryMatch
        Result of the approximate search, nearest first.
    exact : (k,) float32
        Distances of the exact search, ascending; equal distances count as the same face.
    """
    count = min(len(quick), len(exact))
    limit = float(exact[count - 1]) if count else 0.0
    same = sum(match.distance <= limit + 1e-6 for match in quick[:count])
    return Agreement(same, count)
