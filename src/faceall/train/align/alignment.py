"""Align a folder of photos: write one crop per face, cut out as a model expects it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Event

import numpy as np

from faceall.analysis.analyser import FaceDetector, primary_face
from faceall.errors import AlignError, ImageError, ImageTooLargeError, WorkerLostError
from faceall.files import write_file
from faceall.images import find_images, read_image, write_image
from faceall.processes import ProcessTeam
from faceall.train.align.journal import JOURNAL, AlignedPhoto, FaceCrop, Journal, read_report, remove_drafts
from faceall.train.align.options import OPTIONS, AlignOptions, read_options
from faceall.types import Face, Faces, Image

__all__ = ["AlignOptions", "AlignedPhoto", "Aligner", "Alignment", "FaceCrop", "Task", "read_options", "read_report"]

_BATCH = 16  # photos per task of a process


@dataclass(frozen=True)
class Task:
    """One photo to align.

    Attributes
    ----------
    source : Path
        The photo.
    target : Path
        Path of the crop; if all faces are cut out, each crop gets a number before its suffix.
    path : str
        Path of the photo relative to its folder, with /.
    file : str
        Path of the crop relative to the folder of crops, with /.
    """

    source: Path
    target: Path
    path: str
    file: str


class Alignment(Iterator[AlignedPhoto]):
    """Cut the faces out of every photo of a folder; iterating does the work.

    A photo is reported once its crops are written. Photos that an earlier run finished are skipped, unless the photo
    has changed or a crop is missing. A run may be killed at any moment: every file is written atomically. Crops of
    photos that no longer exist are kept.

    Parameters
    ----------
    photos : str or path-like
        Folder of photos, possibly with one folder per person; the crops keep that structure.
    target : str or path-like
        Folder for the crops. `align.json` states how they were made, `align.jsonl` has a line per photo.
    options : AlignOptions, optional
        How faces are chosen and cut out.
    workers : int
        Number of processes; 1 works in this process.
    stop : threading.Event, optional
        Ends the run before the next photos; finished photos are kept.
    detector : FaceDetector, optional
        Finds the faces; by default faceall's detector. Implies one process.

    Raises
    ------
    AlignError
        If there are no photos, a folder cannot be used, or the crops there were made with other options.
    ValueError
        If `workers` is below 1.
    """

    def __init__(
        self,
        photos: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        options: AlignOptions | None = None,
        workers: int = 1,
        stop: Event | None = None,
        detector: FaceDetector | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self.options = options or AlignOptions()
        self._photos, self._target = Path(photos), Path(target)
        self._workers, self._stop, self._detector = workers, stop or Event(), detector
        self._tasks = _plan(self._photos, self._target, self.options)
        _prepare(self._target, self.options)
        self._results = self._run()

    @property
    def total(self) -> int:
        """Number of photos."""
        return len(self._tasks)

    def __next__(self) -> AlignedPhoto:
        return next(self._results)

    def close(self) -> None:
        """Stop the run; finished photos are kept."""
        self._results.close()  # type: ignore[attr-defined]

    def _run(self) -> Iterator[AlignedPhoto]:
        """Yield the skipped photos, then the new ones."""
        with Journal(self._target / JOURNAL) as journal:
            remove_drafts(self._target)
            known = read_report(self._target)
            waiting = []
            for task in self._tasks:
                if done := _done_before(task, known.get(task.path), self._target):
                    yield done
                else:
                    waiting.append(task)
            for photos in self._align(waiting):
                for photo in photos:
                    _remove_crops(self._target, known.get(photo.path), kept=photo)
                journal.add(photos)  # last: a run that is killed before does these photos again
                yield from photos

    def _align(self, tasks: Sequence[Task]) -> Iterator[list[AlignedPhoto]]:
        """Align the tasks in batches, in order, until `stop` is set."""
        batches = [tasks[start : start + _BATCH] for start in range(0, len(tasks), _BATCH)]
        if self._workers == 1 or len(batches) < 2 or self._detector is not None:
            aligner = Aligner(self.options, self._detector) if batches else None
            for batch in batches:
                if aligner is None or self._stop.is_set():
                    return
                yield aligner.align(batch)
            return
        try:
            with ProcessTeam(min(self._workers, len(batches))) as team:
                yield from team.map(partial(_align_in_worker, self.options), batches, self._stop)
        except WorkerLostError as error:
            raise AlignError(
                "a worker process has died, perhaps because memory ran out: run again with fewer workers; "
                "finished photos are kept"
            ) from error


class Aligner:
    """Align photos in one process.

    Parameters
    ----------
    options : AlignOptions
        How faces are chosen and cut out.
    detector : FaceDetector, optional
        Finds the faces; by default faceall's detector.
    """

    def __init__(self, options: AlignOptions, detector: FaceDetector | None = None) -> None:
        if detector is None:
            from faceall.detect import Detector

            detector = Detector(min_face=options.min_face)
        self._options, self._detector = options, detector

    def align(self, tasks: Sequence[Task]) -> list[AlignedPhoto]:
        """Align photos and write their crops.

        Parameters
        ----------
        tasks : sequence of Task
            The photos.

        Returns
        -------
        list of AlignedPhoto
            One result per task, in order.

        Raises
        ------
        AlignError
            If a crop cannot be written.
        """
        return [self._align_one(task) for task in tasks]

    def _align_one(self, task: Task) -> AlignedPhoto:
        """Align one photo."""
        photo, image = _read(task)
        if image is None:
            return photo
        (faces,) = self._detector.detect_batch([image])
        if not len(faces):
            return replace(photo, status="no-face", message="no face found")
        chosen = faces.take(_choose(faces, image.shape, self._options))
        cuts = self._options.cut(image, chosen.boxes, chosen.landmarks)
        files = _crop_files(task, len(chosen), self._options)
        for (path, _), cut in zip(files, cuts, strict=True):
            _write(path, cut)
        crops = tuple(_record(file, face) for (_, file), face in zip(files, chosen, strict=True))
        return replace(photo, status="aligned", faces=len(faces), crops=crops)


def _align_in_worker(options: AlignOptions, tasks: Sequence[Task]) -> list[AlignedPhoto]:
    """In a worker process: align photos."""
    return _aligner(options).align(tasks)


@lru_cache(maxsize=1)
def _aligner(options: AlignOptions) -> Aligner:
    """In a worker process: make the aligner for the first photos."""
    return Aligner(options)


def _read(task: Task) -> tuple[AlignedPhoto, Image | None]:
    """Read a photo; without an image, the status says why."""
    photo = AlignedPhoto(path=task.path, status="unreadable")
    try:
        status = os.stat(task.source)
        if not stat.S_ISREG(status.st_mode):
            return replace(photo, message="is not a regular file"), None
        photo = replace(photo, size=status.st_size, modified=status.st_mtime_ns)
        return photo, read_image(task.source)
    except ImageTooLargeError as error:
        return replace(photo, status="too-large", message=error.reason), None
    except ImageError as error:
        return replace(photo, message=error.reason), None
    except OSError as error:
        return replace(photo, message=f"cannot be opened ({error.strerror})"), None


def _record(file: str, face: Face) -> FaceCrop:
    """Describe a crop for the report, rounded."""
    box, points = np.round(face.box.astype(float), 2), np.round(face.landmarks.astype(float), 2)
    landmarks = tuple(map(tuple, points.tolist()))
    return FaceCrop(file=file, box=tuple(box.tolist()), score=round(face.score, 6), landmarks=landmarks)


def _choose(faces: Faces, shape: tuple[int, ...], options: AlignOptions) -> list[int]:
    """Return the indices of the faces to cut out."""
    if options.faces == "all":
        return list(range(len(faces)))
    return [int(np.argmax(faces.scores)) if options.faces == "surest" else primary_face(faces, shape)]


def _crop_files(task: Task, count: int, options: AlignOptions) -> list[tuple[Path, str]]:
    """Return the paths of a photo's crops, and their names in the report."""
    if options.faces != "all":
        return [(task.target, task.file)]
    suffixes = [f".{number}.{options.format}" for number in range(1, count + 1)]
    return [(task.target.with_name(task.target.name + suffix), task.file + suffix) for suffix in suffixes]


def _plan(photos: Path, target: Path, options: AlignOptions) -> list[Task]:
    """List the tasks, or raise AlignError if the folders cannot be used."""
    if not photos.is_dir():
        raise AlignError(f"{photos}: is not a folder of photos")
    inside = photos.resolve()
    if target.resolve() == inside or inside in target.resolve().parents:
        raise AlignError(
            f"{target}: is inside the folder of photos, where crops would be read as photos; choose another folder"
        )
    try:
        sources = find_images(photos)
    except ImageError as error:
        raise AlignError(str(error)) from error
    if not sources:
        raise AlignError(f"{photos}: contains no images")
    tasks = [_task(source, photos, target, options) for source in sources]
    taken: dict[str, str] = {}
    for task in tasks:
        if (other := taken.setdefault(task.file, task.path)) != task.path:
            raise AlignError(f"{photos}: {other} and {task.path} would both become {task.file}; rename one of them")
    return tasks


def _task(source: Path, photos: Path, target: Path, options: AlignOptions) -> Task:
    """Name the crop: Ada/1.jpg stays, Ada/1.png becomes Ada/1.png.jpg, with all faces Ada/1.jpg.1.jpg and so on."""
    path = source.relative_to(photos).as_posix()
    keeps_name = options.faces == "all" or source.suffix == f".{options.format}"
    file = path if keeps_name else f"{path}.{options.format}"
    return Task(source, target / file, path, file)


def _prepare(target: Path, options: AlignOptions) -> None:
    """Create the folder and its align.json; raise AlignError if the crops there were made with other options."""
    record = target / OPTIONS
    if record.exists():
        if (before := read_options(target)) != options:
            raise AlignError(
                f"{target}: its crops were made with {_differences(before, options)}; choose another folder"
            )
        return
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_file(record, options.to_json())
    except OSError as error:
        raise AlignError(f"{target}: cannot be written ({error.strerror})") from error


def _differences(before: AlignOptions, now: AlignOptions) -> str:
    """List the differences, as: size 160 (now 112), room 0.15 (now 0)."""
    old, new = ({**vars(options.rule), **vars(options)} for options in (before, now))
    names = [name for name in {**old, **new} if name != "rule"]
    pairs = [(name, old.get(name, "none"), new.get(name, "none")) for name in names if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {one} (now {other})" for name, one, other in pairs)


def _done_before(task: Task, known: AlignedPhoto | None, target: Path) -> AlignedPhoto | None:
    """Return the result of an earlier run, if the photo is unchanged and its crops exist."""
    if known is None or known.status not in ("aligned", "no-face"):
        return None
    try:
        status = os.stat(task.source)
    except OSError:
        return None  # the worker reports the reason
    if (status.st_size, status.st_mtime_ns) != (known.size, known.modified):
        return None
    if not all((target / crop.file).is_file() for crop in known.crops):
        return None
    return replace(known, status="unchanged") if known.status == "aligned" else known


def _remove_crops(target: Path, before: AlignedPhoto | None, *, kept: AlignedPhoto) -> None:
    """Delete the crops that a photo had before it changed and no longer has."""
    stale = {crop.file for crop in before.crops} if before else set()
    try:
        for file in stale - {crop.file for crop in kept.crops}:
            (target / file).unlink(missing_ok=True)
    except OSError as error:
        raise AlignError(f"{error.filename}: cannot be removed ({error.strerror})") from error


def _write(path: Path, crop: Image) -> None:
    """Write a crop and create its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, crop)
    except ImageError as error:
        raise AlignError(str(error)) from error
    except OSError as error:
        raise AlignError(f"{path.parent}: cannot be made ({error.strerror})") from error
