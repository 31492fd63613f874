"""A gallery in a folder: SQLite stores the records and the vectors, hnswlib finds neighbours."""

from faceall.gallery.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
