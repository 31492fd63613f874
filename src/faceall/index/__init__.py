"""Where vectors live and are found again."""

from faceall.index.face_index import FaceIndex
from faceall.index.graph import GraphOptions
from faceall.index.receipt import Receipt
from faceall.index.tuning import Tuning

__all__ = ["FaceIndex", "GraphOptions", "Receipt", "Tuning"]
