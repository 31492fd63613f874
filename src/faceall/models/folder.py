"""Read, verify and write model folders."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from faceall.arguments import checked
from faceall.errors import ModelDamagedError, ModelError
from faceall.files import make_folder, replacing
from faceall.models.manifest import CAFFEMODEL, EIGHT_BIT, MANIFEST, PROTOTXT, Manifest

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ModelFolder:
    """A folder with manifest.json and the net: model.prototxt with model.caffemodel, or `net_file`."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ModelFolder:
        """Open the model in a folder. Its files must exist; `verify` compares their checksums.

        Raises
        ------
        ModelError
            If the path is not a folder, or its manifest is missing or wrong.
        ModelDamagedError
            If a file of the manifest is missing.
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
                    f"{folder / name}: is missing, though {MANIFEST} lists it: import the model again"
                )
        return cls(folder, manifest)

    @property
    def name(self) -> str:
        """The model's name, from its manifest."""
        return self.manifest.name

    @property
    def prototxt(self) -> Path:
        """The path of the layers, in Caffe's text format."""
        return self.path / PROTOTXT

    @property
    def caffemodel(self) -> Path:
        """The path of the weights, in Caffe's binary format."""
        return self.path / CAFFEMODEL

    @property
    def net_file(self) -> Path | None:
        """The path of the file that is run as it is, model.onnx or model.xml; None for a net in Caffe's formats."""
        name = self.manifest.net_file
        return None if name is None else self.path / name

    @property
    def ranges(self) -> dict[str, float]:
        """The layers that can be computed in 8 bits, with the largest value of their input; empty if there are none.

        Raises
        ------
        ModelDamagedError
            If the file cannot be read.
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
        """The model's identity, 64 hexadecimal digits, the same for every copy of the model.

        It covers everything that determines the vector of a crop: the files, the standardisation, the channel order,
        the alignment and the output. The name, the crop rule, the threshold and the layers in 8 bits are left out.
        """
        manifest = self.manifest
        essence = {
            "files": {name: digest for name, digest in manifest.files.items() if name != EIGHT_BIT},
            "standardisation": manifest.standardisation.to_json(),
            "channels": manifest.channels,
            "output_blob": manifest.output_blob,
        }
        if manifest.alignment is not None:
            essence["alignment"] = manifest.alignment.to_json()
        return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()

    def verify(self) -> None:
        """Compare every file with its checksum in the manifest.

        Raises
        ------
        ModelDamagedError
            If a checksum differs; the message has the file, the expected and the actual SHA-256.
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


@checked
def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@checked
def write_model_folder(
    directory: str | os.PathLike[str],
    manifest: Manifest,
    files: Mapping[str, bytes | Path],
    *,
    replace_existing: bool = False,
) -> ModelFolder:
    """Write a model folder atomically.

    Parameters
    ----------
    directory : path
        The folder to write. An empty folder may be there; a model only with `replace_existing`.
    manifest : Manifest
        The model's description; its `files` are set from what is written.
    files : mapping of str to bytes or Path
        File name -> contents, or the path of a file to copy. An embedder needs model.prototxt and model.caffemodel, or
        model.onnx, or model.xml and model.bin.
    replace_existing : bool
        Whether a model in `directory` may be replaced.

    Returns
    -------
    ModelFolder
        The written model.

    Raises
    ------
    ModelError
        If something else is at the path, a file is missing or the folder cannot be written.
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


@checked
def refuse_taken(place: Path, *, replace_existing: bool) -> None:
    """Raise ModelError if a model folder must not be written to `place`.

    A path that is free or an empty folder is allowed. With `replace_existing` so is a folder that holds a model and
    nothing else; a file that its manifest does not list, even a hidden one, belongs to the user.
    """
    if not place.name:
        raise ModelError(f"{place}: cannot hold a model; name a new folder")
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
    """Return the name of a file that is not part of a model, with the reason; empty if there is none."""
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
    """Write the files and the manifest into `draft`; return the manifest with their checksums."""
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
