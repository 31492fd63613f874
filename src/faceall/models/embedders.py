"""Known embedders of other projects, recognised by their checksums, with the input that each expects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from faceall.arguments import checked
from faceall.models.preparation import Standardisation
from faceall.models.published import PublishedModel

AlignmentName = Literal["arcface", "openvino", "none"]

ARCFACE_PIXELS = Standardisation(mean=127.5, scale=1 / 127.5)
"""(x - 127.5) / 127.5, as ArcFace and most embedders since were trained."""

RAW_PIXELS = Standardisation(mean=0.0, scale=1.0)
"""Pixels 0..255, for nets that scale their input themselves."""

_RESEARCH = "code MIT; weights for non-commercial research only (InsightFace), trained on WebFace600K"
_OPENVINO = "https://storage.openvinotoolkit.org/repositories/open_model_zoo/2023.0/models_bin/1/"


@dataclass(frozen=True, kw_only=True)
class KnownEmbedder(PublishedModel):
    """A published embedder, with the input that it expects.

    Attributes
    ----------
    channels : {"RGB", "BGR"}
        The channel order of the input.
    standardisation : Standardisation
        How pixels are scaled.
    alignment : {"arcface", "openvino", "none"}
        How faces are aligned.
    """

    channels: Literal["RGB", "BGR"] = "RGB"
    standardisation: Standardisation = ARCFACE_PIXELS
    alignment: AlignmentName = "arcface"


KNOWN_EMBEDDERS = (
    KnownEmbedder(
        name="face-reidentification-retail-0095",
        files={
            "face-reidentification-retail-0095.xml": "ce53d2c9c08c0bd1c1660fb8a5b6d0e3e4ec19eb92f1036d2d83a85e83082dce",
            "face-reidentification-retail-0095.bin": "241229ca3d206321868d46ce74a3c0b06c49cea58db7dc70b2e842ff287545d1",
        },
        channels="BGR",
        standardisation=RAW_PIXELS,
        alignment="openvino",
        licence="Apache-2.0 (Intel, Open Model Zoo); its training used VGGFace2, whose terms allow research",
        url=f"{_OPENVINO}face-reidentification-retail-0095/FP16/",
    ),
    KnownEmbedder(
        name="w600k-r50",
        files={"w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"},
        licence=_RESEARCH,
    ),
    KnownEmbedder(
        name="w600k-mbf",
        files={"w600k_mbf.onnx": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"},
        licence=_RESEARCH,
    ),
    KnownEmbedder(
        name="sface-2021dec",
        files={
            "face_recognition_sface_2021dec.onnx": "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
        },
        standardisation=RAW_PIXELS,
        licence="Apache-2.0 (SFace, OpenCV Zoo)",
    ),
    KnownEmbedder(
        name="auraface-v1",
        files={"glintr100.onnx": "a7933ea5330113b01c9b60351d8f4c33003f145d8470ac5f0e52ee2effe25c60"},
        licence="Apache-2.0 (AuraFace, fal)",
    ),
)
"""All known embedders. Only those with an address are fetched; the others are recognised when they are imported."""


@checked
def recognise_embedder(digests: Collection[str]) -> KnownEmbedder | None:
    """Return the known embedder whose weights are among some files.

    Parameters
    ----------
    digests : collection of str
        The SHA-256 of every file of a source.

    Returns
    -------
    KnownEmbedder or None
        The embedder all of whose files are among them.
    """
    found = {digest.lower() for digest in digests}
    return next((known for known in KNOWN_EMBEDDERS if set(known.files.values()) <= found), None)
