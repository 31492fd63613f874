"""Model folders: find, write and verify models, and prepare their input.

A model is a folder with manifest.json and model.prototxt with model.caffemodel (Caffe's formats); an embedder that
these cannot express has model.onnx, or OpenVINO's model.xml with model.bin. Downloads are in
`faceall.models.fetch`, which is imported only when needed.
"""

from faceall.models.alignment import TEMPLATES, Alignment, Similarities, fit_similarities
from faceall.models.detectors import KNOWN_DETECTORS, KnownDetector, recognise_detector
from faceall.models.embedders import KNOWN_EMBEDDERS, KnownEmbedder, recognise_embedder
from faceall.models.folder import ModelFolder, refuse_taken, sha256_of, write_model_folder
from faceall.models.known import FACENET_CROP, FACENET_INPUT_SIZE, KNOWN_MODELS, KnownModel, recognise, recommended
from faceall.models.manifest import (
    CAFFEMODEL,
    EIGHT_BIT,
    MANIFEST,
    ONNX_FILE,
    OPENVINO_FILES,
    PROTOTXT,
    SCHEMA,
    Manifest,
    ModelKind,
    NonMatedScores,
)
from faceall.models.preparation import CropRule, Standardisation
from faceall.models.scores import known_scores
from faceall.models.store import (
    ScannedFolder,
    adopt,
    data_folder,
    find_by_fingerprint,
    find_model,
    installed_models,
    remove,
    scan,
    search_path,
)

__all__ = [
    "CAFFEMODEL",
    "EIGHT_BIT",
    "FACENET_CROP",
    "FACENET_INPUT_SIZE",
    "KNOWN_DETECTORS",
    "KNOWN_EMBEDDERS",
    "KNOWN_MODELS",
    "MANIFEST",
    "ONNX_FILE",
    "OPENVINO_FILES",
    "PROTOTXT",
    "SCHEMA",
    "TEMPLATES",
    "Alignment",
    "CropRule",
    "KnownDetector",
    "KnownEmbedder",
    "KnownModel",
    "Manifest",
    "ModelFolder",
    "ModelKind",
    "NonMatedScores",
    "ScannedFolder",
    "Similarities",
    "Standardisation",
    "adopt",
    "data_folder",
    "find_by_fingerprint",
    "find_model",
    "fit_similarities",
    "installed_models",
    "known_scores",
    "recognise",
    "recognise_detector",
    "recognise_embedder",
    "recommended",
    "refuse_taken",
    "remove",
    "scan",
    "search_path",
    "sha256_of",
    "write_model_folder",
]
