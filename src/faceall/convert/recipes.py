"""The input that an imported net expects: channel order, scaling of pixels, and alignment of faces.

What was chosen wins; a known file is recognised by its checksum, a known family by the shape of its graph. Every
assumption is reported, and what is still unknown is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from faceall.caffe.net import Net
from faceall.caffe.shapes import infer_shapes
from faceall.convert.options import SourceOptions, StandardisationName
from faceall.models import FACENET_CROP, Alignment, Standardisation
from faceall.models.embedders import ARCFACE_PIXELS, RAW_PIXELS, AlignmentName, KnownEmbedder, recognise_embedder
from faceall.models.manifest import Channels

STANDARDISATIONS: Mapping[StandardisationName, Standardisation] = {
    "fixed": Standardisation(),
    "prewhiten": Standardisation(kind="prewhiten"),
    "none": RAW_PIXELS,
    "arcface": ARCFACE_PIXELS,
    "unit": Standardisation(mean=0.0, scale=1 / 255),
}
"""Name -> how pixels are scaled."""

FORMULAS: Mapping[StandardisationName, str] = {
    "fixed": "(x - 127.5) / 128",
    "prewhiten": "per-image prewhitening",
    "none": "pixels 0..255",
    "arcface": "(x - 127.5) / 127.5",
    "unit": "x / 255",
}
"""Name -> the formula, for messages."""

_NARROW = (96, 112)
"""Width and height of MobileFaceNet's first release: ArcFace's input without 8 pixels on the left and right."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The input of an embedder.

    Attributes
    ----------
    channels : {"RGB", "BGR"}
        The channel order.
    standardisation : Standardisation
        How pixels are scaled.
    alignment : {"arcface", "openvino", "none"}
        How faces are aligned; "none": cropped by their box.
    unknown : tuple of str
        What was neither chosen nor recognised: "channels", "standardisation", "alignment".
    remarks : tuple of str
        What was recognised or assumed, one sentence each.
    known : KnownEmbedder or None
        The known file.
    """

    channels: Channels = "RGB"
    standardisation: Standardisation = Standardisation()  # noqa: RUF009 - frozen
    alignment: AlignmentName = "none"
    unknown: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    known: KnownEmbedder | None = None

    def framing(self, size: tuple[int, int]) -> dict[str, Any]:
        """Return the manifest's fields `crop` and `alignment` for an input of `size` (width, height)."""
        if self.alignment == "none":
            return {"crop": FACENET_CROP, "alignment": None}
        return {"crop": None, "alignment": alignment_of(self.alignment, size)}


@dataclass(frozen=True)
class _Family:
    """A family of embedders: what it is called and the parts of the recipe that all its members share."""

    name: str
    alignment: AlignmentName = "arcface"
    standardisation: StandardisationName | None = None
    channels: Channels | None = None


def assumptions_of(recipe: Recipe) -> dict[str, str]:
    """Return the parts that are assumed without evidence, each with a sentence that names its option."""
    rule: StandardisationName = next(
        (name for name, known in STANDARDISATIONS.items() if known == recipe.standardisation), "fixed"
    )
    values = {"channels": recipe.channels, "standardisation": FORMULAS[rule], "alignment": recipe.alignment}
    return {part: f"unknown file: assumed {part} {values[part]}; override with --{part}" for part in recipe.unknown}


def alignment_of(name: AlignmentName, size: tuple[int, int]) -> Alignment:
    """Return the alignment of a name for an input of `size` (width, height)."""
    if name == "openvino":
        return Alignment(template="openvino-0095")
    plain = Alignment(template="arcface-112")
    if size != _NARROW:
        return plain
    points = tuple(((x * 112 - 8) / 96, y) for x, y in plain.points.tolist())
    return Alignment(template=points)


def recipe_for(digests: Iterable[str], net: Net | None, options: SourceOptions, size: int) -> Recipe:
    """Choose the input of an embedder.

    Parameters
    ----------
    digests : iterable of str
        The SHA-256 of every file that the net was read from.
    net : Net or None
        The net; its one input is (1, 3, H, W). None for a file that cannot be read as a net.
    options : SourceOptions
        What was chosen.
    size : int
        Dimensions of the embedding.

    Returns
    -------
    Recipe
        The input, with remarks and what is unknown.
    """
    known = recognise_embedder(list(digests))
    if known is not None:
        found = _of_known(known)
    elif net is not None:
        found = _of_family(net, size)
    else:
        found = Recipe(alignment="arcface", unknown=("channels", "standardisation", "alignment"))
    chosen: dict[str, Any] = {}
    if options.channels is not None:
        chosen["channels"] = options.channels.upper()
    if options.standardisation is not None:
        chosen["standardisation"] = STANDARDISATIONS[options.standardisation]
    if options.alignment is not None:
        chosen["alignment"] = options.alignment
    unknown = tuple(part for part in found.unknown if part not in chosen)
    changed = [part for part, value in chosen.items() if part not in found.unknown and getattr(found, part) != value]
    remarks = found.remarks
    if changed and (known is not None or found.remarks):
        remarks = (*remarks, f"{' and '.join(changed)} as chosen, which differ from that")
    return replace(found, unknown=unknown, remarks=remarks, **chosen)


def _of_known(known: KnownEmbedder) -> Recipe:
    remark = f"recognised: {known.name} ({known.licence})"
    return Recipe(
        channels=known.channels,
        standardisation=known.standardisation,
        alignment=known.alignment,
        remarks=(remark,),
        known=known,
    )


def _of_family(net: Net, size: int) -> Recipe:
    """Return the recipe of a family; what the family leaves open has the most frequent value and is unknown."""
    ((_, _, height, width),) = net.inputs.values()
    by_net = standardises_itself(net)
    family = _family(net, (width, height), size, by_net)
    remarks, unknown = [], []
    pixels: StandardisationName = "fixed"
    if by_net:
        pixels = "none"
        remarks.append("the net rescales its images itself: pixels are passed as they are")
    elif family is not None and family.standardisation is not None:
        pixels = family.standardisation
    else:
        pixels = "fixed" if family is None else "arcface"
        unknown.append("standardisation")
    if family is None:
        square = (width, height) in ((112, 112), _NARROW)
        return Recipe(
            standardisation=STANDARDISATIONS[pixels],
            alignment="arcface" if square else "none",
            unknown=("channels", *unknown, "alignment"),
            remarks=tuple(remarks),
        )
    parts = [f"alignment {family.alignment}"]
    if family.standardisation is not None and not by_net:
        parts.append(FORMULAS[pixels])
    if family.channels is None:
        unknown.insert(0, "channels")
    else:
        parts.insert(0, family.channels)
    remarks.append(f"the graph looks like {family.name}: assumed {', '.join(parts)}")
    return Recipe(
        channels=family.channels or "RGB",
        standardisation=STANDARDISATIONS[pixels],
        alignment=family.alignment,
        unknown=tuple(unknown),
        remarks=tuple(remarks),
    )


def _family(net: Net, image: tuple[int, int], size: int, by_net: bool) -> _Family | None:
    """Recognise a family by its input, its embedding and its layers."""
    kinds = Counter(layer.type for layer in net.layers)
    deep = _depthwise(net)
    if image == (128, 128) and size == 256 and deep:
        return _Family("face-reidentification-retail-0095", "openvino", "none", "BGR")
    if image not in ((112, 112), _NARROW):
        return None
    if by_net and size == 128 and deep:
        return _Family("SFace", channels="RGB", standardisation="none")
    if deep and kinds["PReLU"]:
        return _Family("MobileFaceNet", standardisation="arcface" if size == 512 else None)
    if size == 512 and kinds["PReLU"] and kinds["Eltwise"] >= 8:
        if _has_strided_shortcut(net):
            return _Family("AdaFace or another IR-net", standardisation="arcface")
        return _Family("insightface's IResNet", standardisation="arcface")
    return None


def _depthwise(net: Net) -> int:
    """Count the depthwise convolutions."""
    shapes = infer_shapes(net)
    return sum(
        layer.type == "ConvolutionDepthwise"
        or (layer.type == "Convolution" and int(layer.option("group")) == shapes[layer.bottoms[0]][1] > 3)
        for layer in net.layers
    )


def _has_strided_shortcut(net: Net) -> bool:
    """Return whether a shortcut is a pool of one pixel, as in the IR-nets of AdaFace."""
    return any(
        layer.type == "Pooling" and not layer.option("global_pooling") and layer.option("kernel_size") in (1, [1])
        for layer in net.layers
    )


def standardises_itself(net: Net) -> bool:
    """Return whether a net scales or shifts its images first, as Keras's Rescaling does."""
    readers = [layer for layer in net.layers if set(layer.bottoms) & set(net.inputs)]
    if len(readers) != 1:
        return False
    (first,) = readers
    if first.type == "Power":
        return first.option("power") == 1 and (first.option("scale"), first.option("shift")) != (1, 0)
    return first.type == "Scale" and len(first.bottoms) == 1
