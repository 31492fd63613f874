"""Read the metadata of an .aimodel, and run it in Apple's runtime."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceall.convert.targets.coreai.options import SUFFIX
from faceall.convert.targets.coreai.write import WORKER
from faceall.convert.targets.process import run_worker
from faceall.convert.targets.writing_job import JOB
from faceall.errors import NetFormatError
from faceall.types import Array

PROGRAM, DIGEST, METADATA = "main.mlirb", "main.hash", "metadata.json"
"""The files of a model: the program with its weights, its SHA-256, and what the model says of itself."""

_ATTEMPTS = 2  # Apple's runtime 1.0.0b3 has aborted on a machine that was overloaded; the same job then succeeded


@dataclass(frozen=True)
class CoreaiModel:
    """A written model.

    Attributes
    ----------
    path : Path
        The folder.
    metadata : mapping of str to str
        "author", "license", "description", "producer" and faceall's own entries.
    """

    path: Path
    metadata: Mapping[str, str]

    def run(self, feeds: Sequence[Mapping[str, Array]]) -> tuple[list[dict[str, Array]], str]:
        """Run the model in Apple's runtime, in a process of its own.

        Parameters
        ----------
        feeds : sequence of mapping of str to array
            The inputs by their names, once for each run.

        Returns
        -------
        list of dict of str to array, str
            The outputs of each run by their names, and the version of the runtime.

        Raises
        ------
        MissingDependencyError
            If coreai-core is not installed.
        ConvertError
            If the runtime refuses the model or the inputs.
        """
        with tempfile.TemporaryDirectory(prefix="faceall-coreai-") as name:
            folder = Path(name)
            job = {"model": str(self.path.resolve()), "samples": len(feeds)}
            (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
            arrays = {f"{number}/{key}": array for number, feed in enumerate(feeds) for key, array in feed.items()}
            np.savez(folder / "inputs.npz", **arrays)  # type: ignore[arg-type]
            run_worker(WORKER, ["run"], folder, tool="coreai-core", task=f"run {self.path}", attempts=_ATTEMPTS)
            found: list[dict[str, Array]] = [{} for _ in feeds]
            with np.load(folder / "outputs.npz", allow_pickle=False) as results:
                for key in results.files:
                    number, _, output = key.partition("/")
                    found[int(number)][output] = results[key]
            return found, (folder / "version.txt").read_text(encoding="utf-8")


def read_coreai(path: str | Path) -> CoreaiModel:
    """Open an .aimodel; its program is compared with its checksum.

    Raises
    ------
    NetFormatError
        If it is absent or damaged.
    """
    folder = Path(path)
    if folder.suffix != SUFFIX:
        raise NetFormatError(f"{folder}: Core AI models end in {SUFFIX}")
    try:
        program, digest = (folder / PROGRAM).read_bytes(), (folder / DIGEST).read_bytes()
        values = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        own = values.pop("creatorDefinedMetadata", {})
        metadata = {str(key): str(value) for key, value in {**values, **own}.items()}
    except OSError as error:
        raise NetFormatError(f"{folder}: is no Core AI model ({error.strerror or error})") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise NetFormatError(f"{folder}: {METADATA} is damaged ({error})") from error
    if hashlib.sha256(program).digest() != digest:
        raise NetFormatError(f"{folder}: {PROGRAM} is damaged: its checksum is not the one in {DIGEST}")
    return CoreaiModel(folder, metadata)
