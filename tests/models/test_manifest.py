"""The manifest: strict, and clear about what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceall.errors import ModelError
from faceall.models import CAFFEMODEL, PROTOTXT, Alignment, CropRule, Manifest, NonMatedScores, Standardisation

DIGEST = "0123456789abcdef" * 4


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "name": "facenet-1",
        "embedding_size": 512,
        "input_size": (160, 160),
        "input_blob": "input",
        "output_blob": "embeddings",
        "files": {PROTOTXT: DIGEST, CAFFEMODEL: DIGEST},
    }
    return Manifest(**{**values, **changes})


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(manifest().to_json()), **changes})


def test_json_round_trip_is_exact() -> None:
    """Every field comes back as it was, whatever it holds."""
    full = manifest(
        channels="BGR",
        standardisation=Standardisation(kind="prewhiten", mean=1.5, scale=1 / 3),
        crop=CropRule(margin=0.1, shape="square", shift=0.1, border="clip"),
        match_threshold=0.9,
        match_threshold_false_accept_rate=1e-3,
        source="Ünïcode.pb",
        source_sha256=DIGEST,
        licence="MIT",
        accuracy={"LFW": 0.9905},
    )
    for one in (manifest(), full):
        assert Manifest.from_json(one.to_json()) == one
        assert Manifest.from_json(one.to_json().encode()) == one


def test_a_detector_has_no_embedding_size() -> None:
    """Detectors need neither the size nor the two Caffe files of an embedder."""
    detector = manifest(kind="detector", embedding_size=None, files={"det1.prototxt": DIGEST})
    assert Manifest.from_json(detector.to_json()) == detector
    with pytest.raises(ModelError, match="'embedding_size' is 4, expected null for a detector"):
        manifest(kind="detector", embedding_size=4)


LATER = "match_threshold_false_accept_rate"


def test_older_files_lack_the_rate() -> None:
    """A manifest from before the rate was stated is read, and its rate is unknown."""
    values = json.loads(manifest(match_threshold=0.9).to_json())
    del values[LATER]
    assert Manifest.from_json(json.dumps(values)) == manifest(match_threshold=0.9)


@pytest.mark.parametrize("field", [name for name in json.loads(manifest().to_json()) if name != LATER])
def test_every_field_is_needed_by_name(field: str) -> None:
    """A file states everything; what it leaves out is named."""
    values = json.loads(manifest().to_json())
    del values[field]
    with pytest.raises(ModelError, match=f"'{field}'"):
        Manifest.from_json(json.dumps(values))


@pytest.mark.parametrize("part", ["standardisation", "crop"])
def test_parts_are_as_strict(part: str) -> None:
    """Inside the nested objects, missing and unknown fields are named with their path."""
    values = json.loads(manifest().to_json())[part]
    removed = next(iter(values))
    with pytest.raises(ModelError, match=rf"'{part}\.{removed}' is missing"):
        Manifest.from_json(changed(**{part: {name: value for name, value in values.items() if name != removed}}))
    with pytest.raises(ModelError, match=rf"'{part}\.colour' is unknown; known are"):
        Manifest.from_json(changed(**{part: {**values, "colour": 1}}))
    with pytest.raises(ModelError, match=f"'{part}' is 7, expected an object"):
        Manifest.from_json(changed(**{part: 7}))


def test_newer_is_told_from_damaged() -> None:
    """A higher schema says to upgrade, even if its fields are others; a wrong one says what was expected."""
    with pytest.raises(ModelError, match="schema 5 is newer than this faceall, which knows 4: upgrade faceall"):
        Manifest.from_json('{"schema": 5, "whatever": true}')
    for schema in ("1", 0, None, True, 1.5):
        with pytest.raises(ModelError, match=r"'schema' is .*, expected 1 to 4"):
            Manifest.from_json(changed(schema=schema))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../evil"),
        ("name", ".hidden"),
        ("name", ""),
        ("name", 5),
        ("kind", "trainer"),
        ("kind", ["embedder"]),
        ("embedding_size", 0),
        ("embedding_size", True),
        ("embedding_size", None),
        ("embedding_size", 512.0),
        ("input_size", [160]),
        ("input_size", [160, -1]),
        ("input_size", "160x160"),
        ("channels", "GBR"),
        ("input_blob", ""),
        ("output_blob", None),
        ("match_threshold", 5),
        ("match_threshold", "0.6"),
        ("match_threshold_false_accept_rate", 1e-3),
        ("match_threshold_false_accept_rate", 0),
        ("source", None),
        ("source_sha256", "abc"),
        ("source_sha256", DIGEST.upper()),
        ("accuracy", {"LFW": "high"}),
        ("accuracy", [1]),
        ("files", {}),
        ("files", {PROTOTXT: DIGEST}),
        ("files", {PROTOTXT: DIGEST, CAFFEMODEL: "abc"}),
        ("files", {PROTOTXT: DIGEST, CAFFEMODEL: DIGEST, "../x": DIGEST}),
        ("files", {PROTOTXT: DIGEST, CAFFEMODEL: DIGEST, "manifest.json": DIGEST}),
        ("standardisation", {"kind": "magic", "mean": 0, "scale": 1}),
        ("standardisation", {"kind": "fixed", "mean": "0", "scale": 1}),
        ("crop", {"margin": -1, "shape": "square", "shift": 0, "border": "black"}),
        ("crop", {"margin": 0, "shape": "round", "shift": 0, "border": "black"}),
        ("crop", {"margin": 0, "shape": "square", "shift": 0, "border": ["black"]}),
    ],
)
def test_wrong_values_are_named(field: str, value: object) -> None:
    """The error names the field, what it is and what was expected."""
    with pytest.raises(ModelError, match=rf"{field}.* is .*(expected|known are)"):
        Manifest.from_json(changed(**{field: value}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe\x00", "[" * 100_000, '{"schema": 1}'])
def test_what_is_no_manifest_is_a_model_error(text: str | bytes) -> None:
    """Broken JSON, other JSON and undecodable bytes are refused in one line."""
    with pytest.raises(ModelError) as caught:
        Manifest.from_json(text)
    assert str(caught.value).isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(list(json.loads(manifest().to_json()))), json_values)
def test_any_value_is_taken_or_refused(field: str, value: object) -> None:
    """Whatever stands in a field, the result is a manifest or a ModelError."""
    try:
        read = Manifest.from_json(changed(**{field: value}))
    except ModelError:
        return
    assert Manifest.from_json(read.to_json()) == read


def test_a_model_has_a_crop_rule_or_an_alignment() -> None:
    """Without either it has the default crop rule; both are refused; `framing` is the one that is given."""
    assert manifest().framing == CropRule()
    aligned = manifest(alignment=Alignment("openvino-0095", border="replicate"))
    assert aligned.crop is None
    assert aligned.framing == Alignment("openvino-0095", border="replicate")
    with pytest.raises(ModelError, match="'crop' and 'alignment' are both given, expected one of them"):
        manifest(crop=CropRule(), alignment=Alignment())


def test_alignments_are_written_in_layout_2_and_crop_rules_in_layout_1() -> None:
    """A model that an older faceall can read stays readable by it; the template may be free."""
    assert json.loads(manifest().to_json())["schema"] == 1
    assert "alignment" not in json.loads(manifest().to_json())
    points = tuple((0.1 * number, 0.5 + 0.05 * number) for number in range(1, 6))
    for template in ("arcface-112", points):
        aligned = manifest(alignment=Alignment(template))
        assert json.loads(aligned.to_json())["schema"] == 2
        assert Manifest.from_json(aligned.to_json()) == aligned


def test_wrong_alignments_in_a_file_are_refused() -> None:
    """An unknown template, an unknown field and no object name the field."""
    text = json.loads(manifest(alignment=Alignment()).to_json())
    good = text["alignment"]
    for wrong, said in (
        ({**good, "template": "dlib"}, "alignment.template is 'dlib', known are arcface-112, openvino-0095"),
        ({**good, "colour": 1}, "field 'alignment.colour' is unknown"),
        ({"template": "arcface-112"}, "field 'alignment.interpolation' is missing"),
        ("arcface", "field 'alignment' is 'arcface', expected an object"),
    ):
        with pytest.raises(ModelError, match=said):
            Manifest.from_json(json.dumps({**text, "alignment": wrong}))


def test_scores_of_strangers_come_back() -> None:
    """Manifests with non-mated scores are of schema 3 and read back equal; those without stay as they were."""
    scores = NonMatedScores(mean=0.01, deviation=0.1, bend=0.05, people=300)
    written = replace(manifest(), non_mated_scores=scores).to_json()
    assert json.loads(written)["schema"] == 3
    assert Manifest.from_json(written).non_mated_scores == scores
    assert "non_mated_scores" not in json.loads(manifest().to_json())


@pytest.mark.parametrize(("name", "value"), [("mean", 2), ("deviation", 0), ("bend", -0.1), ("people", 0)])
def test_impossible_scores_are_refused(name: str, value: float) -> None:
    """Each parameter has its range, and the error names the field."""
    scores = {"mean": 0.01, "deviation": 0.1, "bend": 0.05, "people": 300} | {name: value}
    with pytest.raises(ModelError, match=f"'non_mated_scores.{name}' is"):
        Manifest.from_json(changed(non_mated_scores=scores))
