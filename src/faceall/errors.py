"""Exceptions raised by faceall.

FaceallError                     base class; its text is one printable line
├── ArgumentError                an argument is outside its allowed values    (also ValueError)
│   └── VectorError              vectors or keys that an index cannot store
├── SettingError                 an environment variable has an invalid value
├── ImageError                   an image cannot be used; has `path` and `reason`
│   ├── UnreadableImageError     it is missing, damaged or of an unknown format
│   └── ImageTooLargeError       it has more pixels than the limit
│       └── ImageMemoryError     memory was too short to decode it
├── ModelError                   a model folder cannot be used
│   ├── ModelNotFoundError       no such model is installed                   (also LookupError)
│   ├── ModelDamagedError        a file does not match the checksum in its manifest
│   └── DownloadError            a download failed or returned unexpected bytes
├── NetError                     a net cannot be read or run
│   ├── NetFormatError           a prototxt, caffemodel or GraphDef is damaged
│   ├── UnsupportedLayerError    a layer has an unknown type
│   ├── ShapeError               the shapes of a net do not match
│   └── EngineError              an inference engine is missing or failed
├── ConvertError                 a model cannot be converted
│   ├── UnsupportedGraphError    the graph has operations without a counterpart
│   │   └── FileOnlyError        an engine can run its file as it is; has `path`, `kind` and `reason`
│   └── ParityError              the result differs from its source by more than the tolerance
├── IndexFileError               a face index or gallery cannot be used
│   ├── IndexDamagedError        its files are damaged beyond repair
│   ├── IndexNewerError          it was written by a newer version of faceall
│   ├── IndexMismatchError       the vectors have another model, dimension or metric
│   └── IndexBusyError           another process holds the write lock
├── NotSupportedError            the backend of a gallery does not offer an operation
├── EvaluationError              the data cannot be evaluated or calibrated on
├── AlignError                   faces cannot be cropped from a folder, or written to one
├── TrainError                   a training run cannot start, continue or finish
├── ApiKeyError                  the API keys of the web app cannot be read or changed
├── UnknownPersonError           the gallery has no such person               (also LookupError)
├── UnknownFaceError             the gallery has no such face or photo        (also LookupError)
├── NameTakenError               another person already has this name
├── UnknownChangeError           the history has no such change               (also LookupError)
├── UndoError                    a change cannot be undone
└── MissingDependencyError       an optional package is missing; the text names the extra
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

ErrorT = TypeVar("ErrorT", bound="FaceallError")

_MAX_WORD_LENGTH = 1000
_IN_MEMORY = "image in memory"


class FaceallError(Exception):
    """Base class of all exceptions that faceall raises on purpose.

    ``str(error)`` is always one printable line: control characters are escaped and very long words are cut, so that
    names taken from a damaged file cannot break a terminal or a log.
    """

    _located = False

    def __str__(self) -> str:
        """Return the message as one printable line."""
        message = super().__str__()
        text = "".join(x if x.isprintable() else x.encode("unicode_escape").decode("ascii") for x in message)
        if len(text) <= _MAX_WORD_LENGTH:
            return text
        return " ".join(word if len(word) <= _MAX_WORD_LENGTH else f"{word[:100]}..." for word in text.split(" "))

    def at(self: ErrorT, place: object) -> ErrorT:
        """Return a copy of the error with a file in front of its message, unless one is there already.

        Parameters
        ----------
        place : object
            The file.
        """
        message = super().__str__()
        copy = type(self)(message if self._located else f"{place}: {message}")
        copy._located = True
        return copy


class ArgumentError(FaceallError, ValueError):
    """An argument is outside its allowed values."""


class VectorError(ArgumentError):
    """Vectors or keys cannot be stored: not finite, of a wrong shape, or a duplicate key."""


class SettingError(FaceallError):
    """An environment variable has an invalid value."""


class ImageError(FaceallError):
    """An image cannot be used.

    Parameters
    ----------
    path : str or None
        The path of the file; None for an image that was given as bytes or pixels.
    reason : str
        What is wrong, without the path.
    """

    def __init__(self, path: str | None, reason: str) -> None:
        super().__init__(f"{_IN_MEMORY if path is None else path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str | None, str]]:
        """Pickle by path and reason, so that the error survives the way back from a worker process."""
        return type(self), (self.path, self.reason)


class UnreadableImageError(ImageError):
    """An image is missing, damaged or of an unknown format."""


class ImageTooLargeError(ImageError):
    """An image has more pixels than the limit."""


class ImageMemoryError(ImageTooLargeError):
    """Memory was too short to decode an image; it may be enough the next time."""


class ModelError(FaceallError):
    """A model folder cannot be used."""


class ModelNotFoundError(ModelError, LookupError):
    """No model with that name or embedding size is installed."""


class ModelDamagedError(ModelError):
    """A file of a model does not match the checksum in its manifest."""


class DownloadError(ModelError):
    """A download failed or returned unexpected bytes."""


class NetError(FaceallError):
    """A net cannot be read or run."""


class NetFormatError(NetError):
    """A prototxt, caffemodel or GraphDef is damaged or has another format."""


class UnsupportedLayerError(NetError):
    """A layer has a type that faceall does not support."""


class ShapeError(NetError):
    """The shapes of a net do not match."""


class EngineError(NetError):
    """An inference engine is missing or failed."""


class ConvertError(FaceallError):
    """A model cannot be converted."""


class UnsupportedGraphError(ConvertError):
    """A graph has operations without a counterpart."""


class FileOnlyError(UnsupportedGraphError):
    """A net has operations without a counterpart, but an engine can run its file as it is.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"onnx", "openvino", "tflite"}
        Its format.
    reason : str
        The operations.
    """

    def __init__(self, path: Path, kind: Literal["onnx", "openvino", "tflite"], reason: str) -> None:
        super().__init__(f"{path}: {reason}; it can only be installed and run as it is: faceall models import")
        self.path, self.kind, self.reason = path, kind, reason


class ParityError(ConvertError):
    """The converted net differs from its source by more than the tolerance.

    Parameters
    ----------
    reason : str
        The difference, without the report.
    report : Path or None
        The file of the parity report, if it was written.
    """

    def __init__(self, reason: str, report: Path | None = None) -> None:
        super().__init__(f"{reason}; no model was written" + (f", only the report {report}" if report else ""))
        self.reason, self.report = reason, report


class IndexFileError(FaceallError):
    """A face index or gallery cannot be used."""


class IndexDamagedError(IndexFileError):
    """The files of an index are damaged beyond repair."""


class IndexNewerError(IndexFileError):
    """An index was written by a newer version of faceall."""


class IndexMismatchError(IndexFileError):
    """The vectors have another model, dimension or metric than the index."""


class IndexBusyError(IndexFileError):
    """Another process holds the write lock of the index."""


class NotSupportedError(FaceallError):
    """The backend of a gallery does not offer an operation."""


class EvaluationError(FaceallError):
    """The data cannot be evaluated or calibrated on."""


class AlignError(FaceallError):
    """Faces cannot be cropped from a folder of photos, or written to one."""


class TrainError(FaceallError):
    """A training run cannot start, continue or finish."""


class ApiKeyError(FaceallError):
    """The API keys of the web app cannot be read or changed."""


class UnknownPersonError(FaceallError, LookupError):
    """The gallery has no such person."""


class UnknownFaceError(FaceallError, LookupError):
    """The gallery has no such face or photo."""


class NameTakenError(FaceallError):
    """Another person in the gallery already has this name."""


class UnknownChangeError(FaceallError, LookupError):
    """The history of a gallery has no such change."""


class UndoError(FaceallError):
    """A change of people cannot be undone, because what it changed was changed again or erased."""


class MissingDependencyError(FaceallError):
    """An optional package is missing; the text names the extra that installs it."""


class WorkerLostError(Exception):
    """A worker process died with unfinished work, which another worker takes over; no caller sees this."""
