"""`Serializer`: people, photos, faces and results as JSON, without paths of the server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faceall.gallery import (
    GalleryMatch,
    MatchThreshold,
    Note,
    Person,
    PersonMatch,
    PersonResult,
    PhotoResult,
    SearchResult,
    StoredFace,
    StoredPhoto,
)
from faceall.web.work.uploads import Uploads

Json = dict[str, Any]

_STATUSES = {"added": "registered", "changed": "registered"}
_WORDS = {
    "unchanged": "already in the gallery",
    "moved": "already in the gallery",
    "reassigned": "already in the gallery; its faces were moved to this person",
    "back": "already in the gallery; its faces were restored",
    "no-face": "no face was found",
}


class Serializer:
    """Makes JSON of a gallery's records.

    Parameters
    ----------
    uploads : Uploads
        Knows the original names of uploaded files.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def person(self, person: Person) -> Json:
        """Return a person with their counts."""
        return {
            **_person(person.id, person.name, person.named),
            "faces": person.faces,
            "photos": person.photos,
            "cover": person.cover,
        }

    def face(self, face: StoredFace) -> Json:
        """Return a registered face."""
        return {
            "id": face.face_id,
            "person": person_of(face.person_id, face.person, face.named),
            "photo": self.photo_of(face.photo_id, face.path),
            "primary": face.primary,
            "hidden": face.hidden,
            "seconds": None if face.moment is None else round(face.moment.seconds, 3),
            **geometry(face.box, face.landmarks, face.score),
        }

    def photo(self, photo: StoredPhoto) -> Json:
        """Return a photo with its faces."""
        first = photo.paths[0] if photo.paths else Path()
        return {
            **self.photo_of(photo.photo_id, first),
            "width": photo.width,
            "height": photo.height,
            "smallest_face": None if photo.smallest_face is None else round(photo.smallest_face, 1),
            "taken": photo.taken,
            "camera": photo.camera,
            "source": photo.source,
            "faces": [self.face(face) for face in photo.faces],
            "available": self.file_of(photo) is not None,
        }

    def photo_of(self, photo_id: int, path: Path) -> Json:
        """Return id and name of a face's photo."""
        return {"id": photo_id, "name": self._uploads.name_of(path)}

    def names_of(self, paths: Sequence[Path]) -> list[str]:
        """Return the names of a photo's files, without duplicates."""
        return list(dict.fromkeys(map(self._uploads.name_of, paths)))

    def file_of(self, photo: StoredPhoto) -> Path | None:
        """Return an existing file of a photo; None if there is none."""
        return self.existing_path(photo.paths)

    def existing_path(self, paths: Sequence[Path]) -> Path | None:
        """Return the first file that exists, uploads in the gallery's present folder; None if there is none."""
        for path in paths:
            for current in (self._uploads.current_path(path), path):
                if current is not None and os.path.isfile(current):
                    return current
        return None

    def search_result(self, result: SearchResult) -> Json:
        """Return one face of a query with the nearest faces."""
        matches = [
            {
                "face": match.face_id,
                "person": person_of(match.person_id, match.person, match.named),
                "photo": self.photo_of(match.photo_id, match.path),
                **_similarity(match),
            }
            for match in result.matches
        ]
        return {**geometry(result.box, result.landmarks, result.score), "notes": _notes(result), "matches": matches}

    def person_result(self, result: PersonResult) -> Json:
        """Return one face of a query with the nearest people; `faces` has the nearest face of each."""
        matches = [
            {
                "person": person_of(match.person_id, match.person, match.named),
                "best": round(match.distance, 6),
                "mean": round(match.mean_distance, 6),
                "similarity": round(match.similarity, 6),
                "match": match.matches,
                "decision": match.decision,
                "judged_distance": _judged(match),
                "count": match.faces,
                "faces": [match.face_id],
            }
            for match in result.people
        ]
        return {**geometry(result.box, result.landmarks, result.score), "notes": _notes(result), "matches": matches}

    def loose_match(self, match: GalleryMatch) -> Json:
        """Return a face without a person among the people of a search."""
        return {
            "person": None,
            "best": round(match.distance, 6),
            "mean": round(match.distance, 6),
            "similarity": round(match.similarity, 6),
            "match": match.matches,
            "decision": match.decision,
            "count": 1,
            "faces": [match.face_id],
        }

    def registered(self, name: str, result: PhotoResult, photo: StoredPhoto | None) -> Json:
        """Return the result of a registered photo."""
        message = result.message
        if result.status == "duplicate" and photo is not None:
            message = f"the same photo as {self.names_of(photo.paths)[0]}"
        elif result.status in _WORDS:
            message = _WORDS[result.status]
        faces = [self.face(face) for face in photo.faces] if photo else []
        record: Json = {
            "name": name,
            "status": _STATUSES.get(result.status, result.status),
            "message": message,
            "notes": [self._note(note) for note in result.notes],
            "person": next((face["person"] for face in faces if face["primary"]), None),
            "photo": photo.photo_id if photo and faces else None,
            "width": photo.width if photo else None,
            "height": photo.height if photo else None,
            "faces": faces,
        }
        if result.status in _CODES:
            record["error"] = {"code": _CODES[result.status], "message": message}
        return record

    def _note(self, note: Note) -> Json:
        """Return a note; a file that it mentions is called by its name, without its folder."""
        name = None if note.path is None else self._uploads.name_of(Path(note.path))
        message = note.text if note.path is None or name is None else note.text.replace(note.path, name)
        return {"kind": note.kind, "message": message, "photo": note.photo_id, "name": name}


_CODES = {"unreadable": "unsupported_media_type", "too-large": "too_large", "no-face": "unprocessable"}


def person_of(person_id: int | None, name: str | None, named: bool) -> Json | None:
    """Return the person of a face; None if it has none."""
    return None if person_id is None or name is None else _person(person_id, name, named)


def geometry(box: Sequence[float], landmarks: Sequence[Sequence[float]], score: float) -> Json:
    """Return box and landmarks of a face, in pixels, and its score."""
    return {
        "box": [round(value, 2) for value in box],
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in landmarks],
        "score": round(score, 6),
    }


def threshold(judged: MatchThreshold | None) -> Json | None:
    """Return the threshold of matches."""
    if judged is None:
        return None
    low, high = judged.interval or (judged.distance, judged.distance)
    return {
        "distance": round(judged.distance, 6),
        "origin": judged.origin,
        "false_accept_rate": judged.false_accept_rate,
        "possible": None if judged.possible is None else round(judged.possible, 6),
        "fpir": judged.fpir,
        "people": judged.people,
        "interval": None if judged.fpir is None else [round(low, 6), round(high, 6)],
    }


def _person(person_id: int, name: str, named: bool) -> Json:
    return {"id": person_id, "name": name, "unnamed": not named}


def _similarity(match: GalleryMatch | PersonMatch) -> Json:
    return {
        "distance": round(match.distance, 6),
        "similarity": round(match.similarity, 6),
        "match": match.matches,
        "decision": match.decision,
        "judged_distance": _judged(match),
    }


def _judged(match: GalleryMatch | PersonMatch) -> float | None:
    """Return the distance that the decision was made on."""
    return None if match.judged_distance is None else round(match.judged_distance, 6)


def _notes(result: SearchResult | PersonResult) -> list[Json]:
    """Return what makes a face of a query hard to recognise."""
    return [{"kind": note.kind, "message": note.text, "photo": None, "name": None} for note in result.notes]
