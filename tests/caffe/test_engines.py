"""Every engine gives what the reference gives."""

from __future__ import annotations

import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from caffe_nets import CASES, layer, random_inputs, random_net, random_window, with_random_weights

from faceall.caffe.engines import ENGINES, Engine, get_engine
from faceall.caffe.files import read_net
from faceall.caffe.net import Net, input_layer
from faceall.errors import EngineError, NetError, ShapeError
from faceall.types import Float32Array

OTHERS = sorted(set(ENGINES) - {"reference"})
TOLERANCE = 1e-5

LACKING = {
    ("opencv", "bias, second input"),
    ("opencv", "lrn"),
    ("opencv", "lrn, wider than the channels"),
    ("opencv", "normalize, whole sample, scale per channel"),
    ("opencv", "permute, short order"),
    ("opencv", "reshape, new last axis"),
    ("opencv", "scale, second input and bias"),
}
"""(engine, case) where the engine refuses with an EngineError instead of computing."""


@pytest.fixture(params=OTHERS)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that is installed."""
    try:
        return get_engine(request.param)
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture(params=sorted(ENGINES))
def any_engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that is installed, the reference too."""
    try:
        return get_engine(request.param)
    except EngineError as error:
        pytest.skip(str(error))


def check(engine: Engine, net: Net, inputs: dict[str, Float32Array]) -> None:
    """The engine's outputs have the reference's names and shapes, and differ by at most `TOLERANCE`."""
    wanted = get_engine("reference").compile(net)(inputs)
    try:
        results = engine.compile(net)(inputs)
    except EngineError as error:
        if "this Caffe does not have" not in str(error):  # Caffes differ in age and kind
            raise
        pytest.skip(str(error))
    assert results.keys() == wanted.keys() == set(net.outputs)
    for name, expected in wanted.items():
        assert results[name].dtype == expected.dtype == np.float32
        assert results[name].shape == expected.shape
        np.testing.assert_allclose(results[name], expected, rtol=0, atol=TOLERANCE * max(1.0, abs(expected).max()))


@pytest.mark.parametrize("name", CASES)
def test_an_engine_computes_every_layer_type(engine: Engine, name: str) -> None:
    """One layer at a time, in all its variants; or refuses it in one line."""
    rng = np.random.default_rng(3)
    net = CASES[name].net(rng)
    inputs = random_inputs(net, rng)
    if (engine.name, name) in LACKING:
        with pytest.raises(EngineError):
            engine.compile(net)(inputs)
    else:
        check(engine, net, inputs)


@pytest.mark.parametrize("kind", ["Convolution", "Pooling"])
@pytest.mark.parametrize("seed", range(25))
def test_an_engine_slides_windows_of_any_geometry(engine: Engine, kind: str, seed: int) -> None:
    """Kernel, stride, pad, dilation, groups and rounding."""
    rng = np.random.default_rng(seed)
    net = random_window(rng, kind).net(rng)
    check(engine, net, random_inputs(net, rng))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("batch", [1, 4])
def test_an_engine_runs_nets_of_all_layer_types(engine: Engine, seed: int, batch: int) -> None:
    """All types in one net, several of them in place, for another batch than declared."""
    net = random_net(seed)
    check(engine, net, random_inputs(net, np.random.default_rng(seed), batch))


@pytest.mark.parametrize("batch", [1, 5])
def test_an_engine_runs_mtcnn(engine: Engine, mtcnn_net: Net, batch: int) -> None:
    """det1, det2 and det3 at their own size."""
    check(engine, mtcnn_net, random_inputs(mtcnn_net, np.random.default_rng(batch), batch))


def test_one_compiled_p_net_runs_images_of_every_size(engine: Engine, mtcnn_folder: Path) -> None:
    """Sizes change from call to call, and come back."""
    net = read_net(mtcnn_folder / "det1.prototxt", mtcnn_folder / "det1.caffemodel")
    reference, compiled = get_engine("reference").compile(net), engine.compile(net)
    rng = np.random.default_rng(0)
    for height, width in [(12, 12), (13, 40), (57, 33), (120, 97), (12, 12)]:
        inputs = {"data": rng.normal(size=(2, 3, height, width)).astype(np.float32)}
        for name, expected in reference(inputs).items():
            np.testing.assert_allclose(compiled(inputs)[name], expected, rtol=0, atol=TOLERANCE)


def test_a_compiled_net_may_be_called_from_many_threads(engine: Engine, mtcnn_folder: Path) -> None:
    """Each call gets its own result, whoever else is calling."""
    net = read_net(mtcnn_folder / "det2.prototxt", mtcnn_folder / "det2.caffemodel")
    compiled = engine.compile(net)
    inputs = [random_inputs(net, np.random.default_rng(seed), 1 + seed % 3) for seed in range(24)]
    alone = [compiled(item) for item in inputs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(compiled, inputs))
    for one, other in zip(alone, together, strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=1e-6)


def test_results_of_one_call_stay_when_the_next_comes(engine: Engine) -> None:
    """The arrays belong to the caller."""
    net = random_net(1)
    compiled = engine.compile(net)
    first = compiled(random_inputs(net, np.random.default_rng(1)))
    kept = {name: array.copy() for name, array in first.items()}
    compiled(random_inputs(net, np.random.default_rng(2)))
    for name, array in kept.items():
        np.testing.assert_array_equal(first[name], array)


def test_an_engine_gives_the_outputs_that_it_is_asked_for(engine: Engine, mtcnn_folder: Path) -> None:
    """A blob in the middle of the net too, as it is after the layer that changes it in place."""
    net = read_net(mtcnn_folder / "det2.prototxt", mtcnn_folder / "det2.caffemodel")
    inputs = random_inputs(net, np.random.default_rng(0))
    outputs = ["pool1", "conv4"]
    wanted, results = (each.compile(net, outputs)(inputs) for each in (get_engine("reference"), engine))
    assert list(results) == outputs
    for name in outputs:
        np.testing.assert_allclose(results[name], wanted[name], rtol=0, atol=TOLERANCE * abs(wanted[name]).max())


def test_an_engine_refuses_an_output_that_the_net_does_not_have(engine: Engine) -> None:
    """With the blobs that there are."""
    net = CASES["relu"].net(np.random.default_rng(0))
    with pytest.raises(NetError, match=r"no blob 'nose'.*in0, out0"):
        engine.compile(net, ["nose"])


def test_a_wrong_input_is_refused_by_name(any_engine: Engine) -> None:
    """Channels, and an input that is not given at all."""
    compiled = any_engine.compile(CASES["convolution"].net(np.random.default_rng(0)))
    with pytest.raises(ShapeError, match=r"input '?in0'? has (3$|shape \(1, 3, 8, 8\))"):
        compiled({"in0": np.zeros((1, 3, 8, 8), np.float32)})
    with pytest.raises(ShapeError, match="needs the input 'in0', given: image"):
        compiled({"image": np.zeros((1, 6, 8, 8), np.float32)})


def test_a_net_without_weights_is_not_compiled(any_engine: Engine) -> None:
    """The layer is named."""
    net = CASES["convolution"].net(np.random.default_rng(0)).with_weights({})
    with pytest.raises(ShapeError, match=r"layer 'it' \(Convolution\) has no weights"):
        any_engine.compile(net)


def test_old_weights_run_in_every_engine(engine: Engine) -> None:
    """A bias of shape (1, 1, 1, N) and a matrix of four axes, as old files hold them."""
    rng = np.random.default_rng(0)
    layers = (
        input_layer("data", (1, 3, 6, 6)),
        layer("Convolution", ["data"], ["conv"], num_output=4, kernel_size=[3]),
        layer("InnerProduct", ["conv"], ["fc"], num_output=5),
    )
    net = with_random_weights(Net("old", layers), rng)
    old = net.with_weights(
        {
            key: array if array.ndim == 4 else array.reshape((1,) * (4 - array.ndim) + array.shape)
            for key, array in net.weights.items()
        }
    )
    check(engine, old, random_inputs(old, rng))


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    """All five."""
    with pytest.raises(EngineError, match="no engine 'caffe'; known engines: onnxruntime, opencv, openvino, pycaffe"):
        get_engine("caffe")


def test_opencv_without_a_caffe_importer_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 5 says what to use instead."""
    fake = types.ModuleType("cv2")
    fake.dnn, fake.__version__ = types.SimpleNamespace(), "5.0.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv2", fake)
    with pytest.raises(EngineError, match=r"^OpenCV 5\.0\.0 has no Caffe importer; use the engine 'openvino' or .*<5"):
        get_engine("opencv")


def test_the_placeholder_called_caffe_is_not_taken_for_caffe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of that name on the package index is empty."""
    monkeypatch.setitem(sys.modules, "caffe", types.ModuleType("caffe"))
    with pytest.raises(EngineError, match="is not Caffe; PyPI's is an empty placeholder"):
        get_engine("pycaffe")


def test_pycaffe_without_caffe_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setitem(sys.modules, "caffe", None)
    with pytest.raises(EngineError, match=r"needs a built Caffe .* use the engine 'openvino'"):
        get_engine("pycaffe")
