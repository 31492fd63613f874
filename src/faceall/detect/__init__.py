"""Detect faces in images."""

from faceall.detect.mtcnn import Detector

__all__ = ["Detector"]
