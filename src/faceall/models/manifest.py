"""The description of a model, stored as manifest.json."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

from faceall.errors import ModelError
from faceall.models.alignment import Alignment
from faceall.models.preparation import CropRule, Standardisation

SCHEMA = 4
"""The newest schema version of manifest.json. Version 2 adds `alignment`, version 3 `non_mated_scores`, version 4
embedders in other formats than Caffe's. A manifest is written in the oldest version that has what it needs, which older
releases can read."""

MANIFEST = "manifest.json"
PROTOTXT = "model.prototxt"
CAFFEMODEL = "model.caffemodel"
ONNX_FILE = "model.onnx"
OPENVINO_FILES = ("model.xml", "model.bin")
"""The files of an embedder that Caffe's formats cannot express: ONNX, or OpenVINO's layers and weights."""
EIGHT_BIT = "eight-bit.json"
"""The layers that can be computed in 8 bits; absent if they were not measured."""

ModelKind = Literal["embedder", "detector"]
Channels = Literal["RGB", "BGR"]

_LATER_FIELDS = {"match_threshold_false_accept_rate": None, "alignment": None, "non_mated_scores": None}
"""Fields that older files do not have, with their values."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class NonMatedScores:
    """The upper tail of the cosine similarities of two people, from which the thresholds of searches follow.

    Its quantile is `mean + deviation * (x + bend * x**2)` where x > 0 is that of the standard normal distribution.

    Attributes
    ----------
    mean, deviation, bend : float
        The parameters; deviation above 0, bend from 0 (a normal tail).
    people : int
        Number of people it was measured on.
    """

    mean: float
    deviation: float
    bend: float
    people: int

    def __post_init__(self) -> None:
        _check(_is_number(self.mean) and -1 < self.mean < 1, "non_mated_scores.mean", self.mean, "-1..1")
        fits = _is_number(self.deviation) and 0 < self.deviation < 1
        _check(fits, "non_mated_scores.deviation", self.deviation, "above 0, below 1")
        _check(_is_number(self.bend) and 0 <= self.bend < 1, "non_mated_scores.bend", self.bend, "0..1")
        _check(_is_count(self.people), "non_mated_scores.people", self.people, "a whole number above 0")

    def to_json(self) -> dict[str, float]:
        """Return JSON values."""
        return asdict(self)


Part = TypeVar("Part", Standardisation, CropRule, Alignment, NonMatedScores)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A model's description, with everything that the net's input needs.

    Attributes
    ----------
    name : str
        The model's name and its folder's: letters, digits, dot, dash, underscore.
    kind : {"embedder", "detector"}
        What the model does.
    embedding_size : int or None
        Dimensions of an embedder's vectors; None for a detector.
    input_size : tuple of int
        Width and height of the input in pixels.
    channels : {"RGB", "BGR"}
        The channel order of the input.
    standardisation : Standardisation
        How pixels are scaled.
    crop : CropRule or None
        Which region around a detected box the net sees; None if there is an alignment.
    alignment : Alignment or None
        How faces are aligned by their landmarks; None if there is a crop rule. Without either, the default crop rule
        applies.
    input_blob, output_blob : str
        Names of the net's input and output.
    match_threshold : float or None
        The largest squared L2 distance of two faces of one person; None if it was not calibrated.
    match_threshold_false_accept_rate : float or None
        The share of pairs of two people within the threshold; None if unknown. Older files do not have this field.
    non_mated_scores : NonMatedScores or None
        The similarities of two people, measured on many; None if unknown. Older files do not have this field.
    source : str
        The file or address that the model was made from.
    source_sha256 : str or None
        The SHA-256 of that file, 64 hexadecimal digits; None if unknown.
    licence : str
        The terms of the weights.
    accuracy : mapping of str to float
        Measured accuracy by the name of the test.
    files : mapping of str to str
        File name -> SHA-256; set when a folder is written.

    Raises
    ------
    ModelError
        If a field is wrong; the message names the field, its value and what was expected.
    """

    name: str
    kind: ModelKind = "embedder"
    embedding_size: int | None = None
    input_size: tuple[int, int]
    channels: Channels = "RGB"
    standardisation: Standardisation = Standardisation()  # noqa: RUF009 - frozen
    crop: CropRule | None = None
    alignment: Alignment | None = None
    input_blob: str
    output_blob: str
    match_threshold: float | None = None
    match_threshold_false_accept_rate: float | None = None
    non_mated_scores: NonMatedScores | None = None
    source: str = ""
    source_sha256: str | None = None
    licence: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self._is_name(self.name), "name", self.name, "letters, digits, '.', '-' or '_'")
        _check(self.kind in get_args(ModelKind), "kind", self.kind, f"one of {', '.join(get_args(ModelKind))}")
        _check(self.channels in get_args(Channels), "channels", self.channels, "RGB or BGR")
        if self.kind == "embedder":
            _check(_is_count(self.embedding_size), "embedding_size", self.embedding_size, "a whole number above 0")
        else:
            _check(self.embedding_size is None, "embedding_size", self.embedding_size, "null for a detector")
        self._check_input()
        self._check_parts()
        self._check_source()
        self._check_files()

    @staticmethod
    def _is_name(name: object) -> bool:
        return isinstance(name, str) and _NAME.fullmatch(name) is not None

    def _check_input(self) -> None:
        size = self.input_size
        fits = isinstance(size, tuple | list) and len(size) == 2 and all(map(_is_count, size))
        _check(fits, "input_size", size, "a width and a height above 0")
        object.__setattr__(self, "input_size", tuple(size))
        for name in ("input_blob", "output_blob"):
            blob = getattr(self, name)
            _check(isinstance(blob, str) and blob != "", name, blob, "the name of a blob")

    def _check_parts(self) -> None:
        _check(isinstance(self.standardisation, Standardisation), "standardisation", self.standardisation, "an object")
        if self.crop is None and self.alignment is None:
            object.__setattr__(self, "crop", CropRule())
        if self.crop is not None and self.alignment is not None:
            raise ModelError("fields 'crop' and 'alignment' are both given, expected one of them, null for the other")
        _check(self.crop is None or isinstance(self.crop, CropRule), "crop", self.crop, "an object or null")
        fits = self.alignment is None or isinstance(self.alignment, Alignment)
        _check(fits, "alignment", self.alignment, "an object or null")
        fits = self.non_mated_scores is None or isinstance(self.non_mated_scores, NonMatedScores)
        _check(fits, "non_mated_scores", self.non_mated_scores, "an object or null")

    def _check_source(self) -> None:
        for name in ("source", "licence"):
            _check(isinstance(getattr(self, name), str), name, getattr(self, name), "a text")
        limit, digest = self.match_threshold, self.source_sha256
        _check(limit is None or (_is_number(limit) and 0 < limit <= 4), "match_threshold", limit, "null or 0..4")
        rate = self.match_threshold_false_accept_rate
        fits = rate is None or (_is_number(rate) and 0 < rate < 1 and limit is not None)
        _check(fits, "match_threshold_false_accept_rate", rate, "null, or 0..1 beside a match_threshold")
        _check(digest is None or _is_sha256(digest), "source_sha256", digest, "null or 64 hexadecimal digits")
        fits = isinstance(self.accuracy, Mapping) and all(map(_is_number, self.accuracy.values()))
        _check(fits, "accuracy", self.accuracy, "an object of numbers")

    def _check_files(self) -> None:
        _check(isinstance(self.files, Mapping), "files", self.files, "an object of file names and SHA-256")
        for name, digest in self.files.items():
            _check(self._is_name(name) and name != MANIFEST, "files", name, "plain names of files beside the manifest")
            _check(_is_sha256(digest), f"files.{name}", digest, "64 hexadecimal digits")

    @property
    def framing(self) -> CropRule | Alignment:
        """The alignment, or the crop rule of a model without one."""
        return self.alignment or self.crop or CropRule()

    @property
    def net_file(self) -> str | None:
        """The name of the file that holds an embedder in another format than Caffe's; None for Caffe's."""
        if self.kind != "embedder" or PROTOTXT in self.files:
            return None
        return next((name for name in (ONNX_FILE, OPENVINO_FILES[0]) if name in self.files), None)

    def to_json(self) -> str:
        """Return the text of manifest.json; `from_json` is the inverse."""
        older = 1 if self.alignment is None else 2
        older = older if self.non_mated_scores is None else 3
        values: dict[str, Any] = {"schema": older if self.net_file is None else 4}
        for entry in fields(self):
            value = getattr(self, entry.name)
            part = isinstance(value, Standardisation | CropRule | Alignment | NonMatedScores)
            values[entry.name] = value.to_json() if part else value
        for name in ("alignment", "non_mated_scores"):
            if values[name] is None:
                del values[name]  # so that an older faceall can read the file
        values["accuracy"], values["files"] = dict(self.accuracy), dict(sorted(self.files.items()))
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read the text of a manifest.json.

        Raises
        ------
        ModelError
            If the text is not JSON, of a newer faceall, or a field is missing, unknown or wrong.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"is not JSON ({error})") from error
        if not isinstance(values, dict):
            raise ModelError(f"is a JSON {type(values).__name__}, expected an object")
        _check_schema(values.pop("schema", None))
        values = {**_LATER_FIELDS, **{str(name): value for name, value in values.items()}}
        _check_names(cls, values, "")
        values["standardisation"] = _part(Standardisation, values["standardisation"], "standardisation")
        if values["alignment"] is not None:
            values["alignment"] = _part(Alignment, values["alignment"], "alignment")
        if values["non_mated_scores"] is not None:
            values["non_mated_scores"] = _part(NonMatedScores, values["non_mated_scores"], "non_mated_scores")
        if values["crop"] is not None or values["alignment"] is None:
            values["crop"] = _part(CropRule, values["crop"], "crop")
        manifest = cls(**values)
        for name in _needed(manifest):
            _check(name in manifest.files, "files", sorted(manifest.files), f"{name} among them")
        return manifest


def _needed(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the files that a model must have."""
    if manifest.kind != "embedder":
        return ()
    if manifest.net_file is None:
        return (PROTOTXT, CAFFEMODEL)
    return OPENVINO_FILES if manifest.net_file in OPENVINO_FILES else (ONNX_FILE,)


def _check_schema(schema: object) -> None:
    """Distinguish a newer file from a damaged one."""
    if not _is_count(schema):
        raise ModelError(f"field 'schema' is {schema!r}, expected 1 to {SCHEMA}")
    if isinstance(schema, int) and schema > SCHEMA:
        raise ModelError(f"schema {schema} is newer than this faceall, which knows {SCHEMA}: upgrade faceall")


def _check_names(cls: type[Any], values: dict[str, Any], prefix: str) -> None:
    """Refuse missing and unknown fields; a file states every field, as defaults may change."""
    known = [entry.name for entry in fields(cls)]
    if missing := [name for name in known if name not in values]:
        raise ModelError(f"field '{prefix}{missing[0]}' is missing")
    if unknown := [name for name in values if name not in known]:
        raise ModelError(f"field '{prefix}{unknown[0]}' is unknown; known are {', '.join(known)}")


def _part(cls: type[Part], values: object, name: str) -> Part:
    """Read a nested object of the manifest."""
    if not isinstance(values, dict):
        raise ModelError(f"field '{name}' is {values!r}, expected an object")
    _check_names(cls, values, f"{name}.")
    return cls(**values)


def _check(fits: bool, name: str, value: object, expected: str) -> None:
    if not fits:
        raise ModelError(f"field '{name}' is {value!r}, expected {expected}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
