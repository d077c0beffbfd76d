"""Which records of a dataset show the same thing: a plate's text, a sequence, or nearly the same picture."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from plateloop.data_preparation.checkpoint import continued, fingerprint
from plateloop.data_preparation.formats import manifest
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.perceptual import Hashes, hash_file, near_pairs
from plateloop.data_preparation.report import Report

Kind = Literal["plate text", "sequence", "near duplicate"]

# Bits of 64 in which two pictures may differ and still be one scene: 8 for photographs; crops of plates or
# vehicles are more alike among themselves, there 4. Looked at on real data: above these, strangers become
# the rule.
SCENE = 8
CROP = 4

_NOTHING = 2**64 - 1
_HASH: TypeAdapter[int | None] = TypeAdapter(int | None)


@dataclass(frozen=True)
class Clues:
    """What ties N records together, as arrays over them.

    ``splits`` index into ``(None, train, val, test)``, ``strata`` into ``stratum_names``, ``crops`` marks
    pictures that are wholly one plate or vehicle, ``hashes`` are perceptual. ``texts`` and ``sequences`` are
    pairs of arrays: 64-bit digests, and the rows that have them. ``unseen`` names the files that could not be
    decoded: what they show is like nothing.
    """

    files: list[str]
    splits: NDArray[np.uint8]
    strata: NDArray[np.int64]
    stratum_names: list[tuple[str, str]]
    crops: NDArray[np.bool_]
    hashes: Hashes
    texts: tuple[Hashes, NDArray[np.int64]]
    sequences: tuple[Hashes, NDArray[np.int64]]
    unseen: tuple[str, ...] = ()

    def ties(self) -> Iterator[tuple[Kind, NDArray[np.int64]]]:
        """Pairs of rows (K, 2) that must not be parted, with what ties them. All that are tied are connected,
        not each to each; the pairs of one text or sequence are ordered by split."""
        named: tuple[tuple[Kind, tuple[Hashes, NDArray[np.int64]]], ...]
        named = (("plate text", self.texts), ("sequence", self.sequences))
        for kind, (digests, rows) in named:
            order = np.lexsort((self.splits[rows], digests))
            digests, rows = digests[order], rows[order]
            same = digests[1:] == digests[:-1]
            yield kind, np.stack([rows[:-1][same], rows[1:][same]], 1)
        for chosen, distance in ((self.crops, CROP), (~self.crops, SCENE)):
            rows = np.flatnonzero(chosen)
            for pairs in near_pairs(self.hashes[rows], distance):
                yield "near duplicate", rows[pairs]

    def groups(self) -> NDArray[np.int64]:
        """A group's number for each row (N,): rows that are tied, directly or through others, share it."""
        parents = list(range(len(self.files)))

        def root(row: int) -> int:
            while parents[row] != row:
                parents[row] = parents[parents[row]]
                row = parents[row]
            return row

        for _, pairs in self.ties():
            for left, right in pairs.tolist():
                parents[root(left)] = root(right)
        roots = np.array([root(row) for row in range(len(parents))], np.int64)
        return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)

    def names(self, groups: NDArray[np.int64]) -> Hashes:
        """A digest for each group that does not hang on the order of records or the names of files: the
        least of its texts and sequences, or of its pictures where it has neither."""
        count = int(groups.max(initial=-1)) + 1
        spoken = np.full(count, _NOTHING, np.uint64)
        for digests, rows in (self.texts, self.sequences):
            np.minimum.at(spoken, groups[rows], digests)
        seen = np.full(count, _NOTHING, np.uint64)
        pictures = np.fromiter(
            (
                digest("picture", f"{h:x}" if h else file)
                for h, file in zip(self.hashes, self.files, strict=True)
            ),
            np.uint64,
            len(self.files),
        )
        np.minimum.at(seen, groups, pictures)
        return np.where(spoken != _NOTHING, spoken, seen)


def digest(*words: str) -> int:
    """64 bits that depend on ``words`` alone, the same on every machine."""
    return int.from_bytes(blake2b("\0".join(words).encode(), digest_size=8).digest(), "big")


def gather(
    folder: Path,
    report: Report,
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
    journal: Path | None = None,
) -> Clues:
    """The clues of the manifest dataset ``folder``; every picture is decoded once, on all cores (or, with
    ``ray``, those of a cluster), unless its hash is in the file ``journal``, where hashes are kept.

    Records that are malformed or lack their picture go into ``report``. Raises UserError where there is no
    manifest, and where the journal is of other data.
    """
    place = folder.absolute()
    files: list[str] = []
    splits, strata, crops = array("B"), array("q"), array("B")
    texts, text_rows, sequences, sequence_rows = array("Q"), array("q"), array("Q"), array("q")
    numbers: dict[tuple[str, str], int] = {}

    def look(records: Iterable[Record]) -> Iterator[tuple[Path, int]]:
        for row, record in enumerate(records):
            files.append(record.file)
            splits.append((None, "train", "val", "test").index(record.split))
            region = record.region or next((p.region for p in record.plates if p.region), "") or ""
            strata.append(numbers.setdefault((record.source, region), len(numbers)))
            boxes = [*(plate.box for plate in record.plates), *(vehicle.box for vehicle in record.vehicles)]
            crops.append((0, 0, record.width, record.height) in boxes)
            for text in sorted({p.text for p in record.plates if p.text} | set(record.texts)):
                texts.append(digest("text", text))
                text_rows.append(row)
            if record.sequence:
                sequences.append(digest("sequence", record.source, record.sequence))
                sequence_rows.append(row)
            yield place / record.file, record.width

    hashes = array("Q")
    unseen = []
    pictures = look(manifest.read(folder, report))
    hashed = partial(each, hash_file, ray=ray, folders=[place])
    if journal is None:
        answers = hashed(pictures)
    else:
        plan = {"step": "hash", "data": fingerprint(folder)}
        answers = continued(journal, plan, pictures, hashed, _HASH)
    for found in answers:
        if found is None:
            unseen.append(files[len(hashes)])
        hashes.append(found or 0)
        tick()
    # By name, so that nothing hangs on the order of records.
    ranks = {number: rank for rank, (_, number) in enumerate(sorted(numbers.items()))}
    return Clues(
        files=files,
        splits=np.array(splits, np.uint8),
        strata=np.array([ranks[number] for number in strata], np.int64),
        stratum_names=sorted(numbers),
        crops=np.array(crops, bool),
        hashes=np.array(hashes, np.uint64),
        texts=(np.array(texts, np.uint64), np.array(text_rows, np.int64)),
        sequences=(np.array(sequences, np.uint64), np.array(sequence_rows, np.int64)),
        unseen=tuple(unseen),
    )
