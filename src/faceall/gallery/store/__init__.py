"""The interface between the rules of a gallery and its database.

The layers above decide how photos are registered, who is on an image and how faces are grouped. The backends below
store the records: `faceall.gallery.embedded` (SQLite and hnswlib in a folder) and `faceall.gallery.milvus`.
"""

from faceall.gallery.store.bundles import BundleRecords, GallerySnapshot, StoredChange
from faceall.gallery.store.faces import FaceRecords, Near
from faceall.gallery.store.journal import JournalRecords
from faceall.gallery.store.people import PersonRecords
from faceall.gallery.store.photos import PhotoRecords
from faceall.gallery.store.reembedding import FaceToEmbed, PhotoToEmbed, ReembeddingRecords, StaleFace, StalePhoto
from faceall.gallery.store.store import Store

__all__ = [
    "BundleRecords",
    "FaceRecords",
    "FaceToEmbed",
    "GallerySnapshot",
    "JournalRecords",
    "Near",
    "PersonRecords",
    "PhotoRecords",
    "PhotoToEmbed",
    "ReembeddingRecords",
    "StaleFace",
    "StalePhoto",
    "Store",
    "StoredChange",
]
