"""Duplicates: the same file again, and nearly the same picture, in one split or across splits."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plateloop.data_preparation.clean.finding import Finding, is_crop
from plateloop.data_preparation.kinship import CROP, SCENE, digest
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.perceptual import near_pairs

# Bits up to which two crops are the same even if their texts say otherwise: then a text is wrong.
_TRUSTED = 2

SPLITS = (None, "train", "val", "test")


def _words() -> array[int]:
    return array("Q")


def _bytes() -> array[int]:
    return array("B")


@dataclass
class Pictures:
    """What of N pictures is kept to compare them, some 150 bytes each."""

    files: list[str] = field(default_factory=list)
    splits: array[int] = field(default_factory=_bytes)
    crops: array[int] = field(default_factory=_bytes)
    contents: array[int] = field(default_factory=_words)
    shapes: array[int] = field(default_factory=_words)
    labels: array[int] = field(default_factory=_words)
    sequences: array[int] = field(default_factory=_words)
    texts: array[int] = field(default_factory=_words)

    def add(self, record: Record, content: int, shape: int) -> None:
        """Take note of a picture: 64 bits of its file's content and its perceptual hash, 0 for none."""
        self.files.append(record.file)
        self.splits.append(SPLITS.index(record.split))
        self.crops.append(is_crop(record))
        self.contents.append(content)
        self.shapes.append(shape)
        self.labels.append(digest(record.model_dump_json(include={"vehicles", "plates", "texts"})))
        self.sequences.append(digest(record.source, record.sequence) if record.sequence else 0)
        spoken = [plate.text for plate in record.plates if plate.text]
        self.texts.append(digest(*spoken) if spoken else 0)


def exact(pictures: Pictures) -> Iterator[tuple[int, Finding]]:
    """The same file again, each with its row. The one in test stays, else in val, else the first."""
    contents = np.array(pictures.contents, np.uint64)
    splits = np.array(pictures.splits, np.int64)
    order = np.lexsort((-splits, contents))
    order = order[contents[order] != 0]
    first = -1
    for row in order.tolist():
        if first < 0 or pictures.contents[row] != pictures.contents[first]:
            first = row
            continue
        same = pictures.labels[row] == pictures.labels[first]
        across = _sides(pictures, row, first) if pictures.splits[row] != pictures.splits[first] else ""
        reason = f"the same file as {pictures.files[first]}{across}"
        kind = "duplicate" if same else "relabelled"
        yield (
            row,
            Finding(kind, pictures.files[row], reason, 1.0 if across else 0.5, other=pictures.files[first]),
        )


def near(pictures: Pictures) -> Iterator[tuple[int, Finding]]:
    """Nearly the same pictures, each row once with the one that it is most alike.

    Across splits the finding is train's, or else val's, so that what is reported on stays. Pictures of one
    sequence are alike by nature, and are told only across splits.
    """
    best: dict[int, tuple[int, int]] = {}
    crops = np.array(pictures.crops, bool)
    shapes = np.array(pictures.shapes, np.uint64)
    for chosen, distance in ((crops, CROP), (~crops, SCENE)):
        rows = np.flatnonzero(chosen)
        for pairs in near_pairs(shapes[rows], distance):
            for left, right in _telling(pictures, rows[pairs]).tolist():
                # The later one, or the one in the lesser split, has the finding.
                low, high = sorted((left, right), key=lambda row: (pictures.splits[row], -row))
                apart = (pictures.shapes[left] ^ pictures.shapes[right]).bit_count()
                if apart > _TRUSTED and _read_apart(pictures, left, right):
                    continue
                # Across splits first.
                apart -= 64 * _across(pictures, low, high)
                if low not in best or (apart, high) < best[low]:
                    best[low] = apart, high
    for row, (apart, other) in sorted(best.items()):
        across = _across(pictures, row, other)
        bits = apart + 64 * across
        reason = (
            f"{bits} of 64 bits from {pictures.files[other]}{_sides(pictures, row, other) if across else ''}"
        )
        kind = "leak" if across else "near-duplicate"
        yield row, Finding(kind, pictures.files[row], reason, 1 - bits / 64, other=pictures.files[other])


def _telling(pictures: Pictures, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pairs that are neither the same file nor of one sequence and split."""
    if not len(pairs):
        return pairs
    contents = np.frombuffer(pictures.contents, np.uint64)[pairs]
    splits = np.frombuffer(pictures.splits, np.uint8)[pairs]
    sequences = np.frombuffer(pictures.sequences, np.uint64)[pairs]
    kin = (sequences[:, 0] == sequences[:, 1]) & (sequences[:, 0] != 0) & (splits[:, 0] == splits[:, 1])
    return np.asarray(pairs[(contents[:, 0] != contents[:, 1]) & ~kin], np.int64)


def _read_apart(pictures: Pictures, left: int, right: int) -> bool:
    """Whether both are crops of plates with other texts: plates of one make look alike but for these."""
    both = pictures.crops[left] and pictures.texts[left] and pictures.texts[right]
    return bool(both) and pictures.texts[left] != pictures.texts[right]


def _across(pictures: Pictures, left: int, right: int) -> bool:
    return 0 != pictures.splits[left] != pictures.splits[right] != 0


def _sides(pictures: Pictures, row: int, other: int) -> str:
    return f", {SPLITS[pictures.splits[row]]} and {SPLITS[pictures.splits[other]]}"
