"""The names of MTCNN's three nets in a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from faceall.caffe.net import Net
from faceall.caffe.shapes import infer_shapes

_FEATURES = {2: "probabilities", 4: "offsets", 10: "landmarks"}
"""Channels of a result -> its name."""


@dataclass(frozen=True)
class Role:
    """One net's place in the cascade.

    Attributes
    ----------
    name : str
        In front of the names of its signatures and nodes.
    file : str
        The stem of its files in Caffe's format.
    size : int
        The side of the window that it judges, in pixels.
    landmarks : bool
        Whether it finds landmarks, too.
    """

    name: str
    file: str
    size: int
    landmarks: bool = False


CASCADE = (Role("pnet", "det1", 12), Role("rnet", "det2", 24), Role("onet", "det3", 48, landmarks=True))


def cascade_files(folder: Path) -> tuple[Path, ...]:
    """Return the prototxts of MTCNN's three nets in `folder`, in order; empty unless all are there."""
    files = tuple(folder / f"{role.file}.prototxt" for role in CASCADE)
    return files if all(file.is_file() for file in files) else ()


def role_of(net: Net) -> Role | None:
    """Return which net of MTCNN this is, by the size of its images and its results; None for any other net."""
    shapes = infer_shapes(net)
    found = sorted(shapes[blob][1] for blob in net.outputs if len(shapes[blob]) in (2, 4))
    for role in CASCADE:
        wanted = [2, 4, 10] if role.landmarks else [2, 4]
        if [shape[1:] for shape in net.inputs.values()] == [(3, role.size, role.size)] and found == wanted:
            return role
    return None


def names_of_results(net: Net) -> Mapping[str, str]:
    """Return blob -> its name in a signature, for a net of the cascade."""
    shapes = infer_shapes(net)
    return {blob: _FEATURES[shapes[blob][1]] for blob in net.outputs}
