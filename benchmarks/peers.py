"""Other libraries: their detectors and embedders, as their documentation uses them; absent ones say why."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from apart import AbsentError, Run

from faceall.types import Image

Find = Callable[[Image], int]

MIN_FACE = 20  # pixels, the smallest face where a peer has the setting


# ------------------------------------------------------------------------------------------------------- detectors


def facenet_pytorch() -> Find:
    """Return facenet-pytorch's MTCNN."""
    offer_torchvision()
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True, min_face_size=MIN_FACE, device="cpu")

    def find(image: Image) -> int:
        boxes, _, _ = detector.detect(image, landmarks=True)
        return 0 if boxes is None else len(boxes)

    return find


def mtcnn() -> Find:
    """Return the package mtcnn (TensorFlow)."""
    _needed("tensorflow")
    from mtcnn import MTCNN

    detector = MTCNN()
    return lambda image: len(detector.detect_faces(image))


def deepface() -> Find:
    """Return deepface with MTCNN, whose weights come with pip; those of its other detectors are downloaded."""
    _needed("tensorflow")
    from deepface import DeepFace

    def find(image: Image) -> int:
        found = DeepFace.extract_faces(
            image[:, :, ::-1], detector_backend="mtcnn", enforce_detection=False, align=False
        )
        return sum(face["confidence"] > 0 for face in found)

    return find


def face_recognition() -> Find:
    """Return face_recognition: histograms of gradients, faces from about 40 pixels, and 68 landmarks."""
    import face_recognition as library

    def find(image: Image) -> int:
        boxes = library.face_locations(image)
        return len(library.face_landmarks(image, boxes))

    return find


def insightface() -> Find:
    """Return insightface's SCRFD of the pack buffalo_l, at 640 x 640 pixels."""
    _needed("insightface")
    if not (Path.home() / ".insightface" / "models" / "buffalo_l").is_dir():
        raise AbsentError("its weights are not in ~/.insightface/models/buffalo_l")
    from insightface.app import FaceAnalysis

    app = FaceAnalysis("buffalo_l", allowed_modules=["detection"], providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(640, 640))
    return lambda image: len(app.get(image[:, :, ::-1]))


DETECTORS: dict[str, Callable[[], Find]] = {
    "facenet-pytorch": facenet_pytorch,
    "mtcnn": mtcnn,
    "deepface (mtcnn)": deepface,
    "face_recognition (HOG)": face_recognition,
    "insightface (SCRFD)": insightface,
}


# ------------------------------------------------------------------------------------------------------- embedders


def facenet_pytorch_embedder(crops: Image) -> Run:
    """Return a run of facenet-pytorch's net, with random weights (its speed does not depend on them), on crops."""
    offer_torchvision()
    import numpy as np
    import torch
    from facenet_pytorch import InceptionResnetV1

    net = InceptionResnetV1(pretrained=None).eval()
    batch = torch.from_numpy(((crops - np.float32(127.5)) / 128).transpose(0, 3, 1, 2).copy())

    def run() -> None:
        with torch.inference_mode():
            net(batch)

    return run


def face_recognition_embedder(crops: Image) -> Run:
    """Return a run of dlib's net of face_recognition on crops (N, H, W, 3)."""
    import face_recognition as library

    side = crops.shape[1]
    whole = [(0, side, side, 0)]
    return lambda: [library.face_encodings(crop, whole) for crop in crops]


# ----------------------------------------------------------------------------------------------------- torchvision


def _needed(package: str) -> None:
    """Raise AbsentError if a package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise AbsentError(f"needs {package}, which is not installed")


def offer_torchvision() -> None:
    """Provide the two functions of torchvision that facenet-pytorch calls, if torchvision is not installed.

    `batched_nms` moves the boxes of different groups apart and suppresses them together, in C++ as torchvision does;
    `to_tensor` turns (H, W, 3) uint8 into (3, H, W) float 0..1.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        _install_stand_in()


def _install_stand_in() -> None:
    names = ("torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms")
    modules: dict[str, Any] = {name: ModuleType(name) for name in (*names, "torchvision.transforms.functional")}
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    modules["torchvision.ops.boxes"].batched_nms = _batched_nms
    modules["torchvision.transforms.functional"].to_tensor = _to_tensor
    sys.modules.update(modules)


def _batched_nms(boxes: Any, scores: Any, groups: Any, limit: float) -> Any:
    """Run greedy suppression within each group with OpenCV; returns indices of the kept boxes, best first."""
    import cv2
    import torch

    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    apart = boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]
    corners = torch.cat([apart[:, :2], apart[:, 2:] - apart[:, :2]], dim=1).double().numpy()
    kept = cv2.dnn.NMSBoxes(corners, scores.float().numpy(), 0.0, limit)
    return torch.as_tensor(kept, dtype=torch.int64)


def _to_tensor(image: Any) -> Any:
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()).float().div(255)
