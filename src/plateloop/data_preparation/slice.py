"""Slice a dataset: the records that match a query, a random part, or so many of each class."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from plateloop.data_preparation.convert import apart
from plateloop.data_preparation.formats import manifest
from plateloop.data_preparation.formats.shapes import PLATE
from plateloop.data_preparation.kinship import digest
from plateloop.data_preparation.manifest import Record, write_manifest
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

Test = Callable[[Record], bool]

_WORDS: dict[str, Callable[[Record], Iterable[str]]] = {
    "file": lambda r: [r.file],
    "source": lambda r: [r.source],
    "license": lambda r: [r.license],
    "split": lambda r: [r.split or ""],
    "sequence": lambda r: [r.sequence or ""],
    "tag": lambda r: r.tags,
    "region": lambda r: {r.region or "", *(p.region or "" for p in r.plates)} - {""},
    "label": lambda r: classes(r),
    "color": lambda r: [v.color for v in r.vehicles if v.color],
    "text": lambda r: [p.text for p in r.plates if p.text] + list(r.texts),
    "annotation": lambda r: [
        word for word in (*(v.annotation for v in r.vehicles), *(p.annotation for p in r.plates)) if word
    ],
}
_NUMBERS: dict[str, Callable[[Record], Iterable[float]]] = {
    "width": lambda r: [r.width],
    "height": lambda r: [r.height],
    "vehicles": lambda r: [len(r.vehicles)],
    "plates": lambda r: [len(r.plates)],
    "plate_width": lambda r: [p.box[2] - p.box[0] for p in r.plates],
    "plate_height": lambda r: [p.box[3] - p.box[1] for p in r.plates],
    "vehicle_width": lambda r: [v.box[2] - v.box[0] for v in r.vehicles],
    "vehicle_height": lambda r: [v.box[3] - v.box[1] for v in r.vehicles],
    "text_length": lambda r: [len(p.text) for p in r.plates if p.text],
}


def classes(record: Record) -> list[str]:
    """The classes of a record's objects, each once."""
    found = dict.fromkeys(vehicle.label for vehicle in record.vehicles)
    return [*found, PLATE] if record.plates else list(found)


def parse(conditions: Sequence[str]) -> Test:
    """A test from conditions, all of which must hold.

    ``FIELD=PATTERN`` holds where any of a record's values matches the pattern (with ``*`` and ``?``; several
    between commas), ``FIELD!=PATTERN`` where none does; ``min_FIELD=N`` and ``max_FIELD=N`` where any value
    is at least, or at most, so large. Raises UserError for others.
    """
    tests = [_condition(condition) for condition in conditions]
    return lambda record: all(test(record) for test in tests)


def _condition(condition: str) -> Test:
    field, equals, value = condition.partition("=")
    bound, _, name = field.partition("_")
    if equals and bound in ("min", "max") and name in _NUMBERS:
        try:
            limit = float(value)
        except ValueError:
            raise UserError(f"{condition}: {value} is no number") from None
        numbers = _NUMBERS[name]
        if bound == "min":
            return lambda record: any(number >= limit for number in numbers(record))
        return lambda record: any(number <= limit for number in numbers(record))
    field, negated = field.removesuffix("!"), field.endswith("!")
    if not equals or field not in _WORDS:
        known = ", ".join([*_WORDS, *(f"min_{name}" for name in _NUMBERS)])
        raise UserError(f"{condition}: a condition is FIELD=VALUE with one of {known}")
    words, patterns = _WORDS[field], value.split(",")

    def matches(record: Record) -> bool:
        return any(fnmatchcase(word, pattern) for word in words(record) for pattern in patterns)

    return (lambda record: not matches(record)) if negated else matches


def take(
    source: Path,
    target: Path,
    where: Sequence[str] = (),
    random: int | None = None,
    per_class: int | None = None,
    seed: int = 0,
    link: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Report:
    """Write the records of the manifest dataset ``source`` that hold to ``target``.

    ``where`` as in `parse`; of these, ``random`` many, or enough that each class is in ``per_class`` pictures
    (as far as there are). Chance hangs on the seed and the files' names alone.

    Raises UserError for a bad condition or folders within each other.
    """
    apart(source, target)
    holds = parse(where)
    chosen = _chosen(source, holds, random, per_class, seed) if random or per_class else None
    report = Report()

    def taken() -> Iterator[Record]:
        for record in manifest.read(source, report):
            tick()
            if holds(record) and (chosen is None or digest(str(seed), record.file) in chosen):
                place(source / record.file, target / record.file, link)
                report.written += 1
                yield record

    write_manifest(target, taken())
    return report


def _chosen(source: Path, holds: Test, random: int | None, per_class: int | None, seed: int) -> set[int]:
    """The digests of the records that chance takes: the lowest ones, of all or of each class."""
    heaps: Mapping[str, list[int]] = defaultdict(list)
    for record in manifest.read(source, Report()):
        if holds(record):
            place_of = -digest(str(seed), record.file)
            for name in classes(record) if per_class else [""]:
                if len(heaps[name]) < (per_class or random or 0):
                    heapq.heappush(heaps[name], place_of)
                else:
                    heapq.heappushpop(heaps[name], place_of)
    return {-place_of for heap in heaps.values() for place_of in heap}
