"""A gallery in a folder: SQLite holds the records beside the vectors, hnswlib finds neighbours."""

from faceall.gallery.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
