"""What a gallery answers: who is on a picture, how sure that is, and up to which distance faces match."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from faceall.analysis.analyser import Comparison, as_image, compare_pictures
from faceall.errors import FaceallError, ModelNotFoundError
from faceall.gallery.base import GalleryBase
from faceall.gallery.explanation import agreement_of, draw_explanation
from faceall.gallery.people.clusters import LIMIT, PART
from faceall.gallery.people.names import find_person, unknown_face
from faceall.gallery.search import PersonResult, Query, SearchResult, match_faces, match_people
from faceall.gallery.thresholds import (
    Calibration,
    MatchThreshold,
    NamedVectors,
    read_calibration,
    read_named_vectors,
    threshold_in_force,
    write_calibration,
)
from faceall.types import Faces, Float32Array, Image


class Questions(GalleryBase):
    """Searches and thresholds."""

    def search(
        self,
        source: Image | str | os.PathLike[str],
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
    ) -> list[SearchResult]:
        """Who is on a picture: for every face, surest first, the k nearest faces of the gallery.

        source     a path, or pixels (H, W, 3) uint8 RGB
        threshold  the largest distance (squared L2, 0..4) that counts; None: all are given, and `match_threshold`
                   says on which side of it each lies
        people     only faces of these count; None: all faces, those of nobody too
        returns    one result per face; none where there is no face

        Raises ImageError, ModelError, UnknownPersonError, or IndexMismatchError if another model made the gallery.
        """
        return match_faces(self._store, self._ask(source, k, threshold, people), k, threshold)

    def search_people(
        self,
        source: Image | str | os.PathLike[str],
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
    ) -> list[PersonResult]:
        """Who is on a picture: for every face, surest first, the k nearest people; as `search` otherwise."""
        return match_people(self._store, self._ask(source, k, threshold, people), k, threshold)

    def explain(
        self,
        source: Image | str | os.PathLike[str],
        *,
        k: int = 5,
        threshold: float | None = None,
        people: Sequence[str] | None = None,
    ) -> Image:
        """A picture of a search: the query and what was found, with boxes, landmarks, distances and the thresholds.

        It also tells how many of the nearest faces an exact search finds, too.
        returns  (height, width, 3) uint8 RGB

        Raises what `search` raises.
        """
        query = self._ask(source, k, threshold, people)
        results = match_faces(self._store, query, k, threshold)
        every = match_faces(self._store, query, k, None)
        exact: Iterable[Float32Array] = ()
        if len(query.faces):
            exact = self._store.faces.nearest(query.vectors, k, people=query.people, exact=True).distances
        return draw_explanation(
            query.image,
            query.faces,
            results,
            agreements=[agreement_of(quick.matches, row) for quick, row in zip(every, exact, strict=True)],
            face_of=self._face_of,
        )

    def _face_of(self, face_id: int) -> tuple[Faces, bytes]:
        """A stored face, one in its photo, and its thumbnail."""
        found = self._store.faces.stored([face_id]).get(face_id)
        faces = Faces.empty() if found is None else Faces.of([found.as_face()])
        return faces, self.thumbnail(face_id)

    def _ask(
        self,
        source: Image | str | os.PathLike[str],
        k: int,
        threshold: float | None,
        people: Sequence[str] | None,
    ) -> Query:
        """Find the faces of a query and their vectors, and check what is asked of them."""
        if k < 1:
            raise FaceallError(f"k is {k}, expected a whole number from 1")
        if threshold is not None and not 0 <= threshold <= 4:
            raise FaceallError(f"threshold is {threshold:g}, expected a squared distance from 0 to 4")
        wanted = None if people is None else tuple(find_person(self._store, person) for person in people)
        image = as_image(source)
        self._agree()
        faces, vectors = self._analyser.find(image)
        judged = self.match_threshold if threshold is None else MatchThreshold(threshold, None, "given")
        return Query(image, faces, vectors, judged, wanted)

    @property
    def calibration(self) -> Calibration | None:
        """The threshold that was chosen on the gallery's own people, for the model that made its vectors."""
        return read_calibration(self._store)

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        """Store it; None forgets the one that is stored."""
        write_calibration(self._store, calibration)

    @property
    def match_threshold(self) -> MatchThreshold | None:
        """Up to which distance faces match: the gallery's own threshold, else the model's, else None."""
        return threshold_in_force(self.calibration, self._analyser.embedder.model.manifest)

    @property
    def cluster_limit(self) -> float:
        """Up to which mean distance (squared L2, 0..4) `cluster` takes faces for one person, unless told otherwise."""
        try:
            comparable = self.model in (None, self._analyser.model_label)
            judged = self.match_threshold if comparable else None
        except ModelNotFoundError:
            judged = None
        return LIMIT if judged is None else PART * judged.distance

    def named_vectors(self, *, most_people: int, most_faces: int) -> NamedVectors:
        """The vectors of the people who have a name; a sample, the same every time, where there are more of them.

        most_people, most_faces  at most so many people, and so many faces of each
        """
        return read_named_vectors(self._store, most_people=most_people, most_faces=most_faces)

    def compare(
        self, first: Image | str | os.PathLike[str], second: Image | str | os.PathLike[str]
    ) -> Comparison | None:
        """The chief faces of two pictures compared, which need not be in the gallery; None if one shows no face."""
        return compare_pictures(first, second, self._analyser)

    def thumbnail(self, face_id: int) -> bytes:
        """A face as a small JPEG. Raises UnknownFaceError."""
        found = self._store.faces.thumbnail(face_id)
        if found is None:
            raise unknown_face(self._store, face_id)
        return found
