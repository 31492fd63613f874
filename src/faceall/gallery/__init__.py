"""Galleries: photos, faces and people in one place; register, search, maintain."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faceall.analysis import Note
    from faceall.gallery.bundle.export import BundleExport
    from faceall.gallery.bundle.merge import BundleImport
    from faceall.gallery.drafts import open_to_fill
    from faceall.gallery.embedded.maintenance.repair import Repair, repair_gallery
    from faceall.gallery.faces import GalleryFaces
    from faceall.gallery.gallery import Gallery
    from faceall.gallery.index import GalleryIndex
    from faceall.gallery.maintenance.migration import MigratedPhoto, Migration
    from faceall.gallery.maintenance.move import Move, move_gallery
    from faceall.gallery.metadata.tagging import TaggedPhoto
    from faceall.gallery.naming import Candidate, KnownContent, NamesFrom, find_candidates, person_in_name
    from faceall.gallery.opening import as_folder, default_folder, default_place, folder_of, holds_gallery
    from faceall.gallery.people.clustering.agreement import Agreement
    from faceall.gallery.people.clustering.clusters import Cluster, Clustering
    from faceall.gallery.people.clustering.mixed import MixedPerson
    from faceall.gallery.people.history import describe_change
    from faceall.gallery.people.people import GalleryPeople
    from faceall.gallery.people.proposals import NameProposal
    from faceall.gallery.people.questions.suggestions import Suggestion
    from faceall.gallery.people.recording import act_as, acting_as
    from faceall.gallery.photos import GalleryPhotos
    from faceall.gallery.records import (
        BinEntry,
        Change,
        GalleryStatistics,
        GalleryStatus,
        Moment,
        Page,
        Person,
        PersonDetails,
        PhotoResult,
        PhotoStatus,
        Removal,
        StoredFace,
        StoredPhoto,
    )
    from faceall.gallery.registration.batch_analysis import Timings
    from faceall.gallery.registration.folder_names import FolderName
    from faceall.gallery.registration.options import RegistrationOptions
    from faceall.gallery.registration.registration import Registration
    from faceall.gallery.search import GalleryMatch, PersonMatch, PersonResult, SearchResult
    from faceall.gallery.thresholds import Calibration, MatchThreshold, NamedVectors
    from faceall.gallery.videos import Appearance, VideoResult

__all__ = [
    "Agreement",
    "Appearance",
    "BinEntry",
    "BundleExport",
    "BundleImport",
    "Calibration",
    "Candidate",
    "Change",
    "Cluster",
    "Clustering",
    "FolderName",
    "Gallery",
    "GalleryFaces",
    "GalleryIndex",
    "GalleryMatch",
    "GalleryPeople",
    "GalleryPhotos",
    "GalleryStatistics",
    "GalleryStatus",
    "KnownContent",
    "MatchThreshold",
    "MigratedPhoto",
    "Migration",
    "MixedPerson",
    "Moment",
    "Move",
    "NameProposal",
    "NamedVectors",
    "NamesFrom",
    "Note",
    "Page",
    "Person",
    "PersonDetails",
    "PersonMatch",
    "PersonResult",
    "PhotoResult",
    "PhotoStatus",
    "Registration",
    "RegistrationOptions",
    "Removal",
    "Repair",
    "SearchResult",
    "StoredFace",
    "StoredPhoto",
    "Suggestion",
    "TaggedPhoto",
    "Timings",
    "VideoResult",
    "act_as",
    "acting_as",
    "as_folder",
    "default_folder",
    "default_place",
    "describe_change",
    "find_candidates",
    "folder_of",
    "holds_gallery",
    "move_gallery",
    "open_to_fill",
    "person_in_name",
    "repair_gallery",
]

_MODULES = {
    "Agreement": "faceall.gallery.people.clustering.agreement",
    "Appearance": "faceall.gallery.videos",
    "BinEntry": "faceall.gallery.records",
    "BundleExport": "faceall.gallery.bundle.export",
    "BundleImport": "faceall.gallery.bundle.merge",
    "Calibration": "faceall.gallery.thresholds",
    "Candidate": "faceall.gallery.naming",
    "Change": "faceall.gallery.records",
    "Cluster": "faceall.gallery.people.clustering.clusters",
    "Clustering": "faceall.gallery.people.clustering.clusters",
    "FolderName": "faceall.gallery.registration.folder_names",
    "Gallery": "faceall.gallery.gallery",
    "GalleryFaces": "faceall.gallery.faces",
    "GalleryIndex": "faceall.gallery.index",
    "GalleryMatch": "faceall.gallery.search",
    "GalleryPeople": "faceall.gallery.people.people",
    "GalleryPhotos": "faceall.gallery.photos",
    "GalleryStatistics": "faceall.gallery.records",
    "GalleryStatus": "faceall.gallery.records",
    "KnownContent": "faceall.gallery.naming",
    "MatchThreshold": "faceall.gallery.thresholds",
    "MigratedPhoto": "faceall.gallery.maintenance.migration",
    "Migration": "faceall.gallery.maintenance.migration",
    "MixedPerson": "faceall.gallery.people.clustering.mixed",
    "Moment": "faceall.gallery.records",
    "Move": "faceall.gallery.maintenance.move",
    "NameProposal": "faceall.gallery.people.proposals",
    "NamedVectors": "faceall.gallery.thresholds",
    "NamesFrom": "faceall.gallery.naming",
    "Note": "faceall.analysis",
    "Page": "faceall.gallery.records",
    "Person": "faceall.gallery.records",
    "PersonDetails": "faceall.gallery.records",
    "PersonMatch": "faceall.gallery.search",
    "PersonResult": "faceall.gallery.search",
    "PhotoResult": "faceall.gallery.records",
    "PhotoStatus": "faceall.gallery.records",
    "Registration": "faceall.gallery.registration.registration",
    "RegistrationOptions": "faceall.gallery.registration.options",
    "Removal": "faceall.gallery.records",
    "Repair": "faceall.gallery.embedded.maintenance.repair",
    "SearchResult": "faceall.gallery.search",
    "StoredFace": "faceall.gallery.records",
    "StoredPhoto": "faceall.gallery.records",
    "Suggestion": "faceall.gallery.people.questions.suggestions",
    "TaggedPhoto": "faceall.gallery.metadata.tagging",
    "Timings": "faceall.gallery.registration.batch_analysis",
    "VideoResult": "faceall.gallery.videos",
    "act_as": "faceall.gallery.people.recording",
    "acting_as": "faceall.gallery.people.recording",
    "as_folder": "faceall.gallery.opening",
    "default_folder": "faceall.gallery.opening",
    "default_place": "faceall.gallery.opening",
    "describe_change": "faceall.gallery.people.history",
    "find_candidates": "faceall.gallery.naming",
    "folder_of": "faceall.gallery.opening",
    "holds_gallery": "faceall.gallery.opening",
    "move_gallery": "faceall.gallery.maintenance.move",
    "open_to_fill": "faceall.gallery.drafts",
    "person_in_name": "faceall.gallery.naming",
    "repair_gallery": "faceall.gallery.embedded.maintenance.repair",
}


def __getattr__(name: str) -> object:
    """Load a name of `__all__` from its module when it is first used: a search needs few of them."""
    if name not in _MODULES:
        raise AttributeError(f"module 'faceall.gallery' has no attribute '{name}'")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
