"""Who appears in a video and when; the faces of a video in a gallery.

A video is stored like a photo: one row per content, with the best view of each face and the moment that shows it. Its
faces are assigned to people they match. They start no new people unless that is asked for, also in `cluster`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from faceall.analysis.analyser import AnalysedImage
from faceall.analysis.open_set import Decision
from faceall.errors import UnreadableImageError
from faceall.gallery.context import Context
from faceall.gallery.naming import Candidate
from faceall.gallery.people.clustering.grouping import group_faces
from faceall.gallery.people.recording import recording
from faceall.gallery.photo_files import digest_of
from faceall.gallery.records import Analysis, FileInfo, Moment, PhotoResult
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.gallery.registration.storing import forget_displaced, known_photo, store_known_photo, store_new_photo
from faceall.gallery.search import PersonMatch, Query, match_people
from faceall.gallery.store import Store
from faceall.types import Faces, Float32Array
from faceall.video import Track

_TOGETHER = 0.25  # seconds in which two tracks are seen together from which they are two people


@dataclass(frozen=True, eq=False)
class Appearance:
    """One face of a video, from its first to its last frame, and who it is.

    Attributes
    ----------
    path : Path
        The video.
    start, end : float
        The first and the last searched frame that shows the face, in seconds from the start of the video.
    best_frame : float
        The time of the frame that shows it best.
    box : tuple of float
        x0, y0, x1, y1 on that frame, in pixels.
    score : float
        Confidence of the detector in that frame, 0 to 1.
    views : int
        In how many frames the face was found.
    thumbnail : bytes
        The face in that frame, a square JPEG.
    person : str or None
        Who it is; None for an unknown face.
    decision : {"match", "possible", "unknown"} or None
        How certain that is; None if there is no one to compare with, or no threshold.
    distance : float or None
        Squared L2 distance to the nearest face of the nearest person, 0 to 4.
    face_id : int or None
        The id of the face, if it is registered.
    """

    path: Path
    start: float
    end: float
    best_frame: float
    box: tuple[float, float, float, float]
    score: float
    views: int
    thumbnail: bytes
    person: str | None = None
    decision: Decision | None = None
    distance: float | None = None
    face_id: int | None = None


@dataclass(frozen=True, eq=False)
class VideoResult:
    """The result of registering a video: what became of the file, and its faces in order of time."""

    result: PhotoResult
    appearances: tuple[Appearance, ...]


def identify_tracks(context: Context, path: Path, tracks: Sequence[Track]) -> list[Appearance]:
    """Return who the faces of a video are, in order of time.

    Of faces that are seen together at most one is the same person: the nearest one.
    """
    found = [_identified(context, path, track) for track in sorted(tracks, key=lambda track: track.start)]
    named: dict[int, Appearance] = {}
    for number in sorted(range(len(found)), key=lambda number: found[number].distance or 0.0):
        one = found[number]
        rivals = [other for other in named.values() if other.person == one.person and _seen_together(one, other)]
        if one.person is not None and rivals:
            found[number] = replace(one, person=None, decision="unknown")
        elif one.person is not None:
            named[number] = one
    return found


def _seen_together(one: Appearance, other: Appearance) -> bool:
    return min(one.end, other.end) - max(one.start, other.start) > _TOGETHER


def _identified(context: Context, path: Path, track: Track) -> Appearance:
    """Return a track with the nearest person."""
    x0, y0, x1, y1 = track.best.face.box.tolist()
    found = Appearance(
        path, track.start, track.end, track.best.seconds, (x0, y0, x1, y1), float(track.best.face.score), track.views,
        track.thumbnail,
    )  # fmt: skip
    nearest = _nearest_person(context, track)
    if nearest is None:
        return found
    person = nearest.person if nearest.decision in ("match", "possible") else None
    return replace(found, person=person, decision=nearest.decision, distance=nearest.distance)


def _nearest_person(context: Context, track: Track) -> PersonMatch | None:
    if not len(context.store.faces):
        return None
    image = AnalysedImage(track.best.image, Faces.of([track.best.inside]), track.vector[None])
    query = Query(image.image, image.faces, image.vectors, context.match_threshold)
    return next(iter(match_people(context.store, query, 1, None)[0].people), None)


def known_video(context: Context, path: Path) -> tuple[FileInfo, PhotoResult | None]:
    """Return what a video file is, and its result if the gallery has the video already.

    Raises
    ------
    UnreadableImageError
        The file cannot be read.
    """
    try:
        status, digest = os.stat(path), digest_of(path)
    except OSError as error:
        raise UnreadableImageError(str(path), f"cannot be opened ({error.strerror})") from error
    info = FileInfo(path, status.st_size, status.st_mtime_ns, digest)
    known = known_photo(context.store, digest)
    if known is None:
        return info, None
    return info, store_known_photo(context.store, info, None, known, reassign="none")


def register_tracks(context: Context, info: FileInfo, tracks: Sequence[Track], *, limit: float | None) -> VideoResult:
    """Store the faces of a video in one transaction; those that match a person join that person.

    Parameters
    ----------
    context : Context
        The gallery.
    info : FileInfo
        The video.
    tracks : sequence of Track
        Its faces.
    limit : float or None
        Group the faces that match no one into new people, up to this mean squared distance; None leaves them without
        a person.

    Returns
    -------
    VideoResult
    """
    store = context.store
    context.require_same_model()
    tracks = sorted(tracks, key=lambda track: track.start)
    appearances = identify_tracks(context, info.path, tracks)
    analysis = _analysis_of(tracks, appearances, context.analyser.embedder.size)
    with store.changing():
        file = ScannedFile(Candidate(info.path, None), info=info, analysis=analysis)
        result = store_new_photo(store, file, info, strict=False)
        known = store.photos.of(info.digest)
        ids = _ids_by_moment(store, -1 if known is None else known.id)
        appearances = [replace(one, face_id=ids.get((one.best_frame, one.box[0], one.box[1]))) for one in appearances]
        _join(store, appearances)
    forget_displaced(store)
    if limit is not None:
        rows = [row for row, one in enumerate(appearances) if one.decision != "match" and one.face_id is not None]
        vectors = np.array([tracks[row].vector for row in rows], np.float32)
        appearances = _found_people(store, appearances, rows, vectors, limit)
    return VideoResult(replace(result, person=None), tuple(appearances))


def registered_appearances(store: Store, path: Path, digest: bytes, *, limit: float | None) -> list[Appearance]:
    """Return the faces of a registered video, in order of time; `limit` is that of `register_tracks`."""
    known = store.photos.of(digest)
    photos = [] if known is None else store.photos.stored([known.id])
    faces = photos[0].faces if photos else ()
    found = []
    for face in faces:
        moment = face.moment or Moment(0.0, 0.0, 0.0)
        jpeg = store.faces.thumbnail(face.face_id) or b""
        name = face.person if face.named else None
        found.append(
            Appearance(path, moment.first, moment.last, moment.seconds, face.box, face.score, 0, jpeg, name, None, None,
                       face.face_id)
        )  # fmt: skip
    found.sort(key=lambda one: (one.start, one.face_id or 0))
    if limit is None:
        return found
    alone = {face.face_id for face in faces if face.person is None}
    rows = [row for row, one in enumerate(found) if one.face_id in alone]
    ids = [id_ for row in rows if (id_ := found[row].face_id) is not None]
    return _found_people(store, found, rows, store.faces.vectors(ids), limit)


def _analysis_of(tracks: Sequence[Track], appearances: Sequence[Appearance], dimension: int) -> Analysis:
    """Return the faces of a video as a store keeps them."""
    if not tracks:
        return Analysis(width=None, height=None, vectors=np.zeros((0, dimension), np.float32))
    width, height = tracks[0].best.size
    return Analysis(
        width=width,
        height=height,
        faces=Faces.of([track.best.face for track in tracks]),
        thumbnails=tuple(one.thumbnail for one in appearances),
        vectors=np.stack([track.vector for track in tracks]),
        moments=tuple(Moment(track.best.seconds, track.start, track.end) for track in tracks),
    )


def _ids_by_moment(store: Store, photo: int) -> dict[tuple[float, float, float], int]:
    """Return the ids of the faces of a video by time and corner."""
    photos = store.photos.stored([photo])
    faces = photos[0].faces if photos else ()
    return {(face.moment.seconds, face.box[0], face.box[1]): face.face_id for face in faces if face.moment}


def _join(store: Store, appearances: Sequence[Appearance]) -> None:
    """Assign the faces that match a person to that person."""
    for one in appearances:
        if one.decision == "match" and one.person is not None and one.face_id is not None:
            person = store.people.named(one.person)
            if person is not None:
                store.faces.assign([one.face_id], person)


def _found_people(
    store: Store, appearances: list[Appearance], rows: Sequence[int], vectors: Float32Array, limit: float
) -> list[Appearance]:
    """Make people of the faces in some rows, one per group of similar faces; `vectors` are theirs, (rows, D)."""
    if not rows:
        return appearances
    first, second = np.triu_indices(len(rows), 1)
    distances = ((vectors[first] - vectors[second]) ** 2).sum(axis=1).astype(np.float32)
    edges = np.stack([first, second], axis=1).astype(np.int64), distances
    alone = range(len(rows))
    groups = group_faces(vectors, edges, photos=alone, owners=[None] * len(rows), refused={}, limit=limit)
    found = list(appearances)
    with recording(store, "cluster") as details:
        for group in groups:
            members = [rows[member] for member in group.members]
            person = store.people.open_cluster()
            store.faces.assign([face for number in members if (face := found[number].face_id) is not None], person)
            name = store.people.names([person])[person]
            for number in members:
                found[number] = replace(found[number], person=name)
        details["faces"] = len(rows)
    return found
