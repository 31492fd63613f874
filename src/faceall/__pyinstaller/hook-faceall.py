"""What a program with faceall needs beside the modules that it imports: models, templates, engines found by name."""

from PyInstaller.utils.hooks import (
    collect_data_files,
    collect_dynamic_libs,
    collect_submodules,
    copy_metadata,
    is_module_satisfies,
)


def _is_needed(name: str) -> bool:
    """Leave out training and the hooks themselves."""
    return not name.startswith(("faceall.train", "faceall.__pyinstaller"))


datas = collect_data_files("faceall", excludes=["__pyinstaller"]) + copy_metadata("faceall")
datas += collect_data_files("mtcnn", includes=["assets/weights/*"])  # read as files; the package is not imported
hiddenimports = collect_submodules("faceall", filter=_is_needed)
binaries = []
if is_module_satisfies("openvino"):  # loads its plugins by file name
    datas += collect_data_files("openvino", includes=["libs/*", "*.xml", "*.json"])
    binaries += collect_dynamic_libs("openvino", search_patterns=["*.so*", "*.dll", "*.dylib"])
    hiddenimports += ["openvino"]
excludedimports = ["tensorflow", "torch", "keras", "coremltools", "faceall.train"]
