"""A gallery in Milvus, on a cluster or in a file: photos, faces and people as rows of its collections."""

from faceall.gallery.milvus.address import Address
from faceall.gallery.milvus.store import MilvusStore

__all__ = ["Address", "MilvusStore"]
