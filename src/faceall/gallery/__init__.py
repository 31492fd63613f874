"""Galleries: photos, faces and people in one place; register, search, maintain."""

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
