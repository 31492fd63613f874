"""The process that imports coreai-core: `python -m faceall.convert.targets.coreai.worker write|run FOLDER`.

write: FOLDER holds net.prototxt, net.caffemodel and job.json; the model is put beside them as model.aimodel.
run: FOLDER holds job.json with the model's path, and inputs.npz; the results are put beside them as outputs.npz.
Keys of the arrays are NUMBER/NAME. A refusal is written to error.json as {"kind": ..., "text": ...}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from faceall.convert.targets.coreai import border
from faceall.convert.targets.coreai.options import SUFFIX
from faceall.convert.targets.coreai.program import build_program
from faceall.convert.targets.process import refused
from faceall.convert.targets.writing_job import JOB, WritingJob
from faceall.types import Array


def write(folder: Path) -> None:
    """Write the model of the job in a folder."""
    job = WritingJob.load(folder)
    program = build_program(job.plan, half=job.options["precision"] == "float16")
    border.save(program, folder / f"model{SUFFIX}", job.metadata)


def run(folder: Path) -> None:
    """Run a written model on every set of inputs in a folder."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    with np.load(folder / "inputs.npz", allow_pickle=False) as arrays:
        feeds: list[dict[str, Array]] = [{} for _ in range(job["samples"])]
        for key in arrays.files:
            number, _, name = key.partition("/")
            feeds[int(number)][name] = arrays[key]
    results = border.run(Path(job["model"]), feeds)
    named = {f"{number}/{name}": array for number, made in enumerate(results) for name, array in made.items()}
    np.savez(folder / "outputs.npz", **named)  # type: ignore[arg-type]
    (folder / "version.txt").write_text(border.version(), encoding="utf-8")


def main() -> int:
    """Do the job in the folder of the command line; exit code 3 is a refusal, which error.json explains."""
    verb, folder = sys.argv[1], Path(sys.argv[2])
    return refused(folder, lambda: {"write": write, "run": run}[verb](folder))


if __name__ == "__main__":
    sys.exit(main())
