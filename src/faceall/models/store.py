"""Find, install and remove models."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from faceall.arguments import checked
from faceall.errors import ModelError, ModelNotFoundError
from faceall.files import remove_folder
from faceall.models.folder import ModelFolder, write_model_folder
from faceall.models.known import KNOWN_MODELS, recommended
from faceall.models.manifest import EIGHT_BIT, MANIFEST, PROTOTXT, Manifest, ModelKind

BUNDLED = Path(__file__).parent / "bundled"
"""The folder of the models in the package."""


@dataclass(frozen=True)
class ScannedFolder:
    """A folder of the search path that looks like a model: one of `model` and `error` is None."""

    path: Path
    model: ModelFolder | None = None
    error: ModelError | None = None


@checked
def data_folder() -> Path:
    """Return the user's folder for faceall: FACEALL_DATA, else the platform's. It may not exist yet."""
    given = os.environ.get("FACEALL_DATA")
    return Path(given).expanduser() if given else Path(platformdirs.user_data_dir("faceall", appauthor=False))


@checked
def search_path() -> list[Path]:
    """Return the search path of models: FACEALL_MODELS, the user's data folder, the models in the package.

    An entry is a folder of model folders, or a model folder itself.
    """
    given = [Path(part).expanduser() for part in os.environ.get("FACEALL_MODELS", "").split(os.pathsep) if part]
    return [*given, _user_models(), BUNDLED]


@checked
def scan() -> list[ScannedFolder]:
    """Return every model folder on the search path, in its order and then by name; damaged ones with their error.

    A missing folder of FACEALL_MODELS counts as damaged, a missing data folder does not.
    """
    return list(_scan())


@checked
def installed_models(kind: ModelKind | None = None) -> list[ModelFolder]:
    """Return the usable models, of one kind or all, in the order of the search path and then by name.

    Of two models with the same name the first is returned. `scan` also reports the unusable ones.
    """
    found: dict[str, ModelFolder] = {}
    for entry in _scan():
        if entry.model is not None and kind in (None, entry.model.manifest.kind):
            found.setdefault(entry.model.name, entry.model)
    return list(found.values())


@checked
def find_model(
    name: str | os.PathLike[str] | None = None, *, kind: ModelKind = "embedder", size: int | None = None
) -> ModelFolder:
    """Find a model.

    Parameters
    ----------
    name : str or path, optional
        The name of an installed model or the path of a model folder. Default: the first model that fits.
    kind : {"embedder", "detector"}
        The kind of model.
    size : int, optional
        Dimensions of the embedding. Default: any.

    Returns
    -------
    ModelFolder
        The model.

    Raises
    ------
    ModelNotFoundError
        If no model fits; the message says what to install and how.
    ModelError
        If the named model is unusable, or of another kind or size.
    """
    if name is None:
        fitting = [model for model in installed_models(kind) if size in (None, model.manifest.embedding_size)]
        if not fitting:
            raise ModelNotFoundError(_nothing_fits(kind, size))
        return fitting[0]
    model = _named(name)
    manifest = model.manifest
    if manifest.kind != kind:
        raise ModelError(f"{name} is of the kind '{manifest.kind}', expected '{kind}'")
    if size not in (None, manifest.embedding_size):
        raise ModelError(f"{name} is {manifest.embedding_size}-dimensional, {size} dimensions were asked for")
    return model


@checked
def adopt(folder: ModelFolder | str | os.PathLike[str], *, replace: bool = False) -> ModelFolder:
    """Copy a model into the user's data folder, after its checksums have been verified.

    Parameters
    ----------
    folder : ModelFolder or path
        The model, or the path of its folder.
    replace : bool
        Whether another model of the same name may be replaced.

    Returns
    -------
    ModelFolder
        The installed model. Nothing is written if the same model is installed already.

    Raises
    ------
    ModelDamagedError
        If a file does not match its checksum.
    ModelError
        If another model of the name is installed, or the model cannot be written.
    """
    source = folder if isinstance(folder, ModelFolder) else ModelFolder.open(folder)
    source.verify()
    _refuse_bundled_name(source)
    target = _user_models() / source.name
    if _is_sound_copy(target, source):
        return ModelFolder.open(target)
    if target.exists() and not replace and not _is_damaged_copy(target, source):
        raise ModelError(
            f"{target}: another model of the name '{source.name}' is installed; remove or replace it first"
        )
    files = {name: source.path / name for name in source.manifest.files}
    return write_model_folder(target, source.manifest, files, replace_existing=True)


@checked
def find_by_fingerprint(fingerprint: str) -> ModelFolder | None:
    """Return the installed model of a fingerprint, also if another model of its name comes first.

    Parameters
    ----------
    fingerprint : str
        The fingerprint or its beginning.

    Returns
    -------
    ModelFolder or None
        The first such model on the search path.
    """
    models = (entry.model for entry in _scan() if entry.model is not None)
    return next((model for model in models if fingerprint and model.fingerprint.startswith(fingerprint)), None)


@checked
def remove(name: str) -> None:
    """Delete an installed model from the user's data folder.

    Raises
    ------
    ModelNotFoundError
        If no model has this name.
    ModelError
        If the model is outside the user's data folder or cannot be deleted.
    """
    folder = _user_models()
    if not folder.is_dir() or name.startswith(".") or name not in os.listdir(folder):  # so never "", ".." or a path
        model = _named(name)
        raise ModelError(f"{model.path}: is outside the user's data folder {folder}; delete it by hand")
    try:
        if (folder / name).is_symlink():
            (folder / name).unlink()
            return
        remove_folder(folder / name)
    except OSError as error:
        raise ModelError(f"{folder / name}: cannot be removed ({error.strerror or error})") from error


def _refuse_bundled_name(source: ModelFolder) -> None:
    """Raise ModelError if a model has the name of another one in the package, whose galleries it would take over."""
    bundled = BUNDLED / source.name
    if not (bundled / MANIFEST).is_file():
        return
    if ModelFolder.open(bundled).fingerprint != source.fingerprint:
        raise ModelError(f"'{source.name}' is the name of a model in the package; choose another name with --name")


def _user_models() -> Path:
    return data_folder() / "models"


def _scan() -> Iterator[ScannedFolder]:
    """Yield the model folders of the search path, each folder once."""
    user, bundled = search_path()[-2:]
    for root in dict.fromkeys(search_path()):
        if not os.path.isdir(root):
            if root not in (user, bundled):
                yield ScannedFolder(root, error=ModelError(f"{root}: FACEALL_MODELS names it, but it is not a folder"))
            continue
        try:
            folders = [root] if _looks_like_model(root) else sorted(filter(_looks_like_model, root.iterdir()))
        except OSError as error:
            yield ScannedFolder(root, error=ModelError(f"{root}: cannot be read ({error.strerror})"))
            continue
        yield from map(_examine, folders)


def _looks_like_model(folder: Path) -> bool:
    """Return whether a folder looks like a model or cannot be read; drafts have hidden names."""
    if folder.name.startswith(".") or not os.path.isdir(folder):
        return False
    return not os.access(folder, os.X_OK) or any(os.path.exists(folder / name) for name in (MANIFEST, PROTOTXT))


def _examine(folder: Path) -> ScannedFolder:
    try:
        return ScannedFolder(folder, model=ModelFolder.open(folder))
    except ModelError as error:
        return ScannedFolder(folder, error=error)


def _named(name: str | os.PathLike[str]) -> ModelFolder:
    """Return the model of a name, or in the folder at a path."""
    if isinstance(name, str) and name == Path(name).name:
        entries = list(_scan())
        for entry in entries:
            if entry.model is not None and entry.model.name == name:
                return entry.model
        for entry in entries:
            if entry.error is not None and entry.path.name == name:
                raise entry.error
    if Path(name).is_dir():
        return ModelFolder.open(name)
    names = ", ".join(model.name for model in installed_models()) or "none"
    raise ModelNotFoundError(
        f"no model '{os.fspath(name)}' is installed and no folder is there; installed are: {names}"
    )


def _is_sound_copy(folder: Path, source: ModelFolder) -> bool:
    """Return whether a folder holds an undamaged copy of a model."""
    try:
        model = ModelFolder.open(folder)
        model.verify()
    except ModelError:
        return False
    return _essence(model.manifest) == _essence(source.manifest)


def _is_damaged_copy(folder: Path, source: ModelFolder) -> bool:
    """Return whether a folder holds the manifest of the same model; its other files may be damaged."""
    try:
        return _essence(Manifest.from_json((folder / MANIFEST).read_bytes())) == _essence(source.manifest)
    except (OSError, ModelError):
        return False


def _essence(manifest: Manifest) -> Manifest:
    """Return the manifest without what was measured on this machine."""
    files = {name: digest for name, digest in manifest.files.items() if name != EIGHT_BIT}
    return dataclasses.replace(manifest, files=files)


def _nothing_fits(kind: ModelKind, size: int | None) -> str:
    """Return one line: what is missing, what there is instead, and what to install."""
    wanted = f"no {kind} is installed" if size is None else f"no {kind} with {size} dimensions is installed"
    present = [f"{model.name} ({model.manifest.embedding_size})" for model in installed_models(kind)]
    broken = [str(entry.path) for entry in _scan() if entry.error is not None]
    notes = [f"installed are {', '.join(present)}"] if present else []
    notes += [f"unusable: {', '.join(broken)} (faceall models list says why)"] if broken else []
    text = "; ".join([wanted, *notes])
    file = recommended(size)
    if kind != "embedder":
        return text
    if file is None:
        sizes = sorted({model.embedding_size for model in KNOWN_MODELS})
        return f"{text}; the official FaceNet files have {' or '.join(map(str, sizes))} dimensions"
    what = f"{file.file_name} (FaceNet, {file.embedding_size}-dimensional)"
    return f"{text}: get {what} and run: faceall models import {file.file_name}"
