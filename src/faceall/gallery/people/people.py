"""`gallery.people`: the people of a gallery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from faceall.errors import FaceallError, ModelNotFoundError
from faceall.gallery.browse import check_page
from faceall.gallery.context import Context
from faceall.gallery.people.clusters import DEFAULT_LIMIT, THRESHOLD_SHARE, Clustering, cluster_faces, split
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
        """Iterate over all people, ordered by name."""
        return iter(self._store.people.listed())

    def __repr__(self) -> str:
        return f"<{len(self)} people of {self._store.name}>"

    def page(
        self, *, text: str | None = None, named: bool | None = None, limit: int = 100, offset: int = 0
    ) -> Page[Person]:
        """Return a page of people, ordered by name, each with a cover face.

        Parameters
        ----------
        text : str, optional
            Only people whose name contains this, ignoring case.
        named : bool, optional
            True for people with a name, False for clusters, None for both.
        limit, offset : int
            The size of the page, and the number of people to skip.

        Returns
        -------
        Page of Person

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
            The name is empty, too long or has control characters.
        """
        rename_person(self._store, old, new)

    def merge(self, old: str | int, into: str | int) -> int:
        """Assign all faces of one person to another, both given by name or id.

        Returns
        -------
        int
            The number of faces.

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
            The name of the other person, who is added if new; by default a new cluster.

        Returns
        -------
        str
            The name of the person or cluster that has the faces now.

        Raises
        ------
        UnknownPersonError, UnknownFaceError
            There is no such person or face.
        FaceallError
            A face belongs to someone else, or `to` is the same person. Nothing was changed.
        """
        return split(self._store, person, face_ids, to)

    def unname(self, people: str | int | Iterable[str | int]) -> int:
        """Remove the names of people in one transaction; their faces become unassigned.

        Photos that are registered later from folders with these names get no name either.

        Parameters
        ----------
        people : str, int or iterable of these
            Names or ids.

        Returns
        -------
        int
            The number of faces.

        Raises
        ------
        UnknownPersonError
            One of the people does not exist; nothing was changed.
        """
        return unname_people(self._store, [people] if isinstance(people, str | int) else people)

    def mixed(self, *, most: int | None = None) -> list[MixedPerson]:
        """Find people whose faces seem to show several people.

        Parameters
        ----------
        most : int, optional
            The number of people to check, those with the most faces first; by default all.

        Returns
        -------
        list of MixedPerson
            Empty if the match threshold is unknown.
        """
        return find_mixed_people(self._context, most)

    def remove(self, person: str | int) -> Removal:
        """Remove a person, by name or id, and all their faces permanently.

        Photos without other faces are removed from the gallery too; the files stay and can be registered again.

        Returns
        -------
        Removal
            What was removed, with a receipt.

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
            Also add faces to people who have a name.

        Returns
        -------
        Clustering

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
        """The default threshold of `cluster`: a share of the match threshold."""
        context = self._context
        try:
            comparable = self._store.model in (None, context.analyser.model_label)
            judged = context.pair_threshold if comparable else None
        except ModelNotFoundError:
            judged = None
        return DEFAULT_LIMIT if judged is None else THRESHOLD_SHARE * judged.distance

    def named_vectors(self, *, most_people: int, most_faces: int) -> NamedVectors:
        """Return the vectors of the people who have a name.

        Parameters
        ----------
        most_people, most_faces : int
            The largest number of people, and of faces of each. Larger galleries are sampled reproducibly.

        Returns
        -------
        NamedVectors
        """
        return read_named_vectors(self._store, most_people=most_people, most_faces=most_faces)
