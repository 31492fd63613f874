"""Install models: convert a file, determine the input it expects, verify it, and put it among the installed models."""

from faceall.install.faces import PeopleFaces, bundled_faces, read_people
from faceall.install.importing import Imported, import_model
from faceall.install.probing import ProbeReport, ProbeRow, probe

__all__ = [
    "Imported",
    "PeopleFaces",
    "ProbeReport",
    "ProbeRow",
    "bundled_faces",
    "import_model",
    "probe",
    "read_people",
]
