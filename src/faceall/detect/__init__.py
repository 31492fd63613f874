"""Detect faces in images."""

from faceall.detect.cascade import Cascade
from faceall.detect.detector import Detector, installed_detectors
from faceall.detect.mtcnn import MtcnnDetector
from faceall.detect.single_shot import SingleShotDetector
from faceall.detect.single_shot.installed import install_detector, is_detector_file
from faceall.detect.size_rule import reduction, smallest_face

__all__ = [
    "Cascade",
    "Detector",
    "MtcnnDetector",
    "SingleShotDetector",
    "install_detector",
    "installed_detectors",
    "is_detector_file",
    "reduction",
    "smallest_face",
]
