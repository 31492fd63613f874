"""The metadata of models in Apple's formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from faceall.caffe.net import Net
from faceall.convert.sources.source import MANIFEST_KEY
from faceall.convert.targets.plan import EMBEDDING, IMAGE, is_embedder
from faceall.models import Manifest

AUTHOR = "faceall"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata of a model.

    Attributes
    ----------
    author, licence, description : str
        The entries that Apple's formats know.
    more : mapping of str to str
        Entries of faceall's own.
    features : mapping of str to str
        A sentence for each input and output that is described.
    """

    author: str
    licence: str
    description: str
    more: Mapping[str, str]
    features: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the metadata as plain JSON values."""
        return asdict(self)


def describe(net: Net, manifest: Manifest | None, precision: str, author: str) -> Metadata:
    """Return the metadata of a model, without its features."""
    more: dict[str, str] = {"faceall.precision": precision}
    if manifest is not None:
        more |= {"faceall.source": manifest.source, MANIFEST_KEY: manifest.to_json()}
    licence = manifest.licence if manifest else ""
    return Metadata(author=author, licence=licence, description=_description(net, manifest), more=more)


def describe_features(net: Net, manifest: Manifest | None, input_kind: str, outputs: Sequence[str]) -> dict[str, str]:
    """Return a sentence for each output, and for the input if it is an image."""
    features = dict.fromkeys(outputs, "An output of the net.")
    if is_embedder(net, manifest):
        features[EMBEDDING] = "The face's embedding; compare by squared distance."
    if input_kind == "image":
        features[IMAGE] = "The RGB image as it is; pixels are standardised inside the model."
    return features


def _description(net: Net, manifest: Manifest | None) -> str:
    if manifest is None:
        return f"The net '{net.name}'."
    if manifest.kind == "detector":
        return f"Face detector '{manifest.name}'."
    return f"Face embedder '{manifest.name}': a face becomes a {manifest.embedding_size}-dimensional unit vector."
