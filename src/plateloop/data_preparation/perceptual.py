"""Perceptual hashes: 64 bits of a picture that survive scaling, recompression and small changes of light.

The sign of the lowest frequencies of a picture's cosine transform against their median (C. Zauner,
Implementation and Benchmarking of Perceptual Image Hash Functions, 2010: pHash).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from plateloop.header import read_header
from plateloop.types import Image

Hashes = NDArray[np.uint64]

# A picture with less contrast than this (grey levels, after scaling to 32×32) has no shape to compare.
_FLAT = 2.0

_REDUCED = ((2048, cv2.IMREAD_REDUCED_GRAYSCALE_8), (1024, cv2.IMREAD_REDUCED_GRAYSCALE_4))


def perceptual_hash(picture: Image) -> int:
    """The hash of a grey picture (H, W) uint8; 0 for one that is flat."""
    small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.std() < _FLAT:
        return 0
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])
    # The mean brightness says nothing about the shape; its bit marks a hash that is one.
    bits[0] = True
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_file(file: tuple[Path, int]) -> int | None:
    """The hash of a picture file (path, width), None where it is damaged or no picture.

    The width, 0 where unknown, saves work on large ones.
    """
    path, width = file
    try:
        # Half a JPEG would be taken for a picture.
        whole = read_header(path).whole
    except (OSError, ValueError):
        return None
    flag = next((flag for least, flag in _REDUCED if width >= least), cv2.IMREAD_GRAYSCALE)
    picture = cv2.imread(str(path), flag) if whole else None
    return None if picture is None else perceptual_hash(np.asarray(picture, np.uint8))


def near_pairs(hashes: Hashes, distance: int) -> Iterator[NDArray[np.int64]]:
    """All pairs of rows of ``hashes`` (N,) that differ in at most ``distance`` bits, as arrays (K, 2).

    The bits are cut into ``distance + k`` bands. Two near hashes agree in at least ``k`` of them: for each
    choice of ``k`` bands, only rows that agree there are compared. Equal hashes are paired in a chain; zeros
    with nothing. A pair may come more than once.
    """
    order = np.argsort(hashes, kind="stable")
    order = order[hashes[order] != 0]
    values = hashes[order]
    same = values[1:] == values[:-1]
    yield np.stack([order[:-1][same], order[1:][same]], 1)
    first = np.concatenate([[True], ~same])[: len(values)]
    rows, unique = order[first], values[first]
    # More bands in a key make it more telling, and their choices more: worth it for many rows.
    agree = 1 if len(rows) < 30_000 else 2 if len(rows) < 200_000 else 3
    for mask in _masks(distance + agree, agree):
        key = unique & mask
        by_key = np.argsort(key, kind="stable")
        start = np.arange(len(by_key))
        for step in range(1, len(by_key)):
            # Rows of one key lie together: who has no partner at this step has none further off.
            start = start[start + step < len(by_key)]
            start = start[key[by_key[start]] == key[by_key[start + step]]]
            if not len(start):
                break
            left, right = by_key[start], by_key[start + step]
            close = np.bitwise_count(unique[left] ^ unique[right]) <= distance
            yield np.stack([rows[left[close]], rows[right[close]]], 1)


def _masks(bands: int, agree: int) -> Iterator[np.uint64]:
    """The bits of each choice of ``agree`` out of ``bands`` bands of a 64-bit word."""
    edges = [round(64 * index / bands) for index in range(bands + 1)]
    words = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    for chosen in combinations(words, agree):
        yield np.uint64(sum(chosen))
