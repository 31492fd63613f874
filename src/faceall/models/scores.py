"""The similarities of two people for models whose manifests do not state them."""

from __future__ import annotations

from faceall.arguments import checked
from faceall.models.known import FACENET_CROP, KNOWN_MODELS
from faceall.models.manifest import Manifest, NonMatedScores

_FACENET = NonMatedScores(mean=0.0085, deviation=0.14797, bend=0.01401, people=300)
_RETAIL = NonMatedScores(mean=0.00424, deviation=0.08155, bend=0.0931, people=300)
_MOBILE_FACE = NonMatedScores(mean=-0.07057, deviation=0.14612, bend=0.0, people=300)

_MEASURED = {
    "c634a15039da60122434de560dc3dde0e7c6fbb1b111b022acdc955c522f9e5d": (256, _RETAIL),
    "dee1f75e5f2bb3e7071d3572fb7d69d52870dd27748162b31e933c6155f90cf8": (256, _MOBILE_FACE),
}
"""By the SHA-256 of the source: the size of the vectors and the scores, measured by `fit_model` on 1,936 photos of 300
people of CelebA's test part: face-reidentification-retail-0095 and MobileFace V2 (becauseofAI)."""


@checked
def known_scores(manifest: Manifest) -> NonMatedScores | None:
    """Return the similarities of two people that the manifest states, or that were measured for its source.

    Parameters
    ----------
    manifest : Manifest
        The manifest of an embedder.

    Returns
    -------
    NonMatedScores or None
        None if they are not known.
    """
    if manifest.non_mated_scores is not None:
        return manifest.non_mated_scores
    size, scores = _MEASURED.get(manifest.source_sha256 or "", (0, None))
    if size == manifest.embedding_size:
        return scores
    return _FACENET if _is_facenet(manifest) else None


def _is_facenet(manifest: Manifest) -> bool:
    """Return whether the vectors are those of 20180408-102900 with the usual crop and pixels."""
    known = next((known for known in KNOWN_MODELS if known.sha256 == manifest.source_sha256), None)
    return (
        known is not None
        and known.name.startswith("20180408-102900")
        and manifest.embedding_size == known.embedding_size
        and manifest.standardisation == known.standardisation
        and manifest.crop == FACENET_CROP
    )
