"""Long steps that go on where they were broken off and, once finished, change nothing.

What a step makes of each item is a line of a journal, behind a first line that says what was asked for.
Called again, the step takes what the journal holds and makes only the rest. Finished, it leaves a file that
says what the folder was made of in place of the journal.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from plateloop.data_preparation.manifest import NAME, manifest_of, read_manifest
from plateloop.errors import UserError
from plateloop.files import atomic, lock

A = TypeVar("A")
B = TypeVar("B")

JOURNAL = ".unfinished.jsonl"
MADE = "made.json"


def fingerprint(folder: Path, skip: Callable[[str, str], None] = lambda *_: None) -> str:
    """A digest of a dataset: its manifest, and the size and time of each of its pictures.

    ``skip`` as in `read_manifest`. Raises UserError where there is no manifest.
    """
    with manifest_of(folder).open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    for record in read_manifest(folder, skip):
        try:
            found = (folder / record.file).stat()
            digest.update(b"%d %d," % (found.st_size, found.st_mtime_ns))
        except (OSError, ValueError):
            digest.update(b"-,")
    return digest.hexdigest()


def continued(
    journal: Path,
    plan: Mapping[str, object],
    items: Iterator[A],
    work: Callable[[Iterator[A]], Iterator[B]],
    kind: TypeAdapter[B],
) -> Iterator[B]:
    """What ``work`` makes of ``items``, in order: what ``journal`` holds, then the rest, which it keeps.

    All of it has been written as JSON and read again, so that it does not matter what was made when. Raises
    UserError where the journal is of another ``plan`` (of JSON values), or another process writes it.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a+b") as file:
        try:
            lock(file.fileno())
        except BlockingIOError:
            raise UserError(f"{journal.parent}: another process is writing it; wait for its end") from None
        except OSError:
            pass  # No locks here: nothing tells of another process.
        for result in _kept(file, journal.parent, plan, kind):
            next(items)
            yield result
        for first in islice(items, 1):
            for made in work(chain([first], items)):
                line = kind.dump_json(made, exclude_defaults=True)
                file.write(line + b"\n")
                file.flush()
                yield kind.validate_json(line)


def _kept(file: BinaryIO, folder: Path, plan: Mapping[str, object], kind: TypeAdapter[B]) -> Iterator[B]:
    """The results in a journal, which is begun where it is empty, and cut off before a line not whole."""
    file.seek(0)
    head = file.readline()
    if not head.endswith(b"\n"):
        file.truncate(0)
        file.write(json.dumps(plan).encode() + b"\n")
        file.flush()
        return
    _same(folder, json.loads(head), plan)
    whole = len(head)
    for line in file:
        try:
            result = kind.validate_json(line if line.endswith(b"\n") else b"")
        except ValidationError:
            break
        whole += len(line)
        yield result
    if file.seek(0, os.SEEK_END) > whole:
        file.truncate(whole)


def begin(folder: Path, plan: Mapping[str, object]) -> None:
    """Note that ``folder`` is being made, for a step so quick that it begins again. Raises as `continued`."""
    deque(continued(folder / JOURNAL, plan, iter(()), iter, TypeAdapter(object)), 0)


def own(folder: Path) -> bool:
    """Whether ``folder`` was made, or begun, by a step of this kind."""
    return (folder / MADE).exists() or (folder / JOURNAL).exists()


def refuse_foreign(folder: Path) -> None:
    """Raise UserError where ``folder`` holds a dataset from elsewhere."""
    if (folder / NAME).exists() and not own(folder):
        raise UserError(f"{folder}: holds a dataset already; choose a new folder")


def outcome(folder: Path, plan: Mapping[str, object]) -> dict[str, Any] | None:
    """What `finish` was told of ``folder``; None where it is still to be made.

    Raises UserError where it was made by another ``plan``, or holds a dataset from elsewhere.
    """
    refuse_foreign(folder)
    if not ((folder / NAME).exists() and (folder / MADE).exists()):
        return None
    said: dict[str, Any] = json.loads((folder / MADE).read_text(encoding="utf-8"))
    _same(folder, said["plan"], plan)
    (folder / JOURNAL).unlink(missing_ok=True)
    found: dict[str, Any] = said["outcome"]
    return found


def finish(folder: Path, plan: Mapping[str, object], outcome: Mapping[str, object]) -> None:
    """Note that ``folder`` is finished, what it was made of, and the ``outcome`` (of JSON values)."""
    with atomic(folder / MADE) as path:
        text = json.dumps({"plan": plan, "outcome": outcome}, ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
    (folder / JOURNAL).unlink(missing_ok=True)


def _same(folder: Path, old: Mapping[str, object], new: Mapping[str, object]) -> None:
    other = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    if other:
        raise UserError(f"{folder}: was made with another {', '.join(other)}; choose a new folder")
