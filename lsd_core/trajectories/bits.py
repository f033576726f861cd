"""Rows of small integers, packed to the bits they need."""

import numpy as np
from numpy.typing import NDArray


def bits_for(num_values: int) -> int:
    """Bits that tell `num_values` values apart: ceil(log2(num_values)), at least 1."""
    return max(1, (num_values - 1).bit_length())


def packed_bytes(length: int, bits: int) -> int:
    """Bytes of one packed row: ceil(length * bits / 8)."""
    return -(-length * bits // 8)


def pack(values: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    """Pack values (n, l) in [0, 2^bits), bits <= 24, into rows of bytes (n, ceil(l * bits / 8)).

    Value i takes bits [i * bits, (i + 1) * bits) of its row, least significant first. Eight values fill
    exactly `bits` bytes, so one pass per overlap of a value with a byte packs all groups at once.
    """
    n, length = values.shape
    groups = -(-length // 8)
    padded = np.zeros((n, groups * 8), dtype=np.uint32)
    padded[:, :length] = values
    octets = padded.reshape(n, groups, 8)
    packed = np.zeros((n, groups, bits), dtype=np.uint8)
    for value, byte, shift in _overlaps(bits):
        part = octets[:, :, value]
        packed[:, :, byte] |= (part << shift if shift >= 0 else part >> -shift).astype(np.uint8)
    return packed.reshape(n, groups * bits)[:, : packed_bytes(length, bits)]


def unpack(packed: NDArray[np.uint8], bits: int, length: int) -> NDArray[np.int32]:
    """The inverse of `pack`: values (n, length)."""
    n, width = packed.shape
    groups = -(-length // 8)
    padded = np.zeros((n, groups * bits), dtype=np.uint8)
    padded[:, :width] = packed
    octets = padded.reshape(n, groups, bits)
    values = np.zeros((n, groups, 8), dtype=np.int32)
    for value, byte, shift in _overlaps(bits):
        part = octets[:, :, byte].astype(np.int32)
        values[:, :, value] |= part >> shift if shift >= 0 else part << -shift
    values &= (1 << bits) - 1
    return values.reshape(n, groups * 8)[:, :length]


def _overlaps(bits: int) -> list[tuple[int, int, int]]:
    """(value, byte, left shift of the value within the byte) for each overlap in a group of eight values."""
    return [
        (value, byte, value * bits - byte * 8)
        for value in range(8)
        for byte in range(value * bits // 8, ((value + 1) * bits - 1) // 8 + 1)
    ]
