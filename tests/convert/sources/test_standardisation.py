"""Nets that standardise their images themselves: pixels are passed as they are."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from source_checks import run_source

from faceall.caffe import Layer, Net, input_layer, write_net
from faceall.convert import ParityOptions, SourceOptions, convert
from faceall.convert.parity.comparison import random_images
from faceall.convert.sources import open_source
from faceall.convert.subject import standardises_itself
from faceall.errors import FaceallError, UnsupportedGraphError

AS_THEY_ARE = {"kind": "fixed", "mean": 0.0, "scale": 1.0}


def changed(source: Path, place: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A .keras file with another description of its layers; `change` gets each layer."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(place, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "config.json":
                config = json.loads(data)
                for layer in config["config"]["layers"]:
                    change(layer)
                data = json.dumps(config).encode()
            after.writestr(name, data)
    return place


def normalization(**options: Any) -> Callable[[dict[str, Any]], None]:
    """Puts a Normalization in the place of the Rescaling."""

    def change(layer: dict[str, Any]) -> None:
        if layer["class_name"] == "Rescaling":
            layer["class_name"] = "Normalization"
            layer["config"] = {"name": layer["config"]["name"], "axis": -1, "invert": False, **options}

    return change


def rule_of(source: Path, place: Path, **options: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The standardisation in the manifest of a converted source, and the remarks."""
    parity = ParityOptions(engine="reference", crops=random_images(2, (24, 24, 3)))
    made = convert(source, place, reading=SourceOptions(**options), parity=parity)
    return made.manifest.standardisation.to_json(), made.remarks


@pytest.mark.parametrize("name", ["functional.keras", "functional.h5", "exported"])
def test_net_that_rescales_takes_pixels_as_they_are(made: Path, tmp_path: Path, name: str) -> None:
    """A Rescaling in front, in Keras's files or exported, is the standardisation: none is left outside, aloud."""
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    rule, remarks = rule_of(made / name, tmp_path / "model")
    assert rule == AS_THEY_ARE
    assert any(remark.startswith("the net rescales its ") for remark in remarks)


@pytest.mark.parametrize("name", ["sequential.keras", "saved_v1"])
def test_net_that_does_not_is_guessed_as_before(made: Path, tmp_path: Path, name: str) -> None:
    """Without one the releases' standardisation is assumed, aloud."""
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    rule, remarks = rule_of(made / name, tmp_path / "model")
    assert rule == {"kind": "fixed", "mean": 127.5, "scale": 1 / 128}
    assert any("assumed (x - 127.5) / 128" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("chosen", "kind", "mean"), [("fixed", "fixed", 127.5), ("prewhiten", "prewhiten", 127.5), ("none", "fixed", 0.0)]
)
def test_choice_wins(made: Path, tmp_path: Path, chosen: Any, kind: str, mean: float) -> None:
    """What the user says counts, whether the net rescales or not."""
    for name in ("exported", "saved_v1"):
        rule, _ = rule_of(made / name, tmp_path / name, standardisation=chosen)
        assert (rule["kind"], rule["mean"]) == (kind, mean)


def test_whole_way_of_a_net_that_rescales(made: Path, tmp_path: Path) -> None:
    """The converted model, fed with pixels, gives what Keras computed for the same numbers."""
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    crops = random_images(3, (24, 24, 3))
    wanted = run_source(open_source(made / "functional.keras"), crops.astype(np.float32))
    convert(
        made / "functional.keras",
        tmp_path / "model",
        parity=ParityOptions(engine="reference", crops=crops, expected=wanted),
    )


@pytest.mark.parametrize(
    ("mean", "variance"), [(127.5, 5418.75), ([120.0, 110.0, 100.0], [4000.0, 4400.0, 4900.0]), ([9.0], [0.0])]
)
def test_normalization_layer_is_read(made: Path, tmp_path: Path, mean: Any, variance: Any) -> None:
    """(x - mean) / deviation, for all channels or for each; the deviation has Keras's least size."""
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    source = changed(made / "functional.keras", tmp_path / "n.keras", normalization(mean=mean, variance=variance))
    rule, _ = rule_of(source, tmp_path / "model")
    assert rule == AS_THEY_ARE
    pictures = random_images(2, (24, 24, 3)).astype(np.float32)
    numbers = (pictures - np.asarray(mean)) / np.maximum(np.sqrt(np.asarray(variance)), 1e-7)
    plain = changed(made / "functional.keras", tmp_path / "p.keras", _rescaling_by_one)
    wanted = run_source(open_source(plain), numbers.astype(np.float32))
    np.testing.assert_allclose(run_source(open_source(source), pictures), wanted, rtol=0, atol=1e-5)


def _rescaling_by_one(layer: dict[str, Any]) -> None:
    if layer["class_name"] == "Rescaling":
        layer["config"] |= {"scale": 1.0, "offset": 0.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mean": [1.0, 2.0], "variance": [1.0]}, r"statistics are \(2,\) and \(1,\)"),
        ({"mean": 1.0, "variance": 1.0, "invert": True}, "turns normalisation back"),
    ],
)
def test_odd_normalization_is_named(made: Path, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    """What cannot be read is refused with the layer's name."""
    pytest.importorskip("h5py", reason="needs h5py for Keras's files")
    source = changed(made / "functional.keras", tmp_path / "n.keras", normalization(**options))
    with pytest.raises(UnsupportedGraphError, match=rf"'rescaling\w*' \(Normalization: .*{words}"):
        open_source(source)


def test_learned_normalization_agrees_with_keras(tmp_path: Path) -> None:
    """Statistics that were learned from pictures are weights of the file; Keras itself is the judge."""
    keras = pytest.importorskip("keras", reason="needs Keras, which alone writes such a file")
    pictures = random_images(4, (24, 24, 3)).astype(np.float32)
    layer = keras.layers.Normalization()
    layer.adapt(pictures)
    layers = [keras.layers.Input((24, 24, 3)), layer, keras.layers.Conv2D(4, 5, strides=3), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(6)])
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"net.{suffix}")
        actual = run_source(open_source(tmp_path / f"net.{suffix}"), pictures)
        np.testing.assert_allclose(actual, model(pictures).numpy(), rtol=0, atol=1e-5)


def plain_net(first: Layer, weights: Mapping[str, Any]) -> Net:
    """An input and one layer."""
    return Net("net", (input_layer("data", (1, 3, 8, 8)), first), dict(weights))


@pytest.mark.parametrize(
    ("options", "itself"),
    [({"scale": 0.1}, True), ({"shift": -3.0}, True), ({}, False), ({"power": 2.0, "scale": 0.1}, False)],
)
def test_first_power_layer_tells(options: dict[str, float], itself: bool) -> None:
    """A scale or a shift does; a square, or a layer that does nothing, does not."""
    layer = Layer("first", "Power", ("data",), ("first",), {"power_param": options})
    assert standardises_itself(plain_net(layer, {})) == itself


def test_caffe_net_that_rescales_takes_pixels_as_they_are(tmp_path: Path) -> None:
    """The same holds for Caffe's own files."""
    layers = (
        input_layer("data", (1, 3, 8, 8)),
        Layer("first", "Power", ("data",), ("first",), {"power_param": {"scale": 0.0078125, "shift": -1.0}}),
        Layer("mean", "Pooling", ("first",), ("mean",), {"pooling_param": {"pool": "AVE", "global_pooling": True}}),
    )
    net = Net("net", layers, {})
    write_net(net, tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    assert convert(tmp_path / "net.prototxt", tmp_path / "model").manifest.standardisation.to_json() == AS_THEY_ARE


def test_several_signatures_without_a_choice_are_listed(made: Path, tmp_path: Path) -> None:
    """Where none is called serving_default, one has to be chosen; one that is gets its own numbers."""
    from faceall.convert.sources.tensorflow.schema import messages

    shutil.copytree(made / "exported", tmp_path / "net")
    path = tmp_path / "net" / "saved_model.pb"
    saved = messages()["SavedModel"].FromString(path.read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    signatures["other"].CopyFrom(signatures["serving_default"])
    del signatures["serving_default"]
    path.write_bytes(saved.SerializeToString())
    with pytest.raises(FaceallError, match=r"2 signatures take images; choose .* --signature: 'other' .*'serve'"):
        convert(tmp_path / "net", tmp_path / "model")
    crops = random_images(2, (24, 24, 3))
    for name in ("other", "serve"):
        done = convert(
            tmp_path / "net",
            tmp_path / name,
            reading=SourceOptions(signature=name),
            parity=ParityOptions(crops=crops, engine="reference"),
        )
        assert done.report.passed
    with pytest.raises(FaceallError, match=r"no signature 'third'; its signatures: .*'other'"):
        convert(tmp_path / "net", tmp_path / "model", reading=SourceOptions(signature="third"))
