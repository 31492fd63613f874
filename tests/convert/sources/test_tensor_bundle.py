"""The tensor bundle: checksums, tables, compression, variables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from source_checks import slow_crc32c, write_checkpoint, write_table

from faceall.convert.sources.tensorflow.checksum import crc32c
from faceall.convert.sources.tensorflow.table import read_table, unpack_snappy
from faceall.convert.sources.tensorflow.tensor_bundle import Bundle
from faceall.errors import NetFormatError


def test_crc32c_has_its_check_value() -> None:
    """The published check value of CRC32C is 0xE3069283."""
    assert crc32c(b"123456789") == slow_crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 640, 1000, 4096, 10_007])
def test_crc32c_in_parts_is_crc32c_bit_by_bit(size: int) -> None:
    """Joining the parts' sums gives what the definition gives, at every kind of length."""
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    assert crc32c(data) == slow_crc32c(data)


def test_table_gives_back_its_entries() -> None:
    """What was written is read."""
    entries = {f"key/{number}".encode(): bytes([number]) * number for number in range(200)}
    assert read_table(write_table(entries)) == entries


def test_every_flipped_bit_of_a_table_is_noticed() -> None:
    """A block has a checksum; what is wrong outside of blocks does not lead to another table."""
    entries = {f"key/{number}".encode(): b"value" for number in range(3)}
    whole = write_table(entries)
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 4
        try:
            assert read_table(bytes(data)) == entries  # in the padding, or in the pointer to the unused block
        except NetFormatError:
            continue


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (b"\x05\x10hello", b"hello"),
        (b"\x0a\x04ab\x1e\x02\x00", b"ab" * 5),
        (b"\x0b\x00a\x19\x01", b"a" * 11),
        (b"\x40\xf0\x3f" + b"x" * 64, b"x" * 64),
    ],
)
def test_snappy_is_unpacked(packed: bytes, expected: bytes) -> None:
    """Literals, long literals and copies that reach into themselves."""
    assert unpack_snappy(packed) == expected


@pytest.mark.parametrize("packed", [b"\x05\x10hell", b"\x05\x02\x09\x00", b"\xff\xff\xff\xff\x0f\x00a", b"\x02\x00a"])
def test_damaged_snappy_is_refused(packed: bytes) -> None:
    """Too short, a copy from before the start, a boast of size, a missing end."""
    with pytest.raises(NetFormatError, match="damaged"):
        unpack_snappy(packed)


def test_bundle_gives_back_its_variables(tmp_path: Path) -> None:
    """Every type and shape comes back as it was, and nothing is read before it is asked for."""
    random = np.random.default_rng(0)
    variables = {
        "a/weights": random.normal(size=(3, 3, 4, 5)).astype(np.float32),
        "b": np.array(7, np.int64),
        "c": np.zeros((0, 4), np.float32),
        "half": random.normal(size=9).astype(np.float16),
    }
    bundle = Bundle(write_checkpoint(tmp_path / "model.ckpt-1", variables))
    assert sorted(bundle) == sorted(variables)
    for name, array in variables.items():
        assert bundle[name].dtype == array.dtype  # type: ignore[attr-defined]
        np.testing.assert_array_equal(bundle[name], array)
        assert bundle.shape(name) == array.shape  # type: ignore[attr-defined]


def test_damaged_numbers_are_noticed(tmp_path: Path) -> None:
    """One flipped bit in the data is found by its checksum, and the variable named."""
    prefix = write_checkpoint(tmp_path / "m", {"first": np.ones(5, np.float32), "second": np.ones(999, np.float32)})
    path = Path(f"{prefix}.data-00000-of-00001")
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    bundle = Bundle(prefix)
    np.testing.assert_array_equal(bundle["first"], 1)
    with pytest.raises(NetFormatError, match=r"variable 'second': damaged.*checksum"):
        bundle["second"]


def test_shortened_data_is_named(tmp_path: Path) -> None:
    """A data file that was cut says so."""
    prefix = write_checkpoint(tmp_path / "m", {"x": np.ones(50, np.float32)})
    path = Path(f"{prefix}.data-00000-of-00001")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(NetFormatError, match="cut short: 100 bytes"):
        Bundle(prefix)["x"]
