"""`Shapes`: people, photos and faces as JSON, without any path of the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faceall.gallery import (
    GalleryMatch,
    MatchThreshold,
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

_TWIN = "nearly the same picture as "  # the note of a registration that names a file
_STATUSES = {"added": "registered", "changed": "registered"}
_WORDS = {
    "unchanged": "is in the gallery already",
    "moved": "is in the gallery already",
    "refiled": "was in the gallery already; now filed under that person",
    "back": "was in the gallery already; its faces are found again",
    "no-face": "no face was found on it",
}


class Shapes:
    """Makes JSON of what a gallery gives; `uploads` knows what pictures were called."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def person(self, person: Person) -> Json:
        """A person with their counts."""
        return {
            **_person(person.id, person.name, person.named),
            "faces": person.faces,
            "photos": person.photos,
            "cover": person.cover,
        }

    def face(self, face: StoredFace) -> Json:
        """A stored face."""
        return {
            "id": face.face_id,
            "person": person_of(face.person_id, face.person, face.named),
            "photo": self.photo_of(face.photo_id, face.path),
            "chief": face.chief,
            **place(face.box, face.landmarks, face.score),
        }

    def photo(self, photo: StoredPhoto) -> Json:
        """A photo with its faces."""
        first = photo.paths[0] if photo.paths else Path()
        return {
            **self.photo_of(photo.photo_id, first),
            "width": photo.width,
            "height": photo.height,
            "faces": [self.face(face) for face in photo.faces],
            "available": self.file_of(photo) is not None,
        }

    def photo_of(self, photo_id: int, path: Path) -> Json:
        """Which photo a face is on."""
        return {"id": photo_id, "name": self._uploads.name_of(path)}

    def names_of(self, paths: Sequence[Path]) -> list[str]:
        """What a photo is called, in every place where it was seen; each name once."""
        return list(dict.fromkeys(map(self._uploads.name_of, paths)))

    def file_of(self, photo: StoredPhoto) -> Path | None:
        """A file that may still hold a photo, None where all have gone."""
        return self.place_of(photo.paths)

    def place_of(self, paths: Sequence[Path]) -> Path | None:
        """The first of some files that is there, as it lies now."""
        for path in paths:
            for place in (self._uploads.place_of(path), path):
                if place is not None and os.path.isfile(place):
                    return place
        return None

    def search_result(self, result: SearchResult) -> Json:
        """One face of a query with the nearest faces."""
        matches = [
            {
                "face": match.face_id,
                "person": person_of(match.person_id, match.person, match.named),
                "photo": self.photo_of(match.photo_id, match.path),
                **_nearness(match),
            }
            for match in result.matches
        ]
        return {**place(result.box, result.landmarks, result.score), "matches": matches}

    def person_result(self, result: PersonResult) -> Json:
        """One face of a query with the nearest people; `faces` holds the nearest face of each."""
        matches = [
            {
                "person": person_of(match.person_id, match.person, match.named),
                "best": round(match.distance, 6),
                "mean": round(match.mean_distance, 6),
                "similarity": round(match.similarity, 6),
                "match": match.matches,
                "count": match.faces,
                "faces": [match.face_id],
            }
            for match in result.people
        ]
        return {**place(result.box, result.landmarks, result.score), "matches": matches}

    def registered(self, name: str, result: PhotoResult, photo: StoredPhoto | None) -> Json:
        """What became of a picture that was registered under a name."""
        message = result.message
        if result.status == "duplicate" and photo is not None:
            message = f"the same picture as {self.names_of(photo.paths)[0]}"
        elif result.status in _WORDS:
            message = _WORDS[result.status]
        faces = [self.face(face) for face in photo.faces] if photo else []
        record: Json = {
            "name": name,
            "status": _STATUSES.get(result.status, result.status),
            "message": message,
            "notes": [self._note(note) for note in result.notes],
            "person": next((face["person"] for face in faces if face["chief"]), None),
            "photo": photo.photo_id if photo and faces else None,
            "width": photo.width if photo else None,
            "height": photo.height if photo else None,
            "faces": faces,
        }
        if result.status in _CODES:
            record["error"] = {"code": _CODES[result.status], "message": message}
        return record

    def _note(self, note: str) -> str:
        """A note of a registration; where it names a file, that is called by its name."""
        if note.startswith(_TWIN):
            return _TWIN + self._uploads.name_of(Path(note.removeprefix(_TWIN)))
        return note


_CODES = {"unreadable": "unsupported_media_type", "too-large": "too_large", "no-face": "unprocessable"}


def person_of(person_id: int | None, name: str | None, named: bool) -> Json | None:
    """Whom a face is filed under; None for nobody."""
    return None if person_id is None or name is None else _person(person_id, name, named)


def place(box: Sequence[float], landmarks: Sequence[Sequence[float]], score: float) -> Json:
    """Where a face is on its photo, in pixels."""
    return {
        "box": [round(value, 2) for value in box],
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in landmarks],
        "score": round(score, 6),
    }


def threshold(judged: MatchThreshold | None) -> Json | None:
    """What matches are judged by."""
    if judged is None:
        return None
    rate = judged.false_accept_rate
    return {"distance": round(judged.distance, 6), "origin": judged.origin, "false_accept_rate": rate}


def _person(person_id: int, name: str, named: bool) -> Json:
    return {"id": person_id, "name": name, "unnamed": not named}


def _nearness(match: GalleryMatch | PersonMatch) -> Json:
    return {
        "distance": round(match.distance, 6),
        "similarity": round(match.similarity, 6),
        "match": match.matches,
    }
