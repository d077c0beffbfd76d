"""A dataset made out of another one's pictures, record by record; broken off, it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import TypeAdapter

from plateloop.data_preparation.checkpoint import JOURNAL, continued, fingerprint, finish, outcome
from plateloop.data_preparation.convert import apart
from plateloop.data_preparation.formats import manifest
from plateloop.data_preparation.manifest import Record, write_manifest
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.report import Report

Derived = tuple[list[Record], dict[str, str]]
"""The records that one became, whose pictures are written, and what was skipped, with the reasons."""

_KIND = TypeAdapter(Derived)


def derive(
    source: Path,
    target: Path,
    settings: Mapping[str, object],
    make: Callable[[Path, Path, Record], Derived],
    tick: Callable[[], None] = lambda: None,
    ray: str | None = None,
) -> Report:
    """Write what ``make`` makes of each record of the manifest dataset ``source`` to ``target``.

    ``make`` gets both folders, writes pictures, and returns their records; ``settings`` (of JSON values) say
    all that it depends on. Broken off and called again it goes on where it was; finished, it changes nothing.
    ``ray`` is the address of a cluster that does it.

    Raises UserError where folders lie within each other, or ``target`` was made of something else.
    """
    apart(source, target)
    source, target = source.absolute(), target.absolute()
    plan = {**settings, "data": fingerprint(source)}
    report = Report()
    if (done := outcome(target, plan)) is not None:
        return Report(done["written"], done["skipped"])
    target.mkdir(parents=True, exist_ok=True)

    def work(records: Iterator[Record]) -> Iterator[Derived]:
        return each(lambda record: make(source, target, record), records, ray, [source, target])

    def made() -> Iterator[Record]:
        records = manifest.read(source, report)
        for written, skipped in continued(target / JOURNAL, plan, records, work, _KIND):
            tick()
            report.written += len(written)
            for file, reason in skipped.items():
                report.skip(file, reason)
            yield from written

    write_manifest(target, made())
    finish(target, plan, {"written": report.written, "skipped": dict(sorted(report.skipped.items()))})
    return report
