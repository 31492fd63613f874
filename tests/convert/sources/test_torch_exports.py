"""Files that PyTorch's exporters write; skipped where PyTorch is absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from faceall.caffe import get_engine
from faceall.convert.sources import open_source

PYTHON = os.environ.get("FACEALL_TORCH_PYTHON") or sys.executable
"""A Python with torch, onnx and onnxscript."""
SCRIPT = Path(__file__).with_name("make_torch_files.py")
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six nets by both exporters, with a free and a fixed batch size."""
    if subprocess.run([PYTHON, "-c", "import torch, onnx, onnxscript"], capture_output=True, check=False).returncode:
        pytest.skip("needs torch, onnx and onnxscript (FACEALL_TORCH_PYTHON names the Python that has them)")
    folder = tmp_path_factory.mktemp("torch")
    subprocess.run([PYTHON, str(SCRIPT), str(folder)], check=True, capture_output=True, timeout=600)
    return sorted(folder.glob("*.onnx"))


@pytest.mark.slow
def test_exported_nets_compute_what_onnxruntime_computes(files: list[Path]) -> None:
    """Every net, exporter and kind of batch gives the same unit vectors, for a batch where the file allows one."""
    runtime = pytest.importorskip("onnxruntime")
    assert len(files) == 24
    for path in files:
        net = open_source(path).net
        assert net is not None
        count = 1 if path.stem.endswith("fixed") else 3
        largest = 255 if path.stem.startswith("sface") else 1
        images = np.random.default_rng(0).uniform(0, largest, (count, 3, 112, 112)).astype(np.float32)
        session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        (wanted,) = session.run(None, {"input": images})
        made = get_engine().compile(net)({"input": images})[net.outputs[0]].reshape(wanted.shape)
        lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
        np.testing.assert_allclose(made / lengths, wanted / lengths, rtol=0, atol=TOLERANCE, err_msg=path.name)
