"""CFP's folders and insightface's packed pairs, made from real photos and evaluated with the included models."""

from __future__ import annotations

import io
import pickle
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

import faceall
from faceall import Detector, Embedder
from faceall.analysis import primary_face
from faceall.evaluate import TemplateDetector, evaluate_pairs, read_cfp, read_packed_pairs
from faceall.images import read_image
from faceall.images.warp import warp
from faceall.models.alignment import TEMPLATES, fit_similarities
from faceall.types import Image

PEOPLE, SPLITS, SIDE = 20, 5, 112


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[tuple[Path, Path]]:
    """Return two photos of each of 20 people."""
    folders = sorted(path for path in (shared / "data" / "lfw-dev").iterdir() if path.is_dir())
    both = [sorted(folder.glob("*.jpg"))[:2] for folder in folders]
    found = [(files[0], files[1]) for files in both if len(files) > 1][:PEOPLE]
    if len(found) < PEOPLE:
        pytest.skip("needs two photos of 20 people in lfw-dev")
    return found


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Return the included detector."""
    return Detector()


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    """Return the included embedder."""
    return Embedder(Path(faceall.__file__).parent / "models" / "bundled" / "faceall-128")


def test_photos_arranged_like_cfp(
    photos: list[tuple[Path, Path]], detector: Detector, embedder: Embedder, tmp_path: Path
) -> None:
    """Real photos in CFP's folders, lists and splits are evaluated in as many folds, and nearly all are told apart."""
    lists, protocol = [], tmp_path / "Protocol"
    for person, files in enumerate(photos, 1):
        folder = tmp_path / "Data" / "Images" / f"{person:03d}" / "frontal"
        folder.mkdir(parents=True)
        for number, file in enumerate(files, 1):
            shutil.copyfile(file, folder / f"{number:02d}.jpg")
            lists.append(f"{len(lists) + 1} ../Data/Images/{person:03d}/frontal/{number:02d}.jpg")
    protocol.mkdir()
    (protocol / "Pair_list_F.txt").write_text("\n".join(lists) + "\n")
    for split in range(SPLITS):
        part = protocol / "Split" / "FF" / f"{split + 1:02d}"
        part.mkdir(parents=True)
        people = range(split * PEOPLE // SPLITS, (split + 1) * PEOPLE // SPLITS)
        (part / "same.txt").write_text("".join(f"{2 * person + 1},{2 * person + 2}\n" for person in people))
        (part / "diff.txt").write_text("".join(f"{2 * person + 1},{(2 * person + 2) % 40 + 2}\n" for person in people))
    found = evaluate_pairs(read_cfp(tmp_path, "FF"), [embedder], detector)
    assert (found.folds, len(found.pairs), found.unusable) == (SPLITS, 2 * PEOPLE, ())
    assert found.results[0].scores["squared_l2"].accuracy >= 0.9


def test_real_photos_packed_like_insightface(
    photos: list[tuple[Path, Path]], detector: Detector, embedder: Embedder, tmp_path: Path
) -> None:
    """Aligned crops of real photos in a `.bin` are read without a detector, and nearly all are told apart."""
    crops = [tuple(aligned(read_image(file), detector) for file in files) for files in photos]
    pairs = [*crops, *((one[0], other[1]) for one, other in pairwise([*crops, crops[0]]))]
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps(([side for pair in pairs for side in pair], [True] * PEOPLE + [False] * PEOPLE)))
    packed = read_packed_pairs(path)
    found = evaluate_pairs(packed.pairs, [embedder], TemplateDetector(), read=packed.read)
    assert (len(found.pairs), found.unusable) == (2 * PEOPLE, ())
    assert found.results[0].scores["squared_l2"].accuracy >= 0.9


def aligned(image: Image, detector: Detector) -> bytes:
    """Return the primary face, aligned to ArcFace's template, as a JPEG."""
    (faces,) = detector.detect_batch([image])
    face = faces[primary_face(faces, image.shape)]
    target = np.array(TEMPLATES["arcface-112"]) * SIDE
    matrix = fit_similarities(face.landmarks[None].astype(np.float64), target)[0]
    buffer = io.BytesIO()
    PillowImage.fromarray(warp(image, matrix, size=(SIDE, SIDE))).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
