"""Known model files, recognised by their checksum."""

from __future__ import annotations

from dataclasses import dataclass, field

from faceall.arguments import checked
from faceall.models.preparation import CropRule, Standardisation

_FIXED = Standardisation(kind="fixed", mean=127.5, scale=1 / 128)
_PREWHITEN = Standardisation(kind="prewhiten")
_MIRROR = "https://github.com/faustomorales/keras-facenet/releases/download/v0.3.1/"

_CASIA_512 = (1.03, 1e-3)
"""The match threshold of 20180408-102900 and its false-accept rate, measured on the 50 million pairs of 9,965 images of
CelebA, all counted as pairs of two people. LFW's view 1 has too few pairs to choose such a rate on: none of its 500
pairs of two people is below the threshold, and 94 % of those of one person are."""

FACENET_CROP = CropRule(margin=0.15, shape="stretch", shift=0.0, border="black")
"""FaceNet's own margin is in pixels of the source, so the same face at two sizes gives two vectors; here it is in
proportion to the box. `benchmarks/lfw.py` on the 1,000 pairs of LFW's view 1: the area under the ROC curve is
0.9980, 0.9981, 0.9979, 0.9980 and 0.9979 for margins of 0.1, 0.15, 0.2, 0.25 and 0.3, and 0.9967 for a square."""

FACENET_INPUT_SIZE = (160, 160)
"""Width and height of every FaceNet model's input in pixels; the channel order is RGB."""


@dataclass(frozen=True)
class KnownModel:
    """A published frozen graph (.pb) of FaceNet.

    Attributes
    ----------
    name : str
        The name of the release, a date and a time.
    sha256 : str
        SHA-256 of the .pb.
    zip_sha256 : str or None
        SHA-256 of the published zip; None if there is none.
    embedding_size : int
        Dimensions of the vectors.
    standardisation : Standardisation
        How pixels are scaled.
    trained_on : str
        The training data.
    accuracy : dict of str to float
        Accuracy on LFW, as published.
    match_threshold : float or None
        The largest squared L2 distance of two faces of one person; None if it was not measured.
    match_threshold_false_accept_rate : float or None
        The share of pairs of two people within the threshold.
    """

    name: str
    sha256: str
    zip_sha256: str | None
    embedding_size: int
    standardisation: Standardisation
    trained_on: str
    accuracy: dict[str, float] = field(hash=False)
    match_threshold: float | None = None
    match_threshold_false_accept_rate: float | None = None

    @property
    def model_name(self) -> str:
        """The name of the installed model."""
        return f"facenet-{self.name.split(' ', maxsplit=1)[0]}"

    @property
    def file_name(self) -> str:
        """The name of the published .pb."""
        return f"{self.name.split(' ', maxsplit=1)[0]}.pb"

    @property
    def url(self) -> str | None:
        """The address of the zip; None if it is not published."""
        return None if self.zip_sha256 is None else f"{_MIRROR}{self.name}.zip"

    @property
    def licence(self) -> str:
        """The terms of the weights."""
        return f"code MIT; weights trained on {self.trained_on}, whose terms allow research"


KNOWN_MODELS = (
    KnownModel(
        "20180402-114759",
        "bf2c12f31880aaa865fa5a9c168dcbd619f7a40b1633f6446d416fac2421ab99",
        "669f37d3954b72b53121ff0638ca5bb8b14309bfe4767fe6bd851eee75f1f0de",
        512,
        _FIXED,
        "VGGFace2",
        {"LFW": 0.9965},
    ),
    KnownModel(
        "20180408-102900",
        "272568219fa6505371ceed76dca6b3925ef69b54962709cf76f763e9d8bf4cfb",
        "2a32a4d6b797b0e35e065c674dfa2d60e9eb2372aa10728bd0b221abe12490ac",
        512,
        _FIXED,
        "CASIA-WebFace",
        {"LFW": 0.9905},
        *_CASIA_512,
    ),
    KnownModel(
        "20180408-102900 (rebuilt graph)",
        "93e25a0588a3e6e76a335b0f975c4ecd7003174a0b106e02dd3ca91fc10c1d18",
        None,
        512,
        _FIXED,
        "CASIA-WebFace",
        {"LFW": 0.9905},
        *_CASIA_512,
    ),
    KnownModel(
        "20170512-110547",
        "8bdc3aed34e577113a656b8e5d0274346f8967fa7f0f9d6f3fdcd9608a29b9e4",
        "24a020c3d7794a590d834c4963f8a7c59819b8950a54fcb08e10b2a253ab0a30",
        128,
        _PREWHITEN,
        "MS-Celeb-1M",
        {"LFW": 0.992},
    ),
    KnownModel(
        "20170511-185253",
        "71fb49617aee7b007b66ed1e4474e749212ed9872ff3b47c25ee997c8262baa4",
        "0dd66caa1e9b7a7c91424bca150a66da193c4e626e75bfa50ff406180a09c7e9",
        128,
        _PREWHITEN,
        "CASIA-WebFace",
        {"LFW": 0.987},
    ),
)
"""All known FaceNet files; for each embedding size the recommended one first."""


@checked
def recognise(sha256: str) -> KnownModel | None:
    """Return the known file with a SHA-256 (64 hexadecimal digits), or None."""
    return next((model for model in KNOWN_MODELS if model.sha256 == sha256.lower()), None)


@checked
def recommended(embedding_size: int | None = None) -> KnownModel | None:
    """Return the recommended file for an embedding size (None: any), or None if there is none."""
    return next((model for model in KNOWN_MODELS if embedding_size in (None, model.embedding_size)), None)
