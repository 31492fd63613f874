"""`gallery.people`: the people of a gallery."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterable, Iterator

from faceall.arguments import checked_methods
from faceall.errors import FaceallError, ModelNotFoundError
from faceall.gallery.browse import check_page
from faceall.gallery.context import Context
from faceall.gallery.decisions import prior_of
from faceall.gallery.naming import tidy_name
from faceall.gallery.people.clustering.clusters import (
    DEFAULT_LIMIT,
    THRESHOLD_SHARE,
    WRONG_NEIGHBOURS,
    Clustering,
    cluster_faces,
    split,
)
from faceall.gallery.people.clustering.mixed import MixedPerson, find_mixed_people
from faceall.gallery.people.details import Sort, fit_of, hide_people, set_details, sorted_people
from faceall.gallery.people.history import (
    bin_days,
    discard_person,
    erase_from_bin,
    history,
    restore_person,
    set_bin_days,
    undo,
)
from faceall.gallery.people.listing import PageSort, PeopleQuery, list_initials, list_people
from faceall.gallery.people.names import (
    find_person,
    merge_people,
    rename_person,
    similar_name,
    similar_names,
    unname_people,
)
from faceall.gallery.people.questions.answering import answer
from faceall.gallery.people.questions.suggestions import Suggestion, suggest
from faceall.gallery.people.removal import finish_removal, remove_person
from faceall.gallery.people.resemblance import similar_people
from faceall.gallery.records import BinEntry, Change, Page, Person, PersonDetails, Removal, Said
from faceall.gallery.thresholds import NamedVectors, read_named_vectors
from faceall.models import known_scores


@checked_methods
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
        self,
        *,
        text: str | None = None,
        named: bool | None = None,
        hidden: bool = False,
        sort: PageSort = "name",
        limit: int = 100,
        offset: int = 0,
    ) -> Page[Person]:
        """Return a page of people, each with a cover face: people by name, then clusters, largest first.

        Parameters
        ----------
        text : str, optional
            Only people whose name contains this, ignoring case and accents.
        named : bool, optional
            True for people with a name, False for clusters, None for both.
        hidden : bool, default False
            List those who are hidden instead of the others.
        sort : {"name", "photos", "newest"}, default "name"
            By name, by the number of photos, or the last one first.
        limit, offset : int
            The size of the page, and the number of people to skip.

        Returns
        -------
        Page of Person

        Raises
        ------
        FaceallError
            `limit` or `offset` is negative.
        ArgumentError
            The order is unknown.
        """
        check_page(limit, offset)
        with self._store.reading():
            found = list_people(self._store, PeopleQuery(text, named, hidden, sort))
            chosen = self._store.people.stored([person.id for person in found[offset : offset + limit]])
        return Page(tuple(chosen), len(found))

    def ids(self, *, text: str | None = None, named: bool | None = None, hidden: bool = False) -> builtins.list[int]:
        """Return the ids of all people that `page` lists, in order of their names."""
        return [person.id for person in list_people(self._store, PeopleQuery(text, named, hidden))]

    def initials(
        self, *, text: str | None = None, named: bool | None = None, hidden: bool = False
    ) -> builtins.list[tuple[str, int]]:
        """Return the initials of the people that `page` lists by name, with the place (from 0) of the first of each.

        Initials have no case and no accents; names that begin with no letter have "#".
        """
        return list_initials(list_people(self._store, PeopleQuery(text, named, hidden)))

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

    def merge(self, old: str | int | Iterable[str | int], into: str | int) -> int:
        """Assign all faces of one or more people to another person, all given by name or id.

        Returns
        -------
        int
            The number of faces.

        Raises
        ------
        UnknownPersonError
            One of them does not exist.
        FaceallError
            Two of them are the same person; nothing was changed.
        """
        return merge_people(self._store, [old] if isinstance(old, str | int) else old, into)

    def similar_name(self, name: str) -> str | None:
        """Return a person whose name differs from `name` only in case, width, spaces, hyphens or underscores.

        Returns
        -------
        str or None
            The name as the gallery has it; None if there is no such person, or one has exactly this name.
        """
        return similar_name(self._store, name)

    def similar_names(self) -> builtins.list[tuple[str, ...]]:
        """List names that differ only in case, width, spaces, hyphens or underscores, in groups of two or more."""
        return similar_names(self._store)

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

    def mixed(self, *, most: int | None = None, among: Collection[str] | None = None) -> builtins.list[MixedPerson]:
        """Find people whose faces seem to show several people.

        Parameters
        ----------
        most : int, optional
            The number of people to check, those with the most faces first; by default all.
        among : collection of str, optional
            Check only people with these names.

        Returns
        -------
        list of MixedPerson
            Empty if the match threshold is unknown.
        """
        return find_mixed_people(self._context, most, among)

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

    def list(self, *, sort: Sort = "name", hidden: bool = False) -> builtins.list[Person]:
        """List all people who are not hidden.

        Parameters
        ----------
        sort : {"name", "photos", "newest", "fit"}
            By name, most photos, last registered, or people whose faces fit together worst first.
        hidden : bool, default False
            List those who are hidden instead.

        Raises
        ------
        ArgumentError
            The order is unknown.
        """
        return sorted_people(self._store, sort, hidden=hidden)

    def similar(self, person: str | int, *, limit: int = 12) -> builtins.list[tuple[Person, float]]:
        """List the people and groups with the nearest faces, each with the squared distance (0..4), the nearest first.

        Hidden people, and those who are known to be different, are left out.

        Raises
        ------
        UnknownPersonError
            There is no such person.
        """
        check_page(limit, 0)
        return similar_people(self._store, person, limit)

    def fit(self, person: str | int) -> builtins.list[tuple[int, float]]:
        """List the faces of a person with their mean squared distance (0..4) to the others, the worst first.

        Raises
        ------
        UnknownPersonError
            There is no such person.
        """
        with self._store.reading():
            return fit_of(self._store, find_person(self._store, person))

    def hide(self, people: str | int | Iterable[str | int]) -> int:
        """Hide people, by name or id: they are not listed and not suggested, but still found; return how many.

        Raises
        ------
        UnknownPersonError
            One of them does not exist; nothing was changed.
        """
        return hide_people(self._store, [people] if isinstance(people, str | int) else people, hidden=True)

    def show(self, people: str | int | Iterable[str | int]) -> int:
        """Show hidden people again; return how many were hidden."""
        return hide_people(self._store, [people] if isinstance(people, str | int) else people, hidden=False)

    def details(self, person: str | int) -> PersonDetails:
        """Return the note, birth date and cover of a person, and whether the person is hidden."""
        return self._store.people.details(find_person(self._store, person))

    def set_details(
        self, person: str | int, *, note: str | None = None, born: str | None = None, cover: int | None = None
    ) -> PersonDetails:
        """Set details of a person; what is not given stays.

        Parameters
        ----------
        person : str or int
            A name or id.
        note : str, optional
            A text of up to 2,000 characters; "" removes it.
        born : str, optional
            YYYY-MM-DD; "" removes it.
        cover : int, optional
            The id of the face that represents the person; -1 chooses the best one again.

        Raises
        ------
        ArgumentError
            The date is not one, or the note is too long.
        UnknownFaceError
            The cover is not a face of this person.
        UnknownPersonError
            There is no such person.
        """
        return set_details(self._store, person, note=note, born=born, cover=cover)

    def discard(self, person: str | int) -> int:
        """Move a person, by name or id, with all their faces to the bin.

        They are found in no list and no search, until `restore` brings them back. After `bin_days` days, or with
        `erase`, they are erased.

        Returns
        -------
        int
            How many faces that were.

        Raises
        ------
        UnknownPersonError
            There is no such person.
        NotSupportedError
            The gallery is in Milvus, which has no bin.
        """
        return discard_person(self._store, person)

    def bin(self) -> builtins.list[BinEntry]:
        """Return the deleted people in the bin, the last deletion first."""
        return self._store.journal.bin()

    def restore(self, name: str) -> Change:
        """Bring a person back from the bin, with all their faces.

        Returns
        -------
        Change
            The change that did it, which can be undone.

        Raises
        ------
        UnknownPersonError
            No one in the bin has this name.
        UndoError
            Another person has the name now.
        """
        return restore_person(self._store, name)

    def erase(self, names: Iterable[str] | None = None) -> Removal:
        """Erase people in the bin for good, with every change that names them.

        Parameters
        ----------
        names : iterable of str, optional
            Names of the people; by default all people in the bin.

        Returns
        -------
        Removal
            What was erased, with a receipt.

        Raises
        ------
        UnknownPersonError
            No one in the bin has one of the names; nothing was erased.
        """
        return finish_removal(self._store, erase_from_bin(self._store, None if names is None else list(names)))

    @property
    def bin_days(self) -> int | None:
        """How many days the bin keeps deleted people, who are erased when the gallery is opened after that.

        None for a gallery without a bin (in Milvus); setting it raises NotSupportedError there.
        """
        return bin_days(self._store)

    @bin_days.setter
    def bin_days(self, days: int) -> None:
        set_bin_days(self._store, days)

    def history(self, *, limit: int = 100, offset: int = 0) -> Page[Change]:
        """List the changes of people, the last one first.

        Parameters
        ----------
        limit, offset : int
            The size of the page, and how many changes to skip.

        Raises
        ------
        FaceallError
            `limit` or `offset` is negative.
        """
        return history(self._store, limit=limit, offset=offset)

    def undo(self, change: int | None = None) -> Change:
        """Undo a change of people, all or nothing.

        Parameters
        ----------
        change : int, optional
            The number of the change; by default the last one that is not itself an undo. Undoing an undo makes
            the change again.

        Returns
        -------
        Change
            The change that did it.

        Raises
        ------
        UnknownChangeError
            There is no such change.
        UndoError
            There is nothing to undo, or what the change touched was changed again or erased.
        """
        return undo(self._store, change)

    def suggestions(self, *, limit: int = 20) -> builtins.list[Suggestion]:
        """Suggest people, groups and faces that may be the same person, and faces that may belong to someone else.

        Those whose answers correct most faces come first. Hidden people and faces, pairs on one photo, photos from
        before a person's birth, and what was answered before are left out.

        Parameters
        ----------
        limit : int
            How many.
        """
        check_page(limit, 0)
        return suggest(self._store, limit=self._suggestion_limit, most=limit)

    def answer(self, suggestion: str, said: Said) -> None:
        """Answer a suggestion; the answer can be undone, and improves the order of later ones.

        Parameters
        ----------
        suggestion : str
            The id of a suggestion.
        said : {"yes", "no", "skip"}
            Yes merges or assigns, no is remembered for ever, skip moves the question to the end. No to a part of a
            person's faces makes a group of them, or leaves a single one without a person.

        Raises
        ------
        ArgumentError
            The id or the answer is not valid.
        UnknownPersonError, UnknownFaceError
            One of the two was merged, assigned or removed meanwhile.
        """
        answer(self._store, suggestion, said, limit=self._suggestion_limit)

    @property
    def _suggestion_limit(self) -> float:
        """The larger one of the thresholds of searches and of clustering: pairs below it are likely the same person."""
        context, limit = self._context, self.cluster_threshold
        try:
            same_model = self._store.model in (None, context.analyser.model_label)
        except ModelNotFoundError:  # suggestions need stored vectors only
            return limit
        found = context.match_threshold if same_model else None
        return limit if found is None else max(found.distance, limit)

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
        """The default threshold of `cluster`, for a purity of about 0.98.

        It follows from the model's similarities of two people and the number of faces: a face of a person without
        another one finds a wrong neighbour within it in one case of ten. For models without these similarities, and
        after a calibration per comparison, it is a share of the match threshold.
        """
        context = self._context
        try:
            comparable = self._store.model in (None, context.analyser.model_label)
            judged = context.pair_threshold if comparable else None
            manifest = context.analyser.embedder.model.manifest
        except ModelNotFoundError:
            judged, comparable = None, False
        if comparable and known_scores(manifest) is not None and (judged is None or judged.origin == "model"):
            scores = prior_of(manifest)
            assert scores is not None
            limit = scores.threshold(WRONG_NEIGHBOURS, max(len(self._store.faces), 1))
            return limit if judged is None else min(limit, judged.distance)
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
