"""Label the faces of photos with YuNet, the teacher.

    python label.py FOLDER... --yunet yunet_n_dynamic.onnx --labels labels.npz [--judge FOLDER]

Small photos are enlarged, so that the teacher sees a face better than the student will. Faces that it is sure of become
labels; faces that it is unsure of become regions that count neither as a face nor as background. Masked faces that also
occur in the photos of `--judge` (a folder with `images` and `annotations`) are left out with their photo: the
confirmation net is judged there.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from faceall import read_image
from faceall.detect import SingleShotDetector, install_detector
from faceall.errors import FaceallError
from faceall.types import Array, Faces, Image

SURE, UNSURE = 0.75, 0.3
LEAST_SIDE, ENLARGED_BELOW = 24, 320  # pixels
BORDER = 0.25
SAME = 0.93  # correlation of two faces of 16 x 16 gray pixels above which they are one photo


def main() -> None:
    """Write the labels of all photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--yunet", required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--limit", type=int, default=3000, help="photos of each folder, chosen at random")
    options = parser.parse_args()
    teacher = make_teacher(options.yunet)
    judged = None if options.judge is None else faces_of_judge(options.judge)
    paths, boxes, points, scores, owners = [], [], [], [], []
    for folder in options.folders:
        print(folder, flush=True)
        left_out = 0
        for path in chosen(folder, options.limit):
            try:
                image = read_image(path)
            except FaceallError:
                continue
            found = labelled(teacher, image)
            if judged is not None and any(same_photo(image, box, judged) for box in found.boxes):
                left_out += 1
                continue
            owners += [len(paths)] * len(found)
            paths.append(str(path))
            boxes.append(found.boxes)
            points.append(found.landmarks)
            scores.append(found.scores)
        print(f"{folder}: {len(paths)} photos so far, {left_out} left out as also in the judge's", flush=True)
    np.savez(
        options.labels,
        paths=np.array(paths),
        boxes=np.concatenate(boxes),
        points=np.concatenate(points),
        scores=np.concatenate(scores),
        owners=np.array(owners),
    )


def make_teacher(file: str) -> SingleShotDetector:
    """Install YuNet in a temporary data folder and load it with a low minimum score."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FACEALL_DATA"] = folder
        return SingleShotDetector(install_detector(Path(file)), min_face=12, min_score=UNSURE)


def chosen(folder: Path, limit: int) -> list[Path]:
    """Return at most `limit` photos of a folder, always the same ones."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    order = np.random.default_rng(0).permutation(len(paths))[:limit]
    return [paths[number] for number in sorted(order)]


def labelled(teacher: SingleShotDetector, image: Image) -> Faces:
    """Find the faces of a photo; small photos are enlarged and get a border, because faces fill them."""
    height, width = image.shape[:2]
    if max(height, width) >= ENLARGED_BELOW:
        return teacher(image)
    scale = ENLARGED_BELOW / max(height, width)
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    margin = int(BORDER * ENLARGED_BELOW)
    framed = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    found = teacher(np.ascontiguousarray(framed, np.uint8))
    return Faces((found.boxes - margin) / scale, found.scores, (found.landmarks - margin) / scale)


def faces_of_judge(folder: Path) -> Array:
    """Return the annotated faces of the judge's photos as unit vectors, each at several crops: (N, 256)."""
    vectors = []
    for file in sorted((folder / "annotations").glob("maksssksksss*.xml")):
        image = read_image(folder / "images" / f"{file.stem}.jpg")
        for box in annotated(file):
            if box[3] - box[1] >= 16:
                vectors += list(thumbnails(image, box))
    return np.stack(vectors)


def annotated(file: Path) -> list[Array]:
    """Read the boxes of an annotation file (Pascal VOC)."""
    corners = ("xmin", "ymin", "xmax", "ymax")
    objects = ElementTree.parse(file).getroot().iter("object")
    return [np.array([float(face.find(f"bndbox/{key}").text) for key in corners]) for face in objects]  # type: ignore


def thumbnails(image: Image, box: Array) -> Iterator[Array]:
    """Yield a face at several crops as unit vectors (256,), which tell photos apart, not people."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    centre, side = (box[:2] + box[2:]) / 2, float(np.mean(box[2:] - box[:2]))
    for factor in (0.8, 0.9, 1.0, 1.1, 1.2):
        for shift in (-0.1, 0.0, 0.1):
            patch = cv2.getRectSubPix(
                gray, (max(4, int(side * factor)),) * 2, (float(centre[0]), float(centre[1] + shift * side))
            )
            vector = cv2.resize(patch, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
            vector -= vector.mean()
            yield vector / max(float(np.linalg.norm(vector)), 1e-6)


def same_photo(image: Image, box: Array, judged: Array) -> bool:
    """Return whether a face is one of the judge's, cut from the same photo."""
    return bool((judged @ list(thumbnails(image, box))[7]).max() > SAME)


if __name__ == "__main__":
    main()
