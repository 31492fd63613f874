"""What a program with faceall needs beside the modules that it imports: models, templates, engines found by name."""

from importlib.util import find_spec
from pathlib import Path

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

from faceall import _PACKAGES

_ENGINE_FILES = ("openvino.", "cpu_plugin", "onnx_frontend", "ir_frontend", "tbb", "hwloc")
"""Parts of the names of OpenVINO's libraries that are used: processors only, ONNX and OpenVINO's own files."""


def _engine_libraries() -> list[tuple[str, str]]:
    """Return what OpenVINO loads by file name, without its parts for GPUs, NPUs and other frameworks."""
    spec = find_spec("openvino")
    if spec is None or not spec.submodule_search_locations:
        return []
    libraries = Path(spec.submodule_search_locations[0]) / "libs"
    return [
        (str(file), "openvino/libs")
        for file in sorted(libraries.glob("*"))
        if any(part in file.name for part in _ENGINE_FILES) and not file.name.endswith(".pc")
    ]


datas = collect_data_files("faceall", excludes=["__pyinstaller"]) + copy_metadata("faceall")
datas += collect_data_files("mtcnn", includes=["assets/weights/*"])  # read as files; the package is not imported
binaries = _engine_libraries()
hiddenimports = sorted(set(_PACKAGES.values())) + collect_submodules("faceall.caffe.engines")
hiddenimports += [name for name in ("openvino", "pillow_heif", "pillow_jxl", "rawpy") if find_spec(name)]
# optional and large: packed only if the program itself imports them, or with --hidden-import
excludedimports = [
    "caffe", "coreai", "coremltools", "h5py", "keras", "milvus_lite", "onnxruntime", "pandas", "pymilvus", "ray",
    "sklearn", "tensorflow", "torch",
]  # fmt: skip
