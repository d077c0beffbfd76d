"""Writes a cleaned copy of a dataset, puts what is doubtful into quarantine, and takes it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from plateloop.data_preparation.checkpoint import MADE, begin, finish, outcome, own, refuse_foreign
from plateloop.data_preparation.clean import boxes, corners, texts
from plateloop.data_preparation.clean.finding import KINDS
from plateloop.data_preparation.clean.inspect import Inspection
from plateloop.data_preparation.convert import apart
from plateloop.data_preparation.manifest import NAME, Record, read_manifest, write_manifest
from plateloop.data_preparation.pictures import place
from plateloop.errors import UserError
from plateloop.files import atomic

JOURNAL = "quarantine.json"


@dataclass
class Fixed:
    """How many records were written, of these mended, left out, and put into quarantine."""

    written: int = 0
    mended: int = 0
    left_out: int = 0
    quarantined: int = 0


def mend(record: Record, lying: Collection[int] = ()) -> Record:
    """The record with all that is safe to mend mended; the plates ``lying`` are laid down."""
    if lying:
        plates = [
            plate.model_copy(update={"box": boxes.laid(plate.box, record.width, record.height)})
            if index in lying
            else plate
            for index, plate in enumerate(record.plates)
        ]
        record = record.model_copy(update={"plates": tuple(plates)})
    return texts.mend(corners.mend(boxes.mend(record)))


def check(source: Path, target: Path, quarantine: Path | None = None) -> None:
    """Raise UserError for folders within each other, a ``target`` of other data, a ``quarantine`` in use."""
    apart(source, target)
    refuse_foreign(target)
    if quarantine is not None:
        apart(source, quarantine)
        apart(target if target.exists() else source, quarantine)
        if not own(target) and quarantine.exists() and any(quarantine.iterdir()):
            raise UserError(f"{quarantine}: not empty; undo it first, or choose another folder")


def fix(
    source: Path,
    target: Path,
    found: Inspection,
    quarantine: Path | None = None,
    kinds: Collection[str] | None = None,
    link: bool = False,
) -> Fixed:
    """Write ``source`` to ``target``, mended, without what is `Kind.cure` "remove".

    With ``quarantine``, that and the pictures with findings of ``kinds`` (those that are `Kind.quarantine`
    where None) are written there, as a dataset with a journal for `undo`. Broken off, it can be called again;
    finished, it changes nothing.

    Raises UserError as `check` does, and where ``target`` was made of something else.
    """
    check(source, target, quarantine)
    doubtful = {name for name, kind in KINDS.items() if kind.quarantine} if kinds is None else set(kinds)
    removed = {name for name, kind in KINDS.items() if kind.cure == "remove"}
    away = None if quarantine is None else str(quarantine.resolve())
    plan = found.plan | {"step": "clean --fix", "quarantine": away, "kind": sorted(doubtful)}
    if (said := outcome(target, plan)) is not None:
        return Fixed(**said)
    begin(target, plan)
    done = Fixed()
    held: list[Record] = []
    before: list[int] = []
    names: set[int] = set()

    def kept() -> Iterator[Record]:
        for row, record in enumerate(read_manifest(source, lambda *_: None)):
            told = found.rows.get(row, set())
            again = hash(record.file) in names
            names.add(hash(record.file))
            if told & removed or (quarantine is not None and told & doubtful):
                done.left_out += 1
                # A second record of one file has no picture of its own to put away.
                if quarantine is not None and "missing" not in told and not again:
                    place(source / record.file, quarantine / record.file, link)
                    held.append(record)
                    before.append(done.written)
                continue
            new = mend(record, found.lying.get(row, ()))
            done.mended += new != record
            place(source / record.file, target / record.file, link)
            done.written += 1
            yield new

    write_manifest(target, kept())
    if quarantine is not None:
        write_manifest(quarantine, held)
        journal = {"from": str(target.resolve()), "before": before}
        with atomic(quarantine / JOURNAL) as path:
            path.write_text(json.dumps(journal), encoding="utf-8")
        done.quarantined = len(held)
    finish(target, plan, asdict(done))
    return done


def undo(quarantine: Path) -> int:
    """Put what is in ``quarantine`` back to where it was taken from, mended; returns how many records.

    The folder is removed. Raises UserError where it is no quarantine, or where its dataset is gone.
    """
    journal = quarantine / JOURNAL
    if not journal.is_file():
        raise UserError(f"{quarantine}: no {JOURNAL} there; name a folder that --quarantine wrote")
    data = json.loads(journal.read_text(encoding="utf-8"))
    target = Path(data["from"])
    if not (target / NAME).is_file():
        raise UserError(f"{target}: gone, though {quarantine} was taken from there; move it back first")
    held = list(read_manifest(quarantine))
    for record in held:
        place(quarantine / record.file, target / record.file)
    waiting = list(zip(data["before"], map(mend, held), strict=True))
    back = {record.file: record for _, record in waiting}

    def merged() -> Iterator[Record]:
        rest = iter(waiting)
        following = next(rest, None)
        # What a broken off undo has put back already is left out and put back again.
        present = (record for record in read_manifest(target) if back.get(record.file) != record)
        for number, record in enumerate(present):
            while following is not None and following[0] <= number:
                yield following[1]
                following = next(rest, None)
            yield record
        while following is not None:
            yield following[1]
            following = next(rest, None)

    write_manifest(target, merged())
    # It is no longer what `fix` made.
    (target / MADE).unlink(missing_ok=True)
    shutil.rmtree(quarantine)
    return len(held)
