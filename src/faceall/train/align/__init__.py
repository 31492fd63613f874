"""Cut the faces out of folders of photos, as training data."""

from faceall.train.align.alignment import Aligner, Alignment, Task
from faceall.train.align.journal import AlignedPhoto, FaceCrop, read_report
from faceall.train.align.options import AlignOptions, read_options

__all__ = [
    "AlignOptions",
    "AlignedPhoto",
    "Aligner",
    "Alignment",
    "FaceCrop",
    "Task",
    "read_options",
    "read_report",
]
