"""A model on disk: read, checked and written as a whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from faceall.errors import ModelDamagedError, ModelError
from faceall.files import make_folder, replacing
from faceall.models.manifest import CAFFEMODEL, EIGHT_BIT, MANIFEST, PROTOTXT, Manifest

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ModelFolder:
    """A folder with model.prototxt, model.caffemodel and manifest.json."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ModelFolder:
        """The model in a folder. Its files have to be there; their checksums are left to `verify`.

        Raises
        ------
        ModelError
            No folder, no or a wrong manifest.
        ModelDamagedError
            A file is absent.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise ModelError(
                f"{folder}: is not a folder; a model is a folder with {MANIFEST}, {PROTOTXT}, {CAFFEMODEL}"
            )
        try:
            manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise ModelError(f"{folder}: holds no {MANIFEST}, so it is not a model") from error
        except OSError as error:
            raise ModelError(f"{folder / MANIFEST}: cannot be read ({error.strerror})") from error
        except ModelError as error:
            raise ModelError(f"{folder / MANIFEST}: {error}") from error
        for name in manifest.files:
            if not (folder / name).is_file():
                raise ModelDamagedError(
                    f"{folder / name}: is absent, though {MANIFEST} lists it: import the model again"
                )
        return cls(folder, manifest)

    @property
    def name(self) -> str:
        """The model's name, from its manifest."""
        return self.manifest.name

    @property
    def prototxt(self) -> Path:
        """The layers, in Caffe's text format."""
        return self.path / PROTOTXT

    @property
    def caffemodel(self) -> Path:
        """The weights, in Caffe's binary format."""
        return self.path / CAFFEMODEL

    @property
    def ranges(self) -> dict[str, float]:
        """The layers that may be computed in 8 bits, with the largest value of their input; empty where none may.

        Raises
        ------
        ModelDamagedError
        """
        if EIGHT_BIT not in self.manifest.files:
            return {}
        try:
            values = json.loads((self.path / EIGHT_BIT).read_bytes())["ranges"]
            return {str(layer): float(largest) for layer, largest in values.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelDamagedError(f"{self.path / EIGHT_BIT}: cannot be read: import the model again") from error

    @property
    def fingerprint(self) -> str:
        """An id of 64 hexadecimal digits that is the same wherever the same model lies.

        It covers all that decides which vector a crop becomes: the files, the standardisation, the order of colours
        and the output. The name, the crop rule, the threshold and the layers in 8 bits are left out.
        """
        manifest = self.manifest
        essence = {
            "files": {name: digest for name, digest in manifest.files.items() if name != EIGHT_BIT},
            "standardisation": manifest.standardisation.to_json(),
            "channels": manifest.channels,
            "output_blob": manifest.output_blob,
        }
        return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()

    def verify(self) -> None:
        """Compare every file with its checksum in the manifest.

        Raises
        ------
        ModelDamagedError
            With the file, the expected and the actual SHA-256.
        """
        for name, expected in self.manifest.files.items():
            try:
                actual = sha256_of(self.path / name)
            except OSError as error:
                raise ModelDamagedError(f"{self.path / name}: cannot be read ({error.strerror})") from error
            if actual != expected:
                raise ModelDamagedError(
                    f"{self.path / name}: SHA-256 is {actual}, {MANIFEST} says {expected}: import the model again"
                )


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits; raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_model_folder(
    directory: str | os.PathLike[str],
    manifest: Manifest,
    files: Mapping[str, bytes | Path],
    *,
    replace_existing: bool = False,
) -> ModelFolder:
    """Write a model folder; it appears whole or not at all.

    Parameters
    ----------
    directory : str | os.PathLike[str]
        The folder to be; an empty one is taken, one with a model only with `replace_existing`.
    manifest : Manifest
        Its `files` are filled in from what is written.
    files : Mapping[str, bytes | Path]
        File name -> contents, or the path of a file to copy; an embedder needs model.prototxt and model.caffemodel.

    Raises
    ------
    ModelError
        If the place holds something else, a file is missing or it cannot be written.
    """
    target = Path(directory)
    refuse_taken(target, replace_existing=replace_existing)
    try:
        make_folder(target.parent)
        with replacing(target) as draft:
            draft.mkdir()
            complete = _fill(draft, manifest, files)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written ({error.strerror or error})") from error
    return ModelFolder(target, complete)


def refuse_taken(place: Path, *, replace_existing: bool) -> None:
    """Raise ModelError where a model folder must not be put at `place`.

    A place that is free or an empty folder is fine. With `replace_existing` so is a folder that holds a model and
    nothing else: a file that its manifest does not list, hidden ones too, belongs to somebody.
    """
    if not place.name:
        raise ModelError(f"{place}: is no place for a model; name a new folder")
    try:
        if not os.path.lexists(place):
            return
        present = sorted(os.listdir(place)) if place.is_dir() else None
    except OSError as error:
        raise ModelError(f"{place}: cannot be read ({error.strerror or error})") from error
    if present == []:
        return
    if not replace_existing:
        raise ModelError(f"{place}: exists already; choose another place or replace it")
    if present is None:
        raise ModelError(f"{place}: is a file and stays, only a model folder is replaced; choose another place")
    if foreign := _foreign(place, present):
        raise ModelError(f"{place}: is not replaced, as it holds more than a model: {foreign}; choose another place")


def _foreign(folder: Path, present: list[str]) -> str:
    """What in a folder is not a model's: a name and why; empty where all is."""
    try:
        files = Manifest.from_json((folder / MANIFEST).read_bytes()).files
    except (OSError, ModelError):
        return f"no readable {MANIFEST}"
    for name in present:
        if name != MANIFEST and name not in files:
            return f"'{name}', which {MANIFEST} does not list"
        if not (folder / name).is_file():
            return f"'{name}', which is not a file"
    return ""


def _fill(draft: Path, manifest: Manifest, files: Mapping[str, bytes | Path]) -> Manifest:
    """Write the files and the manifest into `draft`; returns the manifest with their checksums."""
    digests = {name: _write(draft / name, content) for name, content in files.items()}
    text = replace(manifest, files=digests).to_json()
    complete = Manifest.from_json(text)  # what is written can be read
    _write(draft / MANIFEST, text.encode())
    return complete


def _write(path: Path, content: bytes | Path) -> str:
    """Write or copy one file; return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        if isinstance(content, bytes):
            file.write(content)
            digest.update(content)
        else:
            with content.open("rb") as source:
                while block := source.read(_BLOCK):
                    file.write(block)
                    digest.update(block)
    return digest.hexdigest()
