"""The subject of a conversion: a net with its manifest, from any kind of source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from faceall.caffe.files import read_net
from faceall.caffe.net import Net
from faceall.caffe.shapes import fit_weights, infer_shapes
from faceall.convert.options import SourceOptions, StandardisationName
from faceall.convert.passes.simplify import apply_batch_norm, keep_output
from faceall.convert.recipes import FORMULAS, STANDARDISATIONS, Recipe, assumptions_of, recipe_for, standardises_itself
from faceall.convert.runnable import CLOSED_TARGETS, LARGEST_SIDE, RUNNABLE, choose_output, model_name
from faceall.convert.sources import Source, SourceKind, open_source
from faceall.convert.tensorflow.facenet import INPUT_BLOB, OUTPUT_BLOB, Translation, translate
from faceall.errors import (
    ConvertError,
    FileOnlyError,
    ModelDamagedError,
    ModelError,
    NetError,
    NetFormatError,
    UnsupportedGraphError,
)
from faceall.models import (
    CAFFEMODEL,
    FACENET_CROP,
    MANIFEST,
    ONNX_FILE,
    OPENVINO_FILES,
    PROTOTXT,
    KnownModel,
    Manifest,
    ModelFolder,
    Standardisation,
    recognise,
)

_NET_NAME = "embedder"
"""The name of an unknown graph's net in its files."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A net to convert.

    Attributes
    ----------
    net : Net
        The net that later steps work on. A pool that rounds down has a rounding mode in its options.
    original : Net or None
        The net as it was read, for a source that is a net; None for a graph.
    translation : Translation or None
        The net and its graph, for a source that is a graph; None for a net.
    manifest : Manifest
        The model's description.
    outputs : tuple of str
        The blobs that are compared.
    remarks : tuple of str
        Assumptions and other notes, one sentence each.
    assumptions : mapping of str to str
        The parts of an embedder's input that are assumed without evidence ("channels", "standardisation",
        "alignment"), each with a sentence that says what is assumed.
    file : Path or None
        The file of another format that an embedder was read from and that OpenVINO can run.
    file_output : int
        The number of the embedding among the file's results.
    """

    net: Net
    original: Net | None
    translation: Translation | None
    manifest: Manifest
    outputs: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    assumptions: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    file_output: int = 0


def open_subject(path: Path, options: SourceOptions) -> Subject:
    """Read the model at `path`, in any of the known formats.

    Parameters
    ----------
    path : Path
        A model folder, one of its files, or a source that `open_source` reads.
    options : SourceOptions
        How the source is read.

    Returns
    -------
    Subject
        The net with its manifest.

    Raises
    ------
    NetFormatError
        If the source is damaged or of no known format.
    UnsupportedGraphError
        If a graph has an operation without a counterpart.
    ModelError
        If a model folder is damaged.
    ConvertError
        If the options do not suit the source.
    """
    if (folder := _model_folder(path)) is not None:
        _refuse_boundary(path, options)
        return _of_model_folder(path, folder, options)
    source = open_source(path, output=options.output, signature=options.signature, image_size=options.image_size)
    if options.signature is not None and source.kind != "savedmodel":
        raise ConvertError(f"{path}: --signature: a {source.kind} source has none, only a SavedModel has; leave it out")
    if source.net is not None:
        _refuse_boundary(path, options, source.kind)
        return _of_net(source, source.net, options)
    return _of_graph(source, options)


def _model_folder(path: Path) -> ModelFolder | None:
    """Return the model folder that `path` is, or that lists it among its files."""
    folder = path if path.is_dir() else path.parent
    if not (folder / MANIFEST).is_file():
        return None
    if path.is_dir():
        return ModelFolder.open(path)
    if path.name not in (PROTOTXT, CAFFEMODEL, ONNX_FILE, *OPENVINO_FILES):
        return None
    try:
        model = ModelFolder.open(folder)
    except ModelDamagedError:
        raise
    except ModelError:
        return None  # the manifest is another program's
    return model if path.name in model.manifest.files else None


def _refuse_boundary(path: Path, options: SourceOptions, kind: SourceKind | None = None) -> None:
    """Refuse options that name a part of a graph, for a source that is a net already."""
    usable = ("--output-node", "--image-size") if kind in (*RUNNABLE, "caffe") else ()
    boundary = {
        "--input": options.input,
        "--output-node": options.output,
        "--image-size": options.image_size,
        "--signature": options.signature,
    }
    if given := [option for option, value in boundary.items() if value is not None and option not in usable]:
        raise ConvertError(f"{path}: {' and '.join(given)}: only for TensorFlow graphs, this is a net already")


def _of_graph(source: Source, options: SourceOptions) -> Subject:
    """Translate a graph and derive its manifest."""
    path, known = source.path, recognise(source.sha256)
    translation = _translated(source, known, options)
    net = translation.net
    size = _vector_size(net, OUTPUT_BLOB)
    if size is None:
        shape = infer_shapes(net)[OUTPUT_BLOB]
        raise ConvertError(
            f"{path}: the output is of shape {shape}, expected one vector per image; name another with --output-node"
        )
    if source.manifest is not None:
        return _with_manifest(source, source.manifest, translation, options)
    rule, remarks = _standardisation(known, options.standardisation, size, standardises_itself(net))
    measured = known if known and known.standardisation == rule else None  # other pixels give other distances
    manifest = Manifest(
        name=options.name or (known.model_name if known else model_name(source.name, "facenet-")),
        embedding_size=size,
        input_size=_input_size(path, net, INPUT_BLOB),
        standardisation=rule,
        crop=FACENET_CROP,
        input_blob=INPUT_BLOB,
        output_blob=OUTPUT_BLOB,
        match_threshold=measured.match_threshold if measured else None,
        match_threshold_false_accept_rate=measured.match_threshold_false_accept_rate if measured else None,
        source=path.name,
        source_sha256=source.sha256,
        licence=known.licence if known else "",
        accuracy=measured.accuracy if measured else {},
    )
    return Subject(net, None, translation, manifest, (OUTPUT_BLOB,), source.remarks + remarks)


def _translated(source: Source, known: KnownModel | None, options: SourceOptions) -> Translation:
    """Translate a graph into a net."""
    graph = source.bound(input=options.input, output=options.output)
    name = Path(known.file_name).stem if known else _NET_NAME  # never the file's own: it would enter the bytes
    try:
        return translate(
            graph,
            name=name,
            batch_norm=options.batch_norm,
            image_size=options.image_size,
            floor_pool="round-mode",
        )
    except (UnsupportedGraphError, NetFormatError) as error:
        raise type(error)(f"{source.path}: {error}") from error


def _with_manifest(source: Source, given: Manifest, translation: Translation, options: SourceOptions) -> Subject:
    """Use the manifest of a graph that faceall wrote, whose blobs have other names now."""
    net = translation.net
    manifest = replace(_changed(given, options), input_blob=INPUT_BLOB, output_blob=OUTPUT_BLOB)
    made = (manifest.embedding_size, manifest.input_size)
    if made != (_vector_size(net, OUTPUT_BLOB), _input_size(source.path, net, INPUT_BLOB)):
        raise ConvertError(f"{source.path}: the graph and the manifest beside it disagree about sizes: damaged")
    return Subject(net, None, translation, manifest, (OUTPUT_BLOB,), source.remarks)


def _of_model_folder(path: Path, folder: ModelFolder, options: SourceOptions) -> Subject:
    """Read a model folder whose files match their checksums."""
    folder.verify()
    if folder.net_file is not None:
        return _of_net_file(path, folder, options)
    net = _checked(path, read_net(folder.prototxt, folder.caffemodel))
    manifest = _changed(folder.manifest, options)
    return Subject(apply_batch_norm(net, options.batch_norm), net, None, manifest, (manifest.output_blob,))


def _of_net_file(path: Path, folder: ModelFolder, options: SourceOptions) -> Subject:
    """Read a model folder whose net is in a file of another format; usually an operation prevents that."""
    manifest, file = folder.manifest, folder.net_file
    try:
        source = open_source(str(file), image_size=manifest.input_size[0])
    except FileOnlyError as error:
        raise UnsupportedGraphError(
            f"{path}: '{manifest.name}' runs as {manifest.net_file}; the targets {CLOSED_TARGETS} are closed to it: "
            f"{error.reason}"
        ) from error
    output = manifest.output_blob
    subject = _of_net(replace(source, manifest=None), source.net, replace(options, output=output))  # type: ignore[arg-type]
    changed = replace(
        _changed(manifest, options),
        input_blob=subject.manifest.input_blob,
        output_blob=subject.manifest.output_blob,
    )
    return replace(subject, manifest=changed, remarks=(), assumptions={})


def _changed(manifest: Manifest, options: SourceOptions) -> Manifest:
    """Apply the chosen name and input to a manifest that was read; its files are left out."""
    changed = manifest
    if options.standardisation is not None:
        changed = replace(changed, standardisation=STANDARDISATIONS[options.standardisation])
    if options.channels is not None:
        changed = replace(changed, channels="BGR" if options.channels == "bgr" else "RGB")
    if options.alignment is not None:
        changed = replace(changed, **Recipe(alignment=options.alignment).framing(manifest.input_size))
    if changed != manifest:  # another input gives other vectors
        changed = replace(changed, match_threshold=None, match_threshold_false_accept_rate=None, accuracy={})
    return replace(changed, name=options.name or manifest.name, files={})


def _of_net(source: Source, net: Net, options: SourceOptions) -> Subject:
    """Derive the manifest of a net: an embedder if it makes one vector, else a detector."""
    path = source.path
    if len(net.inputs) != 1 or not net.outputs:
        raise ConvertError(f"{path}: the net has the inputs {', '.join(net.inputs) or 'none'}, expected one")
    net = _checked(path, net)
    (input_blob,) = net.inputs
    net, place = _one_output(source, net, options)
    size = _vector_size(net, net.outputs[0]) if len(net.outputs) == 1 else None
    if source.manifest is not None:
        manifest = _changed(source.manifest, options)
        if manifest.embedding_size != size:
            raise ConvertError(f"{path}: the net's output has {size} dimensions, its manifest says otherwise: damaged")
        return Subject(apply_batch_norm(net, options.batch_norm), net, None, manifest, net.outputs, source.remarks)
    input_size = _input_size(path, net, input_blob)
    recipe = recipe_for(source.files_sha256.values(), net, options, size) if size else Recipe()
    known = recipe.known
    manifest = Manifest(
        name=options.name or (known.name if known else model_name(source.name)),
        kind="embedder" if size else "detector",
        embedding_size=size,
        input_size=input_size,
        channels=recipe.channels,
        standardisation=recipe.standardisation,
        **recipe.framing(input_size),
        input_blob=input_blob,
        output_blob=net.outputs[-1],
        source=path.name,
        source_sha256=source.sha256,
        licence=known.licence if known else "",
    )
    remarks = (*source.remarks, *recipe.remarks)
    file = path if size and source.kind in RUNNABLE else None
    merged = apply_batch_norm(net, options.batch_norm)
    return Subject(merged, net, None, manifest, net.outputs, remarks, assumptions_of(recipe), file, place)


def _one_output(source: Source, net: Net, options: SourceOptions) -> tuple[Net, int]:
    """Return a net with the one result that is the embedding, and its number; detectors stay as they are."""
    if source.kind == "caffe" and options.output is not None:
        if options.output not in {top for layer in net.layers for top in layer.tops}:
            raise ConvertError(f"{source.path}: --output-node: the net has no blob '{options.output}'")
        return keep_output(net, options.output), 0
    if source.kind not in RUNNABLE or (len(net.outputs) == 1 and options.output is None):
        return net, 0
    shapes = infer_shapes(net)
    try:
        chosen = choose_output(source.path, {blob: shapes[blob] for blob in net.outputs}, options.output)
    except ConvertError:
        if options.output is not None:
            raise
        return net, 0  # a detector
    return keep_output(net, chosen), net.outputs.index(chosen)


def _checked(path: Path, net: Net) -> Net:
    """Return the net with its weights in the shapes of new files."""
    try:
        return fit_weights(net)
    except NetError as error:
        raise type(error)(f"{path}: {error}") from error


def _vector_size(net: Net, blob: str) -> int | None:
    """Return D if `blob` holds a vector, (1, D) or (1, D, 1, 1), else None."""
    shape = infer_shapes(net)[blob]
    return shape[1] if len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1)) else None


def _input_size(path: Path, net: Net, blob: str) -> tuple[int, int]:
    """Return the width and height of a net's input images."""
    shape = net.inputs[blob]
    if len(shape) != 4 or shape[1] != 3:
        raise ConvertError(f"{path}: the net takes an input of shape {shape}, expected RGB images (1, 3, H, W)")
    if max(shape) > LARGEST_SIDE:
        raise ConvertError(
            f"{path}: the net takes images of {shape[3]}x{shape[2]}, at most {LARGEST_SIDE} a side are supported"
        )
    return shape[3], shape[2]


def _standardisation(
    known: KnownModel | None, chosen: StandardisationName | None, size: int, by_net: bool
) -> tuple[Standardisation, tuple[str, ...]]:
    """Return the standardisation: as chosen, as known, as the net shows, or assumed from the embedding's size."""
    if chosen is not None:
        rule = STANDARDISATIONS[chosen]
        if known is None or known.standardisation == rule:
            return rule, ()
        return rule, (f"{known.name} was trained with {known.standardisation.kind}; {chosen} is used, as chosen",)
    if known is not None:
        return known.standardisation, (f"recognised: FaceNet {known.name}, trained on {known.trained_on}",)
    if by_net:
        remark = "the net rescales its images itself: pixels are passed as they are; override with --standardisation"
        return STANDARDISATIONS["none"], (remark,)
    guess: StandardisationName = "prewhiten" if size == 128 else "fixed"
    other = "fixed" if guess == "prewhiten" else "prewhiten"
    whose = f"official {size}-dimensional FaceNet models" if size in (128, 512) else "the newer official FaceNet models"
    remark = f"unknown file: assumed {FORMULAS[guess]}, as {whose} have it; override with --standardisation {other}"
    return STANDARDISATIONS[guess], (remark,)
