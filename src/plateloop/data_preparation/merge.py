"""Merge datasets: all records of several folders in one, names kept apart, classes made one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from plateloop.data_preparation.convert import apart
from plateloop.data_preparation.formats import manifest
from plateloop.data_preparation.kinship import digest
from plateloop.data_preparation.manifest import Record, write_manifest
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.pictures import place
from plateloop.data_preparation.relabel import relabel
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError


def merge(
    sources: Sequence[Path],
    target: Path,
    labels: Mapping[str, str] | None = None,
    link: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Report:
    """Write all records of the manifest datasets ``sources`` to ``target``, in order.

    A file's name that is taken by another picture or other labels gets ``_2``, ``_3``… behind it; what is the
    same in both, picture and labels, is written once and reported. A record without a source gets its
    folder's name for one; a plate's own word for its class goes. ``labels`` renames classes.

    Raises UserError for folders within each other, or the same one twice.
    """
    if len({source.resolve() for source in sources}) < len(sources):
        raise UserError(f"{', '.join(map(str, sources))}: the same folder twice; name each once")
    for source in sources:
        apart(source, target)
    report = Report()
    taken: dict[int, tuple[int, bytes]] = {}

    def merged() -> Iterator[Record]:
        for source in sources:
            skipped = Report()
            look = partial(_look, source, labels or {})
            for new, content in each(look, manifest.read(source, skipped)):
                tick()
                name = new.file
                count = 1
                while (key := digest(name)) in taken and taken[key] != content:
                    count += 1
                    path = PurePosixPath(new.file)
                    name = str(path.with_name(f"{path.stem}_{count}{path.suffix}"))
                if key in taken:
                    report.repeated += 1
                    continue
                taken[key] = content
                place(source / new.file, target / name, link)
                report.written += 1
                yield new.model_copy(update={"file": name})
            for file, reason in skipped.skipped.items():
                report.skip(f"{source}: {file}", reason)

    write_manifest(target, merged())
    return report


def _look(source: Path, labels: Mapping[str, str], record: Record) -> tuple[Record, tuple[int, bytes]]:
    """The record as the merged dataset has it, and 64 bits each of its labels and its picture."""
    new = _uniform(relabel(record, labels), source.name)
    return new, (_content(new), blake2b((source / record.file).read_bytes(), digest_size=8).digest())


def _uniform(record: Record, source: str) -> Record:
    plates = tuple(
        plate.model_copy(update={"attributes": {k: v for k, v in plate.attributes.items() if k != "label"}})
        for plate in record.plates
    )
    return record.model_copy(update={"plates": plates, "source": record.source or source})


def _content(record: Record) -> int:
    return digest(record.model_dump_json(exclude={"file", "source"}))
