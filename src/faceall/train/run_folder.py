"""A run folder: options, data, measurements and state of a training.

- run.json: options, data, seeds and the version of faceall, written first; enough to repeat the training
- results.jsonl: a line per measurement
- checkpoints/: the state, written every few minutes; the last ones are kept
- *.npy: arrays that were fitted before the first step
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceall.errors import TrainError
from faceall.files import make_folder, write_file
from faceall.train.checkpoints import Checkpoint, list_checkpoints, read_checkpoint

SCHEMA = 1
RUN = "run.json"
RESULTS = "results.jsonl"


class RunFolder:
    """One training on disk.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def exists(self) -> bool:
        """Whether the folder contains a run."""
        return (self.path / RUN).is_file()

    def begin(self, about: Mapping[str, Any]) -> None:
        """Write run.json into a new or empty folder.

        Parameters
        ----------
        about : mapping
            Plain JSON values.

        Raises
        ------
        TrainError
            If the folder is not empty or cannot be written.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise TrainError(f"{self.path}: is not empty; choose a new folder for a new run")
        self.describe(about)

    def describe(self, about: Mapping[str, Any]) -> None:
        """Replace run.json atomically.

        Parameters
        ----------
        about : mapping
            Plain JSON values.

        Raises
        ------
        TrainError
            If it cannot be written.
        """
        text = json.dumps({**about, "schema": SCHEMA}, indent=2, ensure_ascii=False) + "\n"
        try:
            make_folder(self.path)
            write_file(self.path / RUN, text)
        except OSError as error:
            raise TrainError(f"{self.path}: cannot be written ({error.strerror or error})") from error

    def about(self) -> dict[str, Any]:
        """Read run.json.

        Returns
        -------
        dict
            Plain JSON values.

        Raises
        ------
        TrainError
            If it is missing, damaged or was written by a newer faceall.
        """
        try:
            values = json.loads((self.path / RUN).read_bytes())
        except FileNotFoundError as error:
            raise TrainError(f"{self.path}: contains no {RUN}, so it is not a run folder") from error
        except (OSError, ValueError) as error:
            raise TrainError(f"{self.path / RUN}: cannot be read; the file is damaged") from error
        if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
            raise TrainError(f"{self.path / RUN}: is damaged: it has no schema")
        if values["schema"] > SCHEMA:
            raise TrainError(f"{self.path / RUN}: was written by a newer faceall; upgrade faceall")
        return values

    def note_data(self, data: Mapping[str, Any], step: int) -> int:
        """Record the data used from a step on, if it differs from the data before.

        Parameters
        ----------
        data : mapping
            Description of the data with its "sha256".
        step : int
            The current step.

        Returns
        -------
        int
            The step from which the data is used, where the order of its images starts.
        """
        about = self.about()
        last = about["data"][-1] if about["data"] else None
        if last is None or last["sha256"] != data["sha256"]:
            last = {"first_step": step, **data}
            self.describe({**about, "data": [*about["data"], last]})
        return int(last["first_step"])

    def latest(self) -> Checkpoint | None:
        """Read the last checkpoint; None before the first."""
        found = list_checkpoints(self.checkpoints)
        return read_checkpoint(found[-1]) if found else None

    def record(self, values: Mapping[str, Any]) -> None:
        """Append a line to results.jsonl, with the time.

        Parameters
        ----------
        values : mapping
            The measurement.

        Raises
        ------
        TrainError
            If it cannot be written.
        """
        line = json.dumps({**values, "time": round(time.time(), 1)}) + "\n"
        try:
            with (self.path / RESULTS).open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise TrainError(f"{self.path / RESULTS}: cannot be written ({error.strerror or error})") from error

    def results(self) -> list[dict[str, Any]]:
        """Read all measurements; an incomplete last line is ignored.

        Raises
        ------
        TrainError
            If the file cannot be read.
        """
        try:
            lines = (self.path / RESULTS).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TrainError(f"{self.path / RESULTS}: cannot be read ({error.strerror or error})") from error
        return [values for values in map(_read_line, lines) if values is not None]


def _read_line(line: str) -> dict[str, Any] | None:
    """Parse a line of results; None if it is incomplete."""
    try:
        values: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return values
