"""Galleries in Milvus, on a server or in a file: photos, faces and people are rows of its collections."""

from faceall.gallery.milvus.address import Address
from faceall.gallery.milvus.store import MilvusStore

__all__ = ["Address", "MilvusStore"]
