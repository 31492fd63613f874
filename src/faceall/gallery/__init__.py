"""Photos, faces and people in one folder: register, search, look after.

This is the one place that knows all stages: read, detect, embed, store.
"""

from faceall.gallery.analysis import THUMBNAIL, Analyser, Comparison, chief_face, compare_pictures
from faceall.gallery.browse import Page, StoredPhoto
from faceall.gallery.bundle import BundleExport
from faceall.gallery.bundle_merge import BundleImport
from faceall.gallery.clusters import Cluster, Clustering
from faceall.gallery.drafts import open_to_fill
from faceall.gallery.gallery import Gallery, default_folder, holds_gallery
from faceall.gallery.looking import Timings
from faceall.gallery.maintenance import GalleryStatistics, Repair, repair_gallery
from faceall.gallery.migrate import MigratedPhoto, Migration
from faceall.gallery.naming import Candidate, find_candidates, person_in_name, person_of
from faceall.gallery.people import GalleryStatus, Person, StoredFace
from faceall.gallery.photos import PhotoResult, PhotoStatus
from faceall.gallery.register import Registration
from faceall.gallery.removal import Removal
from faceall.gallery.search import GalleryMatch, PersonMatch, PersonResult, SearchResult
from faceall.gallery.thresholds import Calibration, MatchThreshold, NamedVectors

__all__ = [
    "THUMBNAIL",
    "Analyser",
    "BundleExport",
    "BundleImport",
    "Calibration",
    "Candidate",
    "Cluster",
    "Clustering",
    "Comparison",
    "Gallery",
    "GalleryMatch",
    "GalleryStatistics",
    "GalleryStatus",
    "MatchThreshold",
    "MigratedPhoto",
    "Migration",
    "NamedVectors",
    "Page",
    "Person",
    "PersonMatch",
    "PersonResult",
    "PhotoResult",
    "PhotoStatus",
    "Registration",
    "Removal",
    "Repair",
    "SearchResult",
    "StoredFace",
    "StoredPhoto",
    "Timings",
    "chief_face",
    "compare_pictures",
    "default_folder",
    "find_candidates",
    "holds_gallery",
    "open_to_fill",
    "person_in_name",
    "person_of",
    "repair_gallery",
]
