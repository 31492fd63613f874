"""The process that imports coremltools: `python -m faceall.convert.targets.coreml.worker FOLDER`.

FOLDER holds net.prototxt, net.caffemodel and job.json; what is made is put beside them as model.mlpackage or
model.mlmodel. A refusal is written to error.json as {"kind": ..., "text": ...}.
"""

from __future__ import annotations

import json
import sys
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faceall.convert.targets.coreml.options import SUFFIXES, CoremlOptions
from faceall.convert.targets.description import Metadata
from faceall.convert.targets.plan import Plan
from faceall.convert.targets.process import refused
from faceall.convert.targets.writing_job import WritingJob
from faceall.errors import MissingDependencyError
from faceall.types import Array

_PACKAGE = "com.apple.CoreML"
_DATE = "com.github.apple.coremltools.conversion_date"
_UNDOING = [f"common::{name}" for name in ("fuse_conv_scale", "fuse_conv_batchnorm", "fuse_elementwise_to_batchnorm")]
"""Passes that would multiply the sizes of channels into the kernels again, which `plan.even_channels` separates."""


def work(folder: Path) -> Path:
    """Write the model of the job in `folder` and return its path; raise FaceallError if it is refused."""
    job = WritingJob.load(folder)
    options = CoremlOptions(**job.options)
    _import_coremltools()
    model = _converted(job.plan, options)
    model = _compressed_program(model, options) if options.format == "mlprogram" else _compressed_layers(model, options)
    spec = model.get_spec()
    _describe(spec, job.metadata)
    path = folder / f"model{SUFFIXES[options.format]}"
    contents = spec.SerializeToString(deterministic=True)
    if options.format == "neuralnetwork":
        path.write_bytes(contents)
    else:
        _write_package(path, contents, Path(model.weights_dir) / "weight.bin")
    return path


def _import_coremltools() -> None:
    """Import coremltools without TensorFlow and PyTorch, which it would load if they are installed."""
    for name in ("tensorflow", "torch"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    try:
        import coremltools
    except ImportError as error:
        raise MissingDependencyError('writing Core ML needs coremltools: pip install "faceall[coreml]"') from error
    if not hasattr(coremltools, "convert"):
        raise MissingDependencyError('this coremltools is too old or damaged: pip install "faceall[coreml]"')


def _converted(plan: Plan, options: CoremlOptions) -> Any:
    """Convert to float32 or float16, from a new program: the conversion changes the program."""
    import coremltools as ct

    from faceall.convert.targets.coreml.program import KEEP, build_program, input_types

    program_format = options.format == "mlprogram"
    target = getattr(ct.target, f"iOS{options.ios}" if program_format else "iOS13")
    settings: dict[str, Any] = {}
    if options.precision.startswith("palette"):
        settings["pass_pipeline"] = _palette_passes(options)
    if program_format:
        half = ct.transform.FP16ComputePrecision(op_selector=lambda operation: not operation.name.startswith(KEEP))
        settings["compute_precision"] = ct.precision.FLOAT32 if options.precision == "float32" else half
    return ct.convert(
        build_program(plan, target),
        convert_to=options.format,
        minimum_deployment_target=target,
        inputs=input_types(plan),
        skip_model_load=True,
        **settings,
    )


def _palette_passes(options: CoremlOptions) -> Any:
    """Return the passes of a conversion to palettes; a program gets its palettes in the last one, layers later.

    Compressing a finished program would run all the passes once more, with those in `_UNDOING` among them.
    """
    import coremltools as ct
    import coremltools.optimize.coreml as cto

    passes = ct.PassPipeline.DEFAULT
    if options.format == "mlprogram":
        passes = ct.PassPipeline.DEFAULT_PALETTIZATION
        chosen = cto.OpPalettizerConfig(mode="custom", lut_function=_chooser(options))
        passes.set_options("compression::palettize_weights", {"config": cto.OptimizationConfig(chosen)})
    passes.remove_passes(_UNDOING)
    return passes


def _chooser(options: CoremlOptions) -> Callable[[Array], tuple[Array, Array]]:
    """Return a function from values to their palette and indices, as a program's compression expects it."""
    from faceall.convert.targets.coreml.palette import palette

    bits = int(options.precision.removeprefix("palette"))

    def choose(values: Array) -> tuple[Array, Array]:
        table, numbers = palette(values, bits)
        return table.astype(values.dtype), numbers  # the program checks that the types agree

    return choose


def _compressed_program(model: Any, options: CoremlOptions) -> Any:
    """Compress weights to int8; tensors with fewer than 2048 values are unchanged."""
    if options.precision != "int8":
        return model
    import coremltools.optimize.coreml as cto

    config = cto.OptimizationConfig(cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8"))
    return cto.linear_quantize_weights(model, config)


def _compressed_layers(model: Any, options: CoremlOptions) -> Any:
    """Compress weights to 16, 8 or 6 bits."""
    if options.precision == "float32":
        return model
    from coremltools.models.neural_network.quantization_utils import quantize_weights

    from faceall.convert.targets.coreml.palette import palette

    if options.precision in ("float16", "int8"):
        bits, mode = (16, "linear") if options.precision == "float16" else (8, "linear_symmetric")
        made = quantize_weights(model, nbits=bits, quantization_mode=mode)
    else:
        bits = int(options.precision.removeprefix("palette"))
        made = quantize_weights(
            model, nbits=bits, quantization_mode="custom_lut", lut_function=lambda count, values: palette(values, count)
        )
    return _Spec(made) if hasattr(made, "SerializeToString") else made


class _Spec:
    """An adapter of a specification to a model: without macOS the quantizer returns a specification."""

    def __init__(self, spec: Any) -> None:
        self._spec = spec

    def get_spec(self) -> Any:
        return self._spec


def _describe(spec: Any, metadata: Metadata) -> None:
    """Set the metadata; the date of the conversion is removed, so that the same input gives the same bytes."""
    target = spec.description.metadata
    target.author, target.license = metadata.author, metadata.licence
    target.shortDescription = metadata.description
    target.userDefined.pop(_DATE, None)
    for name, text in metadata.more.items():
        target.userDefined[name] = text
    for feature in (*spec.description.input, *spec.description.output):
        feature.shortDescription = metadata.features.get(feature.name, "")


def _write_package(path: Path, contents: bytes, weights: Path) -> None:
    """Write an .mlpackage whose identifiers are derived from the names of its parts."""
    parts = {"model.mlmodel": "CoreML Model Specification", "weights": "CoreML Model Weights"}
    data = path / "Data" / _PACKAGE
    (data / "weights").mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(contents)
    (data / "weights" / "weight.bin").write_bytes(weights.read_bytes() if weights.is_file() else b"")
    identifiers = {name: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{_PACKAGE}/{name}")).upper() for name in parts}
    entries = {
        identifiers[name]: {"author": _PACKAGE, "description": text, "name": name, "path": f"{_PACKAGE}/{name}"}
        for name, text in parts.items()
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": identifiers["model.mlmodel"],
    }
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=4) + "\n", encoding="utf-8")


def main() -> int:
    """Run the job in the folder of the command line; exit code 3 is a refusal, which error.json explains."""
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    return refused(folder, lambda: work(folder))


if __name__ == "__main__":
    sys.exit(main())
