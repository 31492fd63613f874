"""Store vectors by key and find the nearest ones."""

from faceall.index.face_index import FaceIndex
from faceall.index.graph.graph import GraphOptions
from faceall.index.graph.tuning import Tuning
from faceall.index.maintenance.receipt import Receipt

__all__ = ["FaceIndex", "GraphOptions", "Receipt", "Tuning"]
