"""The job of a worker that writes a model: a folder with the net and what to do with it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceall.caffe.files import read_net, write_net
from faceall.convert.targets.description import Metadata
from faceall.convert.targets.plan import Pixels, Plan
from faceall.convert.targets.process import run_worker

JOB = "job.json"
_PROTOTXT, _CAFFEMODEL = "net.prototxt", "net.caffemodel"


@dataclass(frozen=True, eq=False)
class WritingJob:
    """What a worker writes.

    Attributes
    ----------
    plan : Plan
        The net, and how its inputs and outputs are called.
    metadata : Metadata
        What is stored beside the net.
    options : mapping
        The options of the target as JSON values.
    """

    plan: Plan
    metadata: Metadata
    options: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write the job into a folder."""
        values = {"options": self.options, "plan": self.plan.to_json(), "metadata": self.metadata.to_json()}
        (folder / JOB).write_text(json.dumps(values), encoding="utf-8")
        write_net(self.plan.net, folder / _PROTOTXT, folder / _CAFFEMODEL)

    @classmethod
    def load(cls, folder: Path) -> WritingJob:
        """Read the job in a folder."""
        values = json.loads((folder / JOB).read_text(encoding="utf-8"))
        pixels = Pixels(**values["plan"]["pixels"]) if values["plan"]["pixels"] else None
        net = read_net(folder / _PROTOTXT, folder / _CAFFEMODEL)
        plan = Plan(net, **{**values["plan"], "pixels": pixels})
        return cls(plan, Metadata(**values["metadata"]), values["options"])


@contextmanager
def done_by_worker(job: WritingJob, module: str, arguments: Sequence[str] = (), *, tool: str) -> Iterator[Path]:
    """Let a worker write a model, and yield the temporary folder that it is in.

    Parameters
    ----------
    job : WritingJob
        What to write.
    module : str
        The module of the worker.
    arguments : sequence of str
        What precedes the folder on its command line.
    tool : str
        The package that does the work, for messages.

    Raises
    ------
    FaceallError
        As the worker refused the job.
    ConvertError
        If it ended otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="faceall-") as name:
        folder = Path(name)
        job.save(folder)
        run_worker(module, arguments, folder, tool=tool, task="write this net")
        yield folder
