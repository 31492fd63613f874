"""Read the variables of a TensorFlow checkpoint: PREFIX.index and PREFIX.data-00000-of-00001 ..."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from faceall.convert.budget import LARGEST, charge
from faceall.convert.sources.tensorflow.checksum import crc32c, unmask
from faceall.convert.sources.tensorflow.schema import messages
from faceall.convert.sources.tensorflow.table import read_table
from faceall.convert.tensorflow.schema import NUMPY_TYPES
from faceall.errors import NetFormatError
from faceall.protobuf import Message
from faceall.types import Array

_MOST_AXES = 32


class Bundle(Mapping[str, Array]):
    """Variable name -> array, read from its file on access.

    Raises
    ------
    NetFormatError
        If one is missing or damaged.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.index = Path(f"{prefix}.index")
        data = read_bytes(self.index)
        try:
            entries = read_table(data)
            self._entries = {key.decode(): _entry(value) for key, value in entries.items() if key}
            header = messages()["BundleHeaderProto"].FromString(entries.get(b"", b""))
        except NetFormatError as error:
            raise error.at(self.index) from error
        except (DecodeError, UnicodeDecodeError) as error:
            raise NetFormatError("the checkpoint's index is damaged").at(self.index) from error
        if header.endianness:
            raise NetFormatError("written on a big-endian machine, which faceall does not read").at(self.index)
        self._shards = header.num_shards
        self._read_bytes = 0

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the numbers."""
        return tuple(
            Path(f"{self.prefix}.data-{number:05}-of-{self._shards:05}") for number in range(min(self._shards, 10_000))
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one variable, from the index alone."""
        return tuple(dim.size for dim in self._entries[name].shape.dim)

    def __getitem__(self, name: str) -> Array:
        entry = self._entries[name]
        try:
            return self._read(entry)
        except NetFormatError as error:
            raise NetFormatError(f"variable '{name}': {error}") from error

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _read(self, entry: Message) -> Array:
        if len(entry.shape.dim) > _MOST_AXES:
            raise NetFormatError(f"it has {len(entry.shape.dim)} axes: the index is damaged")
        shape = tuple(dim.size for dim in entry.shape.dim)
        if entry.slices:
            raise NetFormatError("it is stored in slices (a partitioned variable), which faceall does not read")
        if entry.dtype not in NUMPY_TYPES or NUMPY_TYPES[entry.dtype] is np.object_:
            raise NetFormatError(f"faceall does not read data type number {entry.dtype} of TensorFlow")
        dtype = np.dtype(NUMPY_TYPES[entry.dtype])
        count = 1
        for size in shape:
            count *= size
        if min(shape, default=0) < 0 or count * dtype.itemsize != entry.size or not 0 <= entry.shard_id < self._shards:
            raise NetFormatError(f"shape {shape} and {entry.size} bytes do not agree: the index is damaged")
        data = self._bytes(entry)
        if crc32c(data) != unmask(entry.crc32c):
            raise NetFormatError(f"damaged: its bytes in {self.files[entry.shard_id].name} do not have their checksum")
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape)

    def _bytes(self, entry: Message) -> bytes:
        path = self.files[entry.shard_id]
        try:
            room = path.stat().st_size
            if not 0 <= entry.offset <= room - entry.size:
                raise NetFormatError(f"{path.name} is cut short: {room} bytes")
            self._read_bytes += entry.size
            if self._read_bytes > LARGEST:
                raise NetFormatError(f"its variables have more than {LARGEST >> 20} MB, no net for faces does")
            charge(parts=1 + entry.size // 1000)
            with path.open("rb") as file:
                file.seek(entry.offset)
                data: bytes = file.read(entry.size)
                return data
        except OSError as error:
            raise NetFormatError(f"{path.name} cannot be read: {error.strerror}") from error


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes.

    Raises
    ------
    NetFormatError
        If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise NetFormatError(f"cannot be read: {error.strerror}").at(path) from error


def _entry(value: bytes) -> Any:
    return messages()["BundleEntryProto"].FromString(value)
