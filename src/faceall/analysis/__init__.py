"""Analyse images: detector and embedder together, primary face, quality notes."""

from faceall.analysis.analyser import (
    THUMBNAIL,
    THUMBNAIL_MARGIN,
    AnalysedImage,
    Analyser,
    Comparison,
    Crops,
    FaceDetector,
    FaceEmbedder,
    compare_images,
    known_label,
    label_of,
    make_thumbnail,
    primary_face,
)
from faceall.analysis.quality import Note, notes_on
from faceall.images import as_image

__all__ = [
    "THUMBNAIL",
    "THUMBNAIL_MARGIN",
    "AnalysedImage",
    "Analyser",
    "Comparison",
    "Crops",
    "FaceDetector",
    "FaceEmbedder",
    "Note",
    "as_image",
    "compare_images",
    "known_label",
    "label_of",
    "make_thumbnail",
    "notes_on",
    "primary_face",
]
