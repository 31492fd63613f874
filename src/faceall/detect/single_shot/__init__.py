"""Single-shot detectors from ONNX files: YuNet and SCRFD."""

from faceall.detect.single_shot.detector import SingleShotDetector

__all__ = ["SingleShotDetector"]
