"""Known detectors of other projects, recognised by their checksums."""

from __future__ import annotations

from dataclasses import dataclass

from faceall.arguments import checked
from faceall.models.published import PublishedModel

_ZOO = "https://media.githubusercontent.com/media/opencv/opencv_zoo/966be4cb6eefc2a4f586ed0581bf4bbaa2533070/models/"


@dataclass(frozen=True, kw_only=True)
class KnownDetector(PublishedModel):
    """A published face detector, of one file."""


KNOWN_DETECTORS = (
    KnownDetector(
        name="yunet",
        files={"face_detection_yunet_2023mar.onnx": "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"},
        licence="MIT (YuNet, OpenCV Zoo)",
        url=f"{_ZOO}face_detection_yunet/",
    ),
    KnownDetector(
        name="yunet",
        files={"yunet_n_dynamic.onnx": "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12"},
        licence="Apache-2.0",
    ),
)
"""All known detectors. Only those with an address are fetched; the others are recognised when they are imported."""


@checked
def recognise_detector(digest: str) -> KnownDetector | None:
    """Return the known detector whose file has a SHA-256 (64 hexadecimal digits), or None."""
    return next((known for known in KNOWN_DETECTORS if digest.lower() in known.files.values()), None)
