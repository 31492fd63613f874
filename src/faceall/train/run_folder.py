"""A run folder: what a training was told, what it learnt from, how it went, and where it stands.

run.json        the options, the data, the seeds, the version of faceall: written first, enough to do it again
results.jsonl   a line for every measurement
checkpoints/    the state, every few minutes; the last ones are kept
*.npy           what was fitted before the first step
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
    """One training on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """Where the state is."""
        return self.path / "checkpoints"

    @property
    def exists(self) -> bool:
        """Whether a training has begun here."""
        return (self.path / RUN).is_file()

    def begin(self, about: Mapping[str, Any]) -> None:
        """Write run.json into a folder that is empty or absent. Raises TrainError where something lies there."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise TrainError(f"{self.path}: holds something already; name a new folder for a new run")
        self.describe(about)

    def describe(self, about: Mapping[str, Any]) -> None:
        """Write run.json anew; it appears whole."""
        text = json.dumps({**about, "schema": SCHEMA}, indent=2, ensure_ascii=False) + "\n"
        try:
            make_folder(self.path)
            write_file(self.path / RUN, text)
        except OSError as error:
            raise TrainError(f"{self.path}: cannot be written ({error.strerror or error})") from error

    def about(self) -> dict[str, Any]:
        """What run.json says. Raises TrainError where it is absent, damaged or newer than this faceall."""
        try:
            values = json.loads((self.path / RUN).read_bytes())
        except FileNotFoundError as error:
            raise TrainError(f"{self.path}: holds no {RUN}, so it is no run") from error
        except (OSError, ValueError) as error:
            raise TrainError(f"{self.path / RUN}: cannot be read: it is damaged") from error
        if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
            raise TrainError(f"{self.path / RUN}: is damaged: it has no schema")
        if values["schema"] > SCHEMA:
            raise TrainError(f"{self.path / RUN}: was written by a newer faceall; upgrade faceall")
        return values

    def note_data(self, data: Mapping[str, Any], step: int) -> int:
        """Write down what is learnt from, from `step` on, where it is other data than before.

        returns  the step from which on it is learnt from, where the order of its pictures begins
        """
        about = self.about()
        last = about["data"][-1] if about["data"] else None
        if last is None or last["sha256"] != data["sha256"]:
            last = {"first_step": step, **data}
            self.describe({**about, "data": [*about["data"], last]})
        return int(last["first_step"])

    def latest(self) -> Checkpoint | None:
        """The last checkpoint; None before the first."""
        found = list_checkpoints(self.checkpoints)
        return read_checkpoint(found[-1]) if found else None

    def record(self, values: Mapping[str, Any]) -> None:
        """Add a line to results.jsonl, with the time."""
        line = json.dumps({**values, "time": round(time.time(), 1)}) + "\n"
        try:
            with (self.path / RESULTS).open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise TrainError(f"{self.path / RESULTS}: cannot be written ({error.strerror or error})") from error

    def results(self) -> list[dict[str, Any]]:
        """All measurements so far; a line that a kill cut off is left out."""
        try:
            lines = (self.path / RESULTS).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TrainError(f"{self.path / RESULTS}: cannot be read ({error.strerror or error})") from error
        return [values for values in map(_read_line, lines) if values is not None]


def _read_line(line: str) -> dict[str, Any] | None:
    """What a line of results says; None for one that a kill cut off."""
    try:
        values: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return values
