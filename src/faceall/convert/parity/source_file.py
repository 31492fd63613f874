"""Run the file that a net was read from, so that the net is compared with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from faceall.caffe.engines.openvino import import_openvino
from faceall.convert.parity.comparison import channels_first
from faceall.errors import ConvertError
from faceall.types import Float32Array


def run_source_file(path: Path, images: Float32Array, output: int = 0) -> Float32Array:
    """Run an ONNX, OpenVINO IR or TFLite embedder in OpenVINO.

    Parameters
    ----------
    path : Path
        The file; it has one input.
    images : (n, H, W, 3) float32
        Standardised images.
    output : int
        The number of the embedding among the file's results.

    Returns
    -------
    (n, D) float32
        The embeddings as the file gives them.

    Raises
    ------
    ConvertError
        If OpenVINO cannot run the file.
    """
    core = import_openvino().Core()
    try:
        model = core.read_model(path)
        sizes = [-1 if size.is_dynamic else size.get_length() for size in model.inputs[0].get_partial_shape()]
        last = len(sizes) == 4 and sizes[3] == 3 and sizes[1] != 3
        feeds = images if last else channels_first(images)
        model.reshape({model.inputs[0]: [1, *feeds.shape[1:]]})
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.stack([_vector(compiled, feed[None], output) for feed in feeds])
    except (RuntimeError, IndexError) as error:
        text = " ".join(str(error).split())[:200]
        raise ConvertError(f"{path}: OpenVINO cannot run it, so the net cannot be compared with it ({text})") from error


def _vector(compiled: Any, feed: Float32Array, output: int) -> Float32Array:
    return np.array(compiled([feed])[output], np.float32).reshape(-1)
