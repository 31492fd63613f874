"""The state of a training on disk: written atomically, never a pickle."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceall.errors import TrainError
from faceall.files import make_folder, replaced_file
from faceall.types import Array

SCHEMA = 1
_NAME = re.compile(r"step-(\d{9})\.npz")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that a training needs to resume exactly.

    Attributes
    ----------
    step : int
        Number of finished steps.
    weights : mapping of str to array
        Variables of the net and of the objective, including statistics.
    optimizer : mapping of str to array
        Variables of the optimiser.
    averages : mapping of str to array
        Running averages of the weights; empty if not used.
    notes : mapping
        Plain JSON values.
    """

    step: int
    weights: Mapping[str, Array]
    optimizer: Mapping[str, Array]
    averages: Mapping[str, Array]
    notes: Mapping[str, Any]


_PARTS = ("weights", "optimizer", "averages")


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int = 2) -> Path:
    """Write FOLDER/step-NNNNNNNNN.npz atomically and remove older checkpoints.

    Parameters
    ----------
    folder : Path
        Folder of the checkpoints.
    checkpoint : Checkpoint
        The state.
    keep : int
        Number of checkpoints to keep.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TrainError
        If it cannot be written.
    """
    arrays = {f"{part}/{name}": array for part in _PARTS for name, array in getattr(checkpoint, part).items()}
    about = json.dumps({"schema": SCHEMA, "step": checkpoint.step, "notes": dict(checkpoint.notes)}).encode()
    path = folder / f"step-{checkpoint.step:09d}.npz"
    try:
        make_folder(folder)
        with replaced_file(path) as file:
            np.savez(file, about=np.frombuffer(about, np.uint8), **arrays)
        for old in list_checkpoints(folder)[:-keep]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise TrainError(f"{path}: the checkpoint cannot be written ({error.strerror or error})") from error
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first."""
    return sorted(path for path in folder.glob("step-*.npz") if _NAME.fullmatch(path.name))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Checkpoint
        The state.

    Raises
    ------
    TrainError
        If it is damaged or was written by a newer faceall.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(archive["about"].tobytes())
            arrays = {name: archive[name] for name in archive.files if name != "about"}
        schema, step, notes = int(about["schema"]), int(about["step"]), dict(about["notes"])
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror or 'the checkpoint is damaged'})") from error
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TrainError(f"{path}: the checkpoint is damaged; remove it to resume from the previous one") from error
    if schema > SCHEMA:
        raise TrainError(f"{path}: was written by a newer faceall (schema {schema}, this one knows {SCHEMA})")
    parts: dict[str, dict[str, Array]] = {part: {} for part in _PARTS}
    for name, array in arrays.items():
        part, _, variable = name.partition("/")
        if part in parts:
            parts[part][variable] = array
    return Checkpoint(step, parts["weights"], parts["optimizer"], parts["averages"], notes)
