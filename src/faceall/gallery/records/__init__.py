"""Records of a gallery: photos, faces, people and results, the same for every backend."""

from faceall.gallery.records.faces import Moment, PendingFace, StoredFace
from faceall.gallery.records.people import BinEntry, Change, Person, PersonBrief, PersonDetails, Said
from faceall.gallery.records.photos import (
    Analysis,
    FileInfo,
    KnownPhoto,
    PhotoResult,
    PhotoState,
    PhotoStatus,
    SeenFile,
    StoredPhoto,
    Unusable,
    UpcomingFile,
)
from faceall.gallery.records.sums import GalleryStatistics, GalleryStatus, Page, Removal

__all__ = [
    "Analysis",
    "BinEntry",
    "Change",
    "FileInfo",
    "GalleryStatistics",
    "GalleryStatus",
    "KnownPhoto",
    "Moment",
    "Page",
    "PendingFace",
    "Person",
    "PersonBrief",
    "PersonDetails",
    "PhotoResult",
    "PhotoState",
    "PhotoStatus",
    "Removal",
    "Said",
    "SeenFile",
    "StoredFace",
    "StoredPhoto",
    "Unusable",
    "UpcomingFile",
]
