"""Split a dataset into train, val and test, or into folds, so that nothing is on two sides.

Records that show the same plate, sequence or scene make a group, and a group stays together. Where it goes is
decided by a digest of what it shows and the seed, so that data added later moves nothing that was there,
unless it joins groups; only a source and region that came out far from the shares asked for is corrected, by
the groups nearest to the border.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plateloop.data_preparation.checkpoint import JOURNAL
from plateloop.data_preparation.convert import apart
from plateloop.data_preparation.formats import manifest
from plateloop.data_preparation.kinship import Clues, digest, gather
from plateloop.data_preparation.manifest import Record, write_manifest
from plateloop.data_preparation.perceptual import Hashes
from plateloop.data_preparation.pictures import Split, place
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

SPLITS: tuple[Split, ...] = ("train", "val", "test")

# A stratum's share may be off by this part of the share asked for before groups are moved.
_TOLERANCE = 0.6


@dataclass(frozen=True)
class Leaks:
    """How much ties the sides of a split together: for each kind the number of texts or sequences on more
    than one side, or of near-duplicate pairs, and examples (two files each)."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def leaks(clues: Clues, examples: int = 5) -> Leaks:
    """What leaks between the splits that the records have now; records without a split count as one side."""
    found = Leaks()
    seen: dict[str, list[NDArray[np.int64]]] = {}
    kind: str
    for kind, pairs in clues.ties():
        across = pairs[clues.splits[pairs[:, 0]] != clues.splits[pairs[:, 1]]]
        if len(across):
            seen.setdefault(kind, []).append(np.sort(across, 1))
    for kind, parts in seen.items():
        unique = np.unique(np.concatenate(parts), axis=0)
        named = {"plate text": clues.texts, "sequence": clues.sequences}.get(kind)
        found.counts[kind] = _torn(*named, clues.splits) if named else len(unique)
        found.examples[kind] = [(clues.files[a], clues.files[b]) for a, b in unique[:examples].tolist()]
    return found


def _torn(digests: Hashes, rows: NDArray[np.int64], splits: NDArray[np.uint8]) -> int:
    """How many of the things that ``digests`` stand for are on more than one side."""
    sides = np.unique(np.stack([digests, splits[rows].astype(np.uint64)], 1), axis=0)[:, 0]
    return int((np.unique(sides, return_counts=True)[1] > 1).sum())


def assign(clues: Clues, val: float, test: float, seed: int, folds: int = 0, keep: bool = False) -> list[str]:
    """The side of each record: ``train``, ``val`` or ``test``; with ``folds`` the number of its fold, from 1,
    or ``test``.

    With ``keep``, a group of which some records have a split already goes there (test before val before
    train, should it have several; with ``folds`` only to test).
    """
    groups = clues.groups()
    if not len(groups):
        return []
    names = clues.names(groups)
    places = np.array([digest("split", str(seed), f"{name:x}") / 2**64 for name in names])
    sizes = np.bincount(groups)
    strata = _strata(groups, clues.strata, len(clues.stratum_names))
    sides = np.empty(len(names), object)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        order = members[np.argsort(places[members], kind="stable")]
        place_of, weight = places[order], np.cumsum(sizes[order]) / sizes[order].sum()
        first = _border(place_of, weight, test, 0.0, test)
        sides[order[:first]] = "test"
        if folds:
            rest = (place_of[first:] - test) / (1 - test)
            sides[order[first:]] = [str(1 + int(np.clip(u, 0, 1 - 1e-9) * folds)) for u in rest]
        else:
            done = weight[first - 1] if first else 0.0
            second = first + _border(place_of[first:], weight[first:], test + val, done, val)
            sides[order[first:second]], sides[order[second:]] = "val", "train"
    if keep:
        known = np.zeros(len(names), np.uint8)
        np.maximum.at(known, groups, clues.splits)
        for row in np.flatnonzero(known == SPLITS.index("test") + 1 if folds else known):
            sides[row] = SPLITS[known[row] - 1]
    return [sides[group] for group in groups]


def _strata(groups: NDArray[np.int64], strata: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The stratum (N groups) that most of each group's records are of; the first of them where equal."""
    pairs, times = np.unique(groups * count + strata, return_counts=True)
    order = np.lexsort((pairs, -times, pairs // count))
    _, first = np.unique(pairs[order] // count, return_index=True)
    return np.asarray(pairs[order][first] % count, np.int64)


def _border(
    places: NDArray[np.float64], weight: NDArray[np.float64], nominal: float, done: float, share: float
) -> int:
    """How many of the groups in order of ``places`` lie before the border ``nominal``, moved where the share
    that they make (``weight`` is cumulative, ``done`` lies before) is off by more than the tolerance."""
    count = int(np.searchsorted(places, nominal))
    if share == 0:
        return 0

    def off(number: int) -> float:
        return (float(weight[number - 1]) - done if number else 0.0) - share

    step = 1 if off(count) < 0 else -1
    while (
        abs(off(count)) > _TOLERANCE * share
        and 0 <= count + step <= len(places)
        and abs(off(count + step)) < abs(off(count))
    ):
        count += step
    return count


@dataclass(frozen=True)
class Outcome:
    """What a split made: how many records each side has, in all and by (source, region); ``unseen`` are the
    files that were placed by their texts and sequence alone, since they could not be decoded."""

    report: Report
    sides: Counter[str]
    strata: dict[tuple[str, str], Counter[str]]
    unseen: tuple[str, ...] = ()


def split(
    source: Path,
    target: Path,
    val: float = 0.1,
    test: float = 0.1,
    folds: int = 0,
    seed: int = 0,
    keep: bool = False,
    link: bool = False,
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
) -> Outcome:
    """Write the manifest dataset ``source`` to ``target`` with a split for each record.

    With ``folds``, ``target`` gets the datasets ``fold-1``, ``fold-2``…, each with that fold as ``val`` and
    the others as ``train``; ``test`` is the same in all, and their pictures are links of the first's. ``ray``
    is the address of a cluster that compares the pictures. Broken off, it goes on with those compared.

    Raises UserError for shares that leave nothing to train on, fewer than 2 folds, or folders within each
    other.
    """
    if val < 0 or test < 0 or val + test >= 1 or (folds and not 2 <= folds <= 100):
        raise UserError("val and test must be shares that leave something to train on, and folds 2 to 100")
    apart(source, target)
    report = Report()
    clues = gather(source, report, tick, ray, target / JOURNAL)
    sides = assign(clues, val, test, seed, folds, keep)
    strata: dict[tuple[str, str], Counter[str]] = {name: Counter() for name in clues.stratum_names}
    for side, stratum in zip(sides, clues.strata.tolist(), strict=True):
        strata[clues.stratum_names[stratum]][side] += 1
    if folds:
        for number in range(1, folds + 1):
            origin = source if number == 1 else target / "fold-1"
            renamed = [
                "val" if side == str(number) else side if side == "test" else "train" for side in sides
            ]
            _write(source, origin, target / f"fold-{number}", renamed, link or number > 1)
    else:
        _write(source, source, target, sides, link)
    (target / JOURNAL).unlink()
    report.written = len(sides)
    return Outcome(report, Counter(sides), strata, clues.unseen)


def _write(source: Path, pictures: Path, target: Path, sides: list[str], link: bool) -> None:
    def placed() -> Iterator[Record]:
        for record, side in zip(manifest.read(source, Report()), sides, strict=True):
            place(pictures / record.file, target / record.file, link)
            yield record.model_copy(update={"split": side})

    write_manifest(target, placed())
