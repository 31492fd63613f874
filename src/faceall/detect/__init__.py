"""Find faces in pictures."""

from faceall.detect.mtcnn import Detector

__all__ = ["Detector"]
