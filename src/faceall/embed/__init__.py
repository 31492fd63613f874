"""Compute face embeddings (unit vectors)."""

from faceall.embed.embedder import Embedder

__all__ = ["Embedder"]
