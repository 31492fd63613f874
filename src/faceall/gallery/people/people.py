"""`gallery.people`: the people of a gallery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from faceall.errors import FaceallError, ModelNotFoundError
from faceall.gallery.browse import check_page
from faceall.gallery.context import Context
from faceall.gallery.people.clusters import LIMIT, PART, Clustering, cluster_faces, split
from faceall.gallery.people.mixed import MixedPerson, find_mixed_people
from faceall.gallery.people.names import find_person, merge_people, rename_person, unname_people
from faceall.gallery.people.removal import finish_removal, remove_person
from faceall.gallery.records import Page, Person, Removal
from faceall.gallery.registration.naming import tidy_name
from faceall.gallery.thresholds import NamedVectors, read_named_vectors


class GalleryPeople:
    """The people of a gallery: list, rename, merge, split, cluster, remove. Use it as `gallery.people`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def __len__(self) -> int:
        return len(self._store.people.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._store.people.named(tidy_name(name)) is not None

    def __iter__(self) -> Iterator[Person]:
        """Iterate over everybody, ordered by name."""
        return iter(self._store.people.listed())

    def __repr__(self) -> str:
        return f"<{len(self)} people of {self._store.name}>"

    def page(
        self, *, text: str | None = None, named: bool | None = None, limit: int = 100, offset: int = 0
    ) -> Page[Person]:
        """List some people by name, each with the face that shows them best.

        Parameters
        ----------
        text : str, optional
            Only people whose name contains this, ignoring case.
        named : bool, optional
            True for people with a name, False for clusters, None for both.
        limit, offset : int
            The size of the page, and how many people to skip.

        Raises
        ------
        FaceallError
            `limit` or `offset` is negative.
        """
        check_page(limit, offset)
        return self._store.people.page(text=text, named=named, limit=limit, offset=offset)

    def get(self, person: str | int) -> Person:
        """Return a person by name or id.

        Raises
        ------
        UnknownPersonError
            There is no such person.
        """
        return self._store.people.stored([find_person(self._store, person)])[0]

    def rename(self, old: str | int, new: str) -> None:
        """Give a person, by name or id, another name.

        Raises
        ------
        UnknownPersonError
            There is no such person.
        NameTakenError
            Another person has that name.
        FaceallError
            The name is empty, too long or holds control characters.
        """
        rename_person(self._store, old, new)

    def merge(self, old: str | int, into: str | int) -> int:
        """Assign all faces of one person to another, both by name or id.

        Returns
        -------
        int
            How many faces that were.

        Raises
        ------
        UnknownPersonError
            One of them does not exist.
        FaceallError
            Both are the same person.
        """
        return merge_people(self._store, old, into)

    def split(self, person: str | int, face_ids: Iterable[int], *, to: str | None = None) -> str:
        """Move faces of one person to another person or to a new cluster.

        Parameters
        ----------
        person : str or int
            The name or id of the person who has the faces.
        face_ids : iterable of int
            The faces to move.
        to : str, optional
            The person they belong to, new or known; by default a new cluster.

        Returns
        -------
        str
            The name of the person or cluster that has the faces now.

        Raises
        ------
        UnknownPersonError, UnknownFaceError
            There is no such person or face.
        FaceallError
            A face belongs to somebody else. Nothing was changed.
        """
        return split(self._store, person, face_ids, to)

    def unname(self, people: str | int | Iterable[str | int]) -> int:
        """Take the names of people off, all or none; their faces stay in the gallery, unassigned.

        New photos of folders with these names are left unnamed, too.

        Parameters
        ----------
        people : str, int or iterable of these
            Names or ids.

        Returns
        -------
        int
            How many faces that were.

        Raises
        ------
        UnknownPersonError
            One of the people does not exist; nothing was changed.
        """
        return unname_people(self._store, [people] if isinstance(people, str | int) else people)

    def mixed(self, *, most: int | None = None) -> list[MixedPerson]:
        """Find the people whose faces plainly are several people.

        Parameters
        ----------
        most : int, optional
            Check only so many people, those with the most faces; by default all.

        Returns
        -------
        list of MixedPerson
            Empty if the match threshold is unknown.
        """
        return find_mixed_people(self._context, most)

    def remove(self, person: str | int) -> Removal:
        """Remove a person, by name or id, with all their faces for good.

        Photos that are left without a face are forgotten too; registering them again brings them back.

        Raises
        ------
        UnknownPersonError
            There is no such person.
        """
        return finish_removal(self._store, remove_person(self._store, person))

    def cluster(self, *, threshold: float | None = None, known: bool = False) -> Clustering:
        """Group the unassigned faces by person.

        A group is a person called "unnamed 12" until `rename` gives it a name. Later runs add new faces to groups and
        open new groups; they never split or join groups. Two faces of one photo are never the same person.

        Parameters
        ----------
        threshold : float, optional
            The largest mean distance (squared L2, 0..4) between faces of one person; by default `cluster_threshold`.
        known : bool, default False
            Let faces join people who have a name, too.

        Raises
        ------
        FaceallError
            The threshold is out of range.
        """
        limit = self.cluster_threshold if threshold is None else threshold
        if not 0 < limit <= 4:
            raise FaceallError(f"threshold is {limit:g}, expected a squared distance above 0, up to 4")
        return cluster_faces(self._store, limit=limit, known=known)

    @property
    def cluster_threshold(self) -> float:
        """The default threshold of `cluster`: a share of the distance up to which two faces match."""
        context = self._context
        try:
            comparable = self._store.model in (None, context.analyser.model_label)
            judged = context.pair_threshold if comparable else None
        except ModelNotFoundError:
            judged = None
        return LIMIT if judged is None else PART * judged.distance

    def named_vectors(self, *, most_people: int, most_faces: int) -> NamedVectors:
        """Return the vectors of the people who have a name.

        Parameters
        ----------
        most_people, most_faces : int
            At most so many people, and so many faces of each; larger galleries are sampled, always in the same way.
        """
        return read_named_vectors(self._store, most_people=most_people, most_faces=most_faces)
