"""Every error that faceall raises on purpose.

FaceallError                     base of all; its text is one line that a person can act on
├── ImageError                   a picture cannot be used
│   ├── UnreadableImageError     it is missing, damaged or of no known format
│   └── ImageTooLargeError       more pixels than the cap
├── ModelError                   a model folder cannot be used
│   ├── ModelNotFoundError       nothing of that name or size is installed   (also LookupError)
│   ├── ModelDamagedError        a file does not have the checksum of its manifest
│   └── DownloadError            a fetch failed or gave other bytes than expected
├── NetError                     a net cannot be read or run
│   ├── NetFormatError           prototxt, caffemodel or GraphDef is damaged
│   ├── UnsupportedLayerError    a layer type that faceall does not know
│   ├── ShapeError               shapes that do not fit together
│   └── EngineError              an engine is absent or fails
├── ConvertError                 a conversion was refused
│   ├── UnsupportedGraphError    operations that have no counterpart
│   └── ParityError              the result differs from its source by more than the gate
├── IndexFileError               a face index or gallery cannot be used
│   ├── IndexDamagedError        its files are damaged beyond rebuilding
│   ├── IndexNewerError          written by a newer faceall
│   ├── IndexMismatchError       vectors of another model, dimension or metric
│   ├── IndexBusyError           another process holds the write lock for too long
│   └── VectorError              vectors or keys that no index can hold       (also ValueError)
├── EvaluationError              what is there cannot be measured: a list of pairs, a gallery for calibration
├── AlignError                   faces cannot be cut out of a folder, or into one
├── TrainError                   a training cannot start, go on or end
├── UnknownPersonError           no such person in the gallery               (also LookupError)
├── UnknownFaceError             no such face or photo in the gallery        (also LookupError)
├── NameTakenError               another person has that name
└── MissingDependencyError       an optional package is absent; the text names the extra
"""

_LONGEST_WORD = 1000


class FaceallError(Exception):
    """Base of every error that faceall raises on purpose.

    As text it is one line that a terminal can show, whatever the names in a damaged file hold.
    """

    def __str__(self) -> str:
        """The text: what cannot be shown is escaped, and no word is beyond all measure."""
        letters = super().__str__()
        text = "".join(x if x.isprintable() else x.encode("unicode_escape").decode("ascii") for x in letters)
        if len(text) <= _LONGEST_WORD:
            return text
        return " ".join(word if len(word) <= _LONGEST_WORD else f"{word[:100]}..." for word in text.split(" "))


class ImageError(FaceallError):
    """A picture cannot be used."""


class UnreadableImageError(ImageError):
    """A picture is missing, damaged or of no known format."""


class ImageTooLargeError(ImageError):
    """A picture has more pixels than the cap allows."""


class ModelError(FaceallError):
    """A model folder cannot be used."""


class ModelNotFoundError(ModelError, LookupError):
    """No model of that name or embedding size is installed."""


class ModelDamagedError(ModelError):
    """A model's file does not have the checksum that its manifest gives."""


class DownloadError(ModelError):
    """A download failed or gave other bytes than expected."""


class NetError(FaceallError):
    """A net cannot be read or run."""


class NetFormatError(NetError):
    """A prototxt, caffemodel or GraphDef is damaged or of another format."""


class UnsupportedLayerError(NetError):
    """A layer has a type that faceall does not know."""


class ShapeError(NetError):
    """Shapes in a net do not fit together."""


class EngineError(NetError):
    """An engine is absent or fails."""


class ConvertError(FaceallError):
    """A conversion was refused."""


class UnsupportedGraphError(ConvertError):
    """A graph holds operations that have no counterpart."""


class ParityError(ConvertError):
    """The converted net differs from its source by more than the gate."""


class IndexFileError(FaceallError):
    """A face index or gallery cannot be used."""


class IndexDamagedError(IndexFileError):
    """The files of an index are damaged beyond rebuilding."""


class IndexNewerError(IndexFileError):
    """The files of an index were written by a newer faceall."""


class IndexMismatchError(IndexFileError):
    """Vectors of another model, dimension or metric."""


class IndexBusyError(IndexFileError):
    """Another process holds the write lock for too long."""


class VectorError(IndexFileError, ValueError):
    """Vectors or keys that no index can hold: not finite, of a wrong shape, a key twice."""


class EvaluationError(FaceallError):
    """Pairs, pictures or a gallery from which no figure can be made."""


class AlignError(FaceallError):
    """Faces cannot be cut out of a folder of photos, or into one."""


class TrainError(FaceallError):
    """A training cannot start, go on or end as it is told."""


class UnknownPersonError(FaceallError, LookupError):
    """No such person is in the gallery."""


class UnknownFaceError(FaceallError, LookupError):
    """No such face or photo is in the gallery."""


class NameTakenError(FaceallError):
    """Another person of the gallery has that name."""


class MissingDependencyError(FaceallError):
    """An optional package is absent; the text names the extra that brings it."""
