"""Label the faces of photos with YuNet, the teacher.

    python label.py FOLDER... --yunet yunet_n_dynamic.onnx --labels labels.npz [--judge FOLDER] [--annotations FOLDER]

The teacher sees each photo at two sizes, the larger one enlarged, so that it sees a face better than the student will.
Faces that it is sure of become labels; faces that it is unsure of become regions that count neither as a face nor as
background. Photos that also occur among those of `--judge` (a folder with `images` and `annotations`) are left out,
whole or cut around a face: the confirmation net is judged there. Faces of `--annotations` (NAME.txt of each photo, YOLO
format) that the teacher misses are labels without points.
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
from faceall.detect.boxes import overlaps, suppress
from faceall.errors import FaceallError
from faceall.types import Array, Faces, Image

SURE, UNSURE = 0.75, 0.3
LEAST_SIZE, ENLARGED_BELOW, LARGEST = 320, 900, 1400  # pixels of the longer side
BORDER = 0.25  # of a photo below LEAST_SIZE, which a face may fill
SAME_FACE = 0.4  # overlap of two boxes
SAME, SAME_PHOTO = 0.93, 0.9  # correlation of two faces, or photos, of 16 x 16 gray pixels above which they are one


def main() -> None:
    """Write the labels of all photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--yunet", required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--annotations", type=Path)
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
            if options.annotations:
                found = with_annotated(found, image, options.annotations / f"{path.stem}.txt")
            if judged is not None and is_judged(image, found, judged):
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
    """Find the faces of a photo at two sizes."""
    longer = max(image.shape[:2])
    first = max(min(1.0, LARGEST / longer), LEAST_SIZE / longer)
    scales = [first, 2 * first] if longer * first < ENLARGED_BELOW else [first, first / 2]
    parts = [found_at(teacher, image, scale) for scale in scales]
    boxes, scores, points = (np.concatenate(arrays) for arrays in zip(*map(arrays_of, parts), strict=True))
    kept = suppress(boxes, scores, SAME_FACE)
    return Faces(boxes[kept], scores[kept], points[kept])


def arrays_of(faces: Faces) -> tuple[Array, Array, Array]:
    """Return boxes, scores and landmarks."""
    return faces.boxes, faces.scores, faces.landmarks


def found_at(teacher: SingleShotDetector, image: Image, scale: float) -> Faces:
    """Find the faces of a resized photo; small ones get a border, because faces fill them."""
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)
    margin = int(BORDER * max(resized.shape)) if max(image.shape[:2]) < LEAST_SIZE else 0
    framed = cv2.copyMakeBorder(resized, *(margin,) * 4, cv2.BORDER_REPLICATE)
    found = teacher(np.ascontiguousarray(framed, np.uint8))
    return Faces((found.boxes - margin) / scale, found.scores, (found.landmarks - margin) / scale)


def with_annotated(faces: Faces, image: Image, file: Path) -> Faces:
    """Add the annotated faces that the teacher misses, without points, and trust it where both agree."""
    rows = np.loadtxt(file, ndmin=2, dtype=np.float32)[:, 1:5] * np.tile(image.shape[1::-1], 2).astype(np.float32)
    boxes = np.hstack([rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2]).astype(np.float32)
    shared = overlaps(faces.boxes, boxes)
    scores = np.where((shared > SAME_FACE).any(axis=1), 1, faces.scores).astype(np.float32)
    missed = boxes[~(shared > SAME_FACE).any(axis=0)]
    points = np.full((len(missed), 5, 2), np.nan, np.float32)
    return Faces(
        np.concatenate([faces.boxes, missed]),
        np.concatenate([scores, np.ones(len(missed), np.float32)]),
        np.concatenate([faces.landmarks, points]),
    )


def faces_of_judge(folder: Path) -> tuple[Array, Array]:
    """Return the judge's photos, and their annotated faces at several crops, as unit vectors: (P, 256), (N, 256)."""
    photos, vectors = [], []
    for file in sorted((folder / "annotations").glob("maksssksksss*.xml")):
        image = read_image(folder / "images" / f"{file.stem}.jpg")
        photos.append(unit_vector(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)))
        for box in annotated(file):
            if box[3] - box[1] >= 16:
                vectors += list(thumbnails(image, box))
    return np.stack(photos), np.stack(vectors)


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
            yield unit_vector(patch)


def unit_vector(gray: Array) -> Array:
    """Return an image of any size as a unit vector (256,)."""
    vector = cv2.resize(gray, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    vector -= vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def is_judged(image: Image, faces: Faces, judged: tuple[Array, Array]) -> bool:
    """Return whether a photo, or a photo that one of its faces was cut from, is one of the judge's."""
    photos, vectors = judged
    if float((photos @ unit_vector(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))).max()) > SAME_PHOTO:
        return True
    sizes = (faces.boxes[:, 2:] - faces.boxes[:, :2]).mean(axis=1)
    seen = [list(thumbnails(image, box))[7] for box in faces.boxes[sizes >= 12]]
    return bool(seen) and float((vectors @ np.stack(seen).T).max()) > SAME


if __name__ == "__main__":
    main()
