"""CRC32C, the checksum of TensorFlow's checkpoints, in NumPy: parts in parallel, combined algebraically."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78
_PART = 128
"""Bytes per part, a power of two."""
_MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes) -> int:
    """Return the CRC32C (Castagnoli) of `data`."""
    if len(data) < 4 * _PART:
        return _plain(data)
    padding = -len(data) % _PART
    padded = np.zeros(len(data) + padding, np.uint8)
    padded[padding:] = np.frombuffer(data, np.uint8)
    padded[padding : padding + 4] ^= 0xFF  # as good as starting from all ones; zeros in front change nothing
    states = _parts(padded.reshape(-1, _PART))
    operator = _advance_by(_PART)
    while len(states) > 1:
        if len(states) % 2:
            states = np.concatenate([np.zeros(1, np.uint32), states])
        states = _apply(operator, states[0::2]) ^ states[1::2]
        operator = _apply(operator, operator)
    return int(states[0]) ^ 0xFFFFFFFF


def unmask(stored: int) -> int:
    """Return the CRC of a stored, masked one; CRCs are stored rotated and shifted."""
    rotated = (stored - _MASK_DELTA) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


@cache
def _table() -> Words:
    """Return the states after each single byte from an empty state, (256,)."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, values >> 1 ^ _POLYNOMIAL, values >> 1).astype(np.uint32)
    return values


def _plain(data: bytes) -> int:
    table, state = _table().tolist(), 0xFFFFFFFF
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return int(state ^ 0xFFFFFFFF)


def _parts(rows: npt.NDArray[np.uint8]) -> Words:
    """Return the state after each row of (parts, bytes), each from an empty state."""
    table, states = _table(), np.zeros(len(rows), np.uint32)
    for column in np.ascontiguousarray(rows.T):
        states = table[(states ^ column) & 0xFF] ^ states >> 8
    return states


@cache
def _advance_by(count: int) -> Words:
    """Return the effect of `count` zero bytes (a power of two) on each of the 32 bits of a state."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    operator: Any = _table()[bits & 0xFF] ^ bits >> 8
    for _ in range(count.bit_length() - 1):
        operator = _apply(operator, operator)
    return np.asarray(operator, np.uint32)


def _apply(operator: Words, states: Words) -> Words:
    """Return the sum (exclusive or) of the operator's images of each state's bits."""
    result = np.zeros_like(states)
    for bit, image in enumerate(operator):
        result ^= np.where(states >> np.uint32(bit) & 1, image, np.uint32(0))
    return result
