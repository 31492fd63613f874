"""Inputs and outputs of faceall's own functions as JSON: the Swift package has to give the same.

    python tests/ios/golden_vectors.py ios_export/FaceAll/Tests/FaceAllCoreTests/Vectors

Arrays of bytes are base64; a number is written in full, so a float32 comes back as it was.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import numpy as np

from faceall import images
from faceall.analysis import notes_on, quality
from faceall.analysis.analyser import primary_face
from faceall.analysis.open_set import (
    StrangerScores,
    comparisons,
    fit_scores,
    nearest_others,
    scores_of_model,
)
from faceall.caffe.engines import CompiledNet
from faceall.detect import Cascade, MtcnnDetector
from faceall.detect.boxes import Overlap, apply_offsets, are_usable, areas, overlaps, place_points, suppress, to_square
from faceall.detect.crops import cut_squares, halvings
from faceall.detect.pyramid import draw_pyramid, plan_pyramid, strips
from faceall.detect.weights import OUTPUT
from faceall.gallery.search import GalleryMatch
from faceall.gallery.search.matching import _decided
from faceall.gallery.thresholds import MatchThreshold
from faceall.models import FACENET_CROP, Alignment, CropRule, Manifest
from faceall.models.manifest import NonMatedScores
from faceall.types import Array, Face, Faces, Float32Array, Image

PORTRAIT = 120
"""The side of the portrait that stands twice, once mirrored, in the picture that faces are found in."""

MIN_FACE, THRESHOLDS = 24, (0.5, 0.4, 0.4)
"""Less sure than usual, so that several boxes are left for each face."""

_SIZES = ((640, 480, 20.0, 0.709), (301, 517, 40.0, 0.709), (160, 160, 40.0, 0.709), (1920, 1080, 40.0, 0.8),
          (33, 12, 12.0, 0.5), (19, 40, 20.0, 0.709), (8, 8, 12.0, 0.709))  # fmt: skip
_RESIZES = ((23, 17), (31, 22), (22, 30), (11, 9), (46, 34), (12, 40), (40, 5), (23, 8), (8, 17), (1, 1), (60, 60))
_RULES = (
    FACENET_CROP,
    CropRule(),
    CropRule(margin=0.15, shape="square", shift=0.1),
    CropRule(margin=0.4, border="clip"),
    CropRule(margin=-0.2, shape="square", border="clip"),
)
_REGIONS = ((3.2, 4.1, 11.7, 12.9), (-4.5, -2.25, 9.0, 8.5), (0, 0, 23, 17), (5, 3, 60, 40.5), (-30, -20, 90, 70),
            (100, 100, 120, 130), (2.5, 1.5, 20.5, 16.5), (-400, -300, 500, 400))  # fmt: skip


def make_vectors(portrait: Image) -> dict[str, dict[str, Any]]:
    """File name -> what stands in it. `portrait` is (512, 512, 3) uint8, a picture with one face."""
    return {
        "boxes.json": box_vectors(),
        "pyramid.json": pyramid_vectors(),
        "scaling.json": scaling_vectors(),
        "crops.json": crop_vectors(),
        "alignment.json": alignment_vectors(),
        "squares.json": square_vectors(),
        "detection.json": detection_vectors(portrait),
        "search.json": search_vectors(),
        "decisions.json": decision_vectors(),
        "quality.json": quality_vectors(),
        "scores-manifest.json": json.loads(scores_manifest().to_json()),
        "manifest.json": json.loads(example_manifest().to_json()),
    }


def write_vectors(folder: Path, portrait: Image) -> None:
    """Write every file of `make_vectors` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in make_vectors(portrait).items():
        (folder / name).write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")


def random_boxes(count: int, seed: int, *, near: bool = False) -> Float32Array:
    """Boxes (count, 4) float32 in a picture of some hundred pixels; `near` ones overlap one another."""
    random = np.random.default_rng(seed)
    corners = random.uniform(40, 90, (count, 2)) if near else random.uniform(-30, 300, (count, 2))
    sides = random.uniform(30, 80, (count, 2))
    return np.hstack([corners, corners + sides]).astype(np.float32)


def smooth_picture(width: int, height: int, seed: int) -> Image:
    """A picture (height, width, 3) uint8 without noise: waves, and an edge."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = [np.sin(x / random.uniform(2, 9) + y / random.uniform(2, 9) + random.uniform(0, 6)) for _ in range(3)]
    picture = 127.5 + 110 * np.stack(waves, axis=2)
    picture[height // 2 :, width // 3 : width // 2] = random.uniform(0, 255, 3)
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def box_vectors() -> dict[str, Any]:
    """Arithmetic on boxes, and who is kept of those that overlap."""
    random = np.random.default_rng(1)
    boxes = random_boxes(40, 2)
    boxes[5, 2] = boxes[5, 0] - 3  # inside out
    boxes[6, 2:] = boxes[6, :2] + np.float32(0.5)
    offsets = random.normal(0, 0.2, (40, 4)).astype(np.float32)
    points = random.uniform(0, 1, (40, 10)).astype(np.float32)
    crowd, scores = random_boxes(60, 3, near=True), random.uniform(0, 1, 60).astype(np.float32)
    scores[10:20] = scores[0]  # equal ones: the first is better
    cases = [
        {"limit": limit, "kind": kind.value, "kept": suppress(crowd, scores, limit, kind).tolist()}
        for kind in Overlap
        for limit in (0.3, 0.5, 0.7)
    ]
    return {
        "boxes": floats(boxes),
        "offsets": floats(offsets),
        "points": floats(points),
        "areas": floats(areas(boxes)),
        "moved": floats(apply_offsets(boxes, offsets)),
        "placed": floats(place_points(boxes, points).reshape(40, 10)),
        "squares": floats(to_square(boxes)),
        "usable": {"width": 250, "height": 200, "are": are_usable(boxes, 250, 200).tolist()},
        "crowd": floats(crowd),
        "scores": floats(scores),
        "overlaps": {kind.value: floats(overlaps(crowd[:8], crowd[:8], kind)) for kind in Overlap},
        "suppressed": cases,
        "chief": {"width": 300, "height": 200, "is": primary_face(_as_faces(boxes[:5]), (200, 300, 3))},
    }


def pyramid_vectors() -> dict[str, Any]:
    """Plans for pictures of several sizes, and one canvas."""
    plans = []
    for width, height, least, factor in _SIZES:
        plan = plan_pyramid(width, height, least, factor)
        plans.append(
            {
                "picture": [width, height],
                "min_face": least,
                "factor": factor,
                "canvas": [plan.width, plan.height],
                "levels": [[level.x, level.y, level.width, level.height] for level in plan.levels],
                "scales": floats(plan.scales),
                "cells": list(plan.owners.shape),
                "owned": [int((plan.owners == number).sum()) for number in range(-1, len(plan.levels))],
                "owner_sums": [int((plan.owners.astype(int) * _places(plan.owners.shape)).sum())],
                "strips": [list(strip) for strip in strips(plan)],
            }
        )
    picture = smooth_picture(97, 75, 4)
    plan = plan_pyramid(97, 75, 20.0, 0.709)
    drawn = draw_pyramid(halvings(picture), plan)
    return {"plans": plans, "drawn": {"picture": pixels(picture), "min_face": 20.0, "canvas": pixels(drawn)}}


def scaling_vectors() -> dict[str, Any]:
    """One picture in several sizes: the bytes are the same everywhere."""
    picture = smooth_picture(23, 17, 5)
    return {
        "picture": pixels(picture),
        "resized": [pixels(images.resize(picture, size)) for size in _RESIZES],
        "halvings": [pixels(half) for half in halvings(smooth_picture(101, 77, 6))],
    }


def crop_vectors() -> dict[str, Any]:
    """Where rules cut, and what a crop looks like."""
    boxes = random_boxes(6, 7)
    rules = [
        {"rule": rule.to_json(), "regions": rule.regions(boxes, image_size=(250, 200)).tolist()} for rule in _RULES
    ]
    picture = smooth_picture(23, 17, 8)
    crops = [
        {"region": list(map(float, region)), "crop": pixels(images.crop(picture, region, size=size))}
        for region in _REGIONS
        for size in ((16, 16), (40, 30))
    ]
    return {"boxes": floats(boxes), "width": 250, "height": 200, "rules": rules, "picture": pixels(picture),
            "crops": crops}  # fmt: skip


def alignment_vectors() -> dict[str, Any]:
    """Return landmarks with their maps to templates, and a picture under these maps."""
    face = np.array([[46.5, 49.75], [67.75, 50.75], [57.0, 63.25], [45.5, 68.5], [67.25, 69.25]])
    box, places = np.array([34.5, 29.5, 77.75, 85.25]), (np.arange(10).reshape(5, 2) % 3) / 8
    free = ((0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.34, 0.75), (0.66, 0.75))
    turned = np.stack([110 - face[:, 0], 115 - face[:, 1]], axis=1)  # upside down
    equal_eyes = face[[0, 0, 2, 3, 4]]
    cases = (
        ("a frontal face", Alignment("arcface-112"), face, box, (40, 40)),
        ("another template", Alignment("openvino-0095"), face, box, (48, 48)),
        ("reduced twofold and more", Alignment("openvino-0095"), face, box, (14, 14)),
        ("reduced eightfold", Alignment("arcface-112", border="replicate"), face, box, (6, 6)),
        ("upside down", Alignment("openvino-0095"), turned, box, (40, 40)),
        ("a free template, not square", Alignment(free), face, box, (40, 48)),
        ("at the edge", Alignment("openvino-0095"), face - [40, 30], box - [40, 30, 40, 30], (40, 40)),
        ("at the edge, replicated", Alignment("openvino-0095", border="replicate"), face - 40, box - 40, (40, 40)),
        ("outside", Alignment("openvino-0095"), face + 900, box + 900, (8, 8)),
        ("outside, replicated", Alignment("openvino-0095", border="replicate"), face + 900, box + 900, (8, 8)),
        ("landmarks nearly equal", Alignment("arcface-112"), 50 + places, box, (40, 40)),
        ("equal eyes", Alignment("arcface-112"), equal_eyes, box, (40, 40)),
        ("no box", Alignment("arcface-112"), face, box[[0, 0, 0, 0]], (8, 8)),
    )
    picture = smooth_picture(97, 89, 5)
    return {"picture": pixels(picture), "cases": [_aligned(picture, *case) for case in cases]}


def _aligned(
    picture: Image, name: str, alignment: Alignment, landmarks: Array, box: Array, size: tuple[int, int]
) -> dict[str, Any]:
    """Return one case of `alignment_vectors`."""
    fit = alignment.fit(landmarks, box, size=size)
    crop = images.warp(picture, fit.matrices[0], size=size, border=alignment.border)
    return {
        "name": name,
        "alignment": alignment.to_json(),
        "size": list(size),
        "landmarks": floats(landmarks),
        "box": floats(box),
        "usable": bool(fit.usable[0]),
        "matrix": floats(fit.matrices[0]),
        "crop": pixels(crop),
    }


def square_vectors() -> dict[str, Any]:
    """Squares that the second and the third net look at."""
    picture = smooth_picture(90, 70, 9)
    squares = [(10, 10, 30), (-8.5, 3.25, 28.75), (0, -20, 110), (60.5, 40, 35), (-700, -700, 1500)]
    boxes = np.array([(x, y, x + side, y + side) for x, y, side in squares], np.float32)
    return {
        "picture": pixels(picture),
        "boxes": floats(boxes),
        "cut": [
            {"size": size, "crops": [pixels(crop) for crop in _rows(cut_squares(halvings(picture), boxes, size))]}
            for size in (24, 48)
        ],
    }


def detection_vectors(portrait: Image) -> dict[str, Any]:
    """A whole detection with what each net said on the way."""
    half = images.crop(portrait, (96, 0, 352, 256), size=(PORTRAIT, PORTRAIT))
    picture = np.ascontiguousarray(np.hstack([half, half[:, ::-1]]))
    detector = MtcnnDetector(
        min_face=MIN_FACE, cascade=Cascade(thresholds=THRESHOLDS, lenient=False), precision="float32"
    )
    spoken: list[tuple[int, Array, Array]] = []
    detector._nets = tuple(
        replace(net, exact=_Recorded(number, net.exact, spoken)) for number, net in enumerate(detector._nets)
    )
    faces = detector(picture)
    if len(faces) != 2:
        raise ValueError(f"the picture shows {len(faces)} faces, expected 2")
    return {
        "picture": pixels(picture),
        "min_face": MIN_FACE,
        "thresholds": list(THRESHOLDS),
        "proposals": [
            {"canvas": pixels(_rows(inputs)[0]), "rows": found.shape[2], "columns": found.shape[3],
             "values": base64.b64encode(found.astype("<f4").tobytes()).decode()}
            for number, inputs, found in spoken if number == 0
        ],
        "refinements": _answers(spoken, 1),
        "finals": _answers(spoken, 2),
        "faces": {"boxes": floats(faces.boxes), "scores": floats(faces.scores),
                  "landmarks": floats(faces.landmarks.reshape(-1, 10))},
    }  # fmt: skip


def search_vectors() -> dict[str, Any]:
    """Unit vectors, and how far they are from queries."""
    random = np.random.default_rng(11)
    vectors, queries = random.normal(size=(30, 16)), random.normal(size=(4, 16))
    vectors, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (vectors, queries))
    stored, asked = vectors.astype(np.float32), queries.astype(np.float32)
    distances = ((asked[:, None].astype(np.float64) - stored[None]) ** 2).sum(axis=2)
    return {
        "vectors": floats(stored),
        "queries": floats(asked),
        "distances": distances.tolist(),
        "nearest": np.argsort(distances, axis=1, kind="stable")[:, :10].tolist(),
    }


def decision_vectors() -> dict[str, Any]:
    """Thresholds for a rate of false positives, and decisions on people with several faces."""
    scores = StrangerScores(0.06, 0.11, 0, 0.05)
    sizes = [(1, 1), (5, 9), (195, 900), (60000, 60000)]
    rates = (0.3, 0.1, 0.01, 0.001)
    vectors, owners = _people_of(12, 5)
    people = np.asarray(owners, np.int64)
    maxima = nearest_others(vectors, people)
    compared = comparisons(12, len(vectors)) * (1 - 1 / 12)
    fitted = fit_scores(maxima, compared, scores)
    small = fit_scores(maxima[:2], compared, scores)
    size = comparisons(12, len(vectors))
    limits = [fitted.cautious_threshold(rate, size) for rate in (0.01, 0.1)]
    threshold = MatchThreshold(limits[0], None, "gallery", possible=limits[1], fpir=0.01, people=12,
                               margin=0.5 * fitted.deviation)  # fmt: skip
    queries = _queries(vectors)
    return {
        "scores": {"mean": scores.mean, "deviation": scores.deviation, "bend": scores.bend},
        "thresholds": [
            {"people": some, "faces": faces, "fpir": rate, "compared": comparisons(some, faces),
             "distance": scores.threshold(rate, comparisons(some, faces)),
             "cautious": scores.cautious_threshold(rate, comparisons(some, faces)),
             "back": scores.fpir(scores.threshold(rate, comparisons(some, faces)), comparisons(some, faces))}
            for some, faces in sizes for rate in rates
        ],
        "pair": {"limit": 1.1, "rate": 1e-3, "deviation": scores_of_model(1.1, 1e-3).deviation},
        "quantiles": [[share, NormalDist().inv_cdf(share)] for share in (1e-12, 1e-5, 0.02, 0.3, 0.5, 0.8, 0.999999)],
        "vectors": floats(vectors),
        "owners": owners,
        "maxima": floats(maxima),
        "compared": compared,
        "fitted": {"mean": fitted.mean, "deviation": fitted.deviation, "bend": fitted.bend},
        "too_few": {"mean": small.mean, "deviation": small.deviation, "bend": small.bend},
        "limits": {"distance": limits[0], "possible": limits[1], "margin": threshold.margin},
        "queries": floats(queries),
        "found": [_found(query, vectors, owners, threshold, poor=False) for query in queries],
        "found_poor": [_found(query, vectors, owners, threshold, poor=True) for query in queries],
        "refused": _found(vectors[4], vectors, owners, threshold, poor=False, refused=4),
        "confirmed": _found(vectors[4], vectors, owners, threshold, poor=True, confirmed=4),
    }  # fmt: skip


def _people_of(count: int, most: int) -> tuple[Float32Array, list[int]]:
    """Unit vectors of so many people with one to `most` faces each, and the person of each."""
    random = np.random.default_rng(21)
    rows, owners = [], []
    for person in range(count):
        centre = random.normal(size=24)
        for _ in range(1 + person % most):
            rows.append(centre + random.normal(scale=0.45, size=24))
            owners.append(person)
    found = np.asarray(rows)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), owners


def _queries(vectors: Float32Array) -> Float32Array:
    """Faces near one person, between two people, and of strangers."""
    random = np.random.default_rng(22)
    near = [vectors[row] + random.normal(scale=0.1, size=24) for row in (0, 4, 9, 20)]
    between = [vectors[0] + vectors[1], vectors[2] + vectors[6], vectors[12] + 0.9 * vectors[25]]
    rows = np.asarray([*near, *between, *random.normal(size=(3, 24))])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _found(
    query: Float32Array,
    vectors: Float32Array,
    owners: list[int],
    threshold: MatchThreshold,
    *,
    poor: bool,
    refused: int | None = None,
    confirmed: int | None = None,
) -> list[dict[str, Any]]:
    """The three best people with the decision on each, by the server's own function.

    A user refused or confirmed that the face of a row shows its person.
    """
    distances = ((query.astype(np.float64) - vectors) ** 2).sum(axis=1).astype(np.float32)
    best: dict[int, int] = {}
    for row in np.argsort(distances, kind="stable").tolist():
        best.setdefault(owners[row], row)
    near = [
        GalleryMatch(str(owner), Path(), float(distances[row]), 0.0, row, person_id=owner + 1)
        for owner, row in best.items()
    ]
    shelf = SimpleNamespace(
        people=SimpleNamespace(
            faces_of=lambda people: {
                person: [row for row, owner in enumerate(owners) if owner + 1 == person] for person in people
            },
            confirmations=lambda rows: {row: {owners[row] + 1} for row in rows if row == confirmed},
            rejections=lambda rows: {row: {owners[row] + 1} for row in rows if row == refused},
        ),
        faces=SimpleNamespace(vectors=lambda rows: vectors[rows]),
    )
    decided = _decided(shelf, query, near, threshold, poor=poor)  # type: ignore[arg-type]
    ranked = sorted(decided, key=lambda match: match.judged_distance or 0.0)[:3]
    return [{"person": match.person, "judged": match.judged_distance, "decision": match.decision} for match in ranked]


def quality_vectors() -> dict[str, Any]:
    """Faces of one picture with what is measured of them, and the remarks."""
    picture = smooth_picture(210, 160, 31)
    boxes = [(40, 30, 150, 140), (100.5, 20.25, 160.75, 90.5), (5, 5, 24, 26), (-20, 40, 60, 130), (150, 90, 260, 200)]
    noses = [0.0, 0.1, 0.2, -0.5, 0.8]
    faces = [_turned(box, nose) for box, nose in zip(boxes, noses, strict=True)]
    return {
        "picture": pixels(picture),
        "faces": [
            {
                "box": floats(face.box), "landmarks": floats(face.landmarks.reshape(-1)), "score": face.score,
                "sharpness": quality.sharpness(picture, face), "turn": quality.turn(face),
                "cut": quality.cut(picture.shape, face), "notes": [note.kind for note in notes_on(picture, face)],
            }
            for face in faces
        ],
    }  # fmt: skip


def _turned(box: tuple[float, ...], nose: float) -> Face:
    """A face whose nose is so many eye distances beside the middle."""
    x0, y0, x1, y1 = box
    across, down = x1 - x0, y1 - y0
    eyes = [(x0 + 0.3 * across, y0 + 0.4 * down), (x0 + 0.7 * across, y0 + 0.45 * down)]
    middle = (x0 + (0.5 + 0.4 * nose) * across, y0 + 0.6 * down)
    mouth = [(x0 + 0.35 * across, y0 + 0.8 * down), (x0 + 0.65 * across, y0 + 0.8 * down)]
    return Face(np.array(box, np.float32), 0.9, np.array([*eyes, middle, *mouth], np.float32))


def scores_manifest() -> Manifest:
    """A manifest with an alignment and the similarities of two people."""
    return Manifest(
        name="aligned-example",
        embedding_size=24,
        input_size=(112, 112),
        alignment=Alignment(),
        channels="BGR",
        input_blob="data",
        output_blob="embeddings",
        match_threshold=1.2,
        match_threshold_false_accept_rate=0.001,
        non_mated_scores=NonMatedScores(mean=0.06, deviation=0.11, bend=0.05, people=300),
        licence="MIT",
        files={"model.prototxt": "0" * 64, "model.caffemodel": "1" * 64},
    )


def example_manifest() -> Manifest:
    """A manifest as an embedder has it."""
    return Manifest(
        name="facenet-example",
        embedding_size=16,
        input_size=(160, 160),
        crop=FACENET_CROP,
        input_blob="data",
        output_blob="embeddings",
        match_threshold=1.05,
        licence="MIT",
        files={"model.prototxt": "0" * 64, "model.caffemodel": "1" * 64},
    )


def floats(array: Array) -> list[Any]:
    """Numbers in full; what is not finite has no place in JSON."""
    if not np.isfinite(array).all():
        raise ValueError("a golden vector holds a number that is not finite")
    return np.asarray(array, np.float64).tolist()


def pixels(picture: Array) -> dict[str, Any]:
    """A picture (H, W, 3) uint8 as JSON."""
    return {
        "width": picture.shape[1],
        "height": picture.shape[0],
        "values": base64.b64encode(picture.tobytes()).decode(),
    }


def read_pixels(values: Mapping[str, Any]) -> Image:
    """The picture that `pixels` wrote."""
    content = np.frombuffer(base64.b64decode(values["values"]), np.uint8)
    return content.reshape(values["height"], values["width"], 3)


def _rows(crops: Float32Array) -> list[Image]:
    """(n, 3, H, W) float32 of whole numbers -> n pictures (H, W, 3) uint8."""
    return [np.ascontiguousarray(crop.transpose(1, 2, 0)).astype(np.uint8) for crop in crops]


def _places(shape: tuple[int, int]) -> Array:
    """A weight for every cell, so that a sum tells their places."""
    return np.arange(shape[0])[:, None] * 31 + np.arange(shape[1])[None] * 17 + 1


def _as_faces(boxes: Float32Array) -> Faces:
    return Faces(boxes, np.ones(len(boxes), np.float32), np.zeros((len(boxes), 5, 2), np.float32))


class _Recorded:
    """A net whose inputs and results are written down."""

    def __init__(self, number: int, net: CompiledNet, spoken: list[tuple[int, Array, Array]]) -> None:
        self.precision = net.precision
        self._number, self._net, self._spoken = number, net, spoken

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        found = self._net(inputs)
        self._spoken.append((self._number, np.array(inputs["data"]), np.array(found[OUTPUT])))
        return found


def _answers(spoken: list[tuple[int, Array, Array]], wanted: int) -> list[dict[str, Any]]:
    """One call of a net a time; crops that are blank only fill up a batch."""
    calls = []
    for number, inputs, found in spoken:
        if number == wanted:
            used = int(inputs.any(axis=(1, 2, 3)).sum())
            calls.append({"crops": [pixels(crop) for crop in _rows(inputs[:used])], "answers": floats(found[:used])})
    return calls


def main() -> None:
    """Write the vectors into the folder that the command line names, from scikit-image's portrait."""
    from skimage import data

    write_vectors(Path(sys.argv[1]), np.asarray(data.astronaut()))


if __name__ == "__main__":
    main()
