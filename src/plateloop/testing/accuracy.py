"""End-to-end accuracy: pictures and clips with known plates through the whole system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from plateloop.data_preparation.manifest import NAME as MANIFEST
from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.deployment.config import NetworksConfig
from plateloop.errors import UserError
from plateloop.runtime.cascade import Cascade, CascadeConfig
from plateloop.runtime.pictures import read_pictures
from plateloop.testing.accuracy_clips import NAME as CLIPS
from plateloop.testing.accuracy_clips import evaluate_clips, read_clips
from plateloop.testing.accuracy_scores import AccuracyReport, report
from plateloop.testing.judge import Item, judge

Begin = Callable[[str, int], Callable[[int], None]]
"""Starts a progress bar: title and total → what to call with the number of pictures just done."""


def selected(folder: Path, split: str | None) -> list[Record]:
    """The records of the manifest dataset ``folder`` in ``split`` (None: all) that have a plate with text.

    Raises UserError where there is none.
    """
    records = [r for r in read_manifest(folder) if r.texts or any(p.text for p in r.plates)]
    chosen = [r for r in records if split is None or r.split == split]
    if not chosen:
        known = ", ".join(sorted({r.split or "none" for r in records})) or "none with a plate's text"
        raise UserError(f"{folder}: no picture with a plate's text in split {split}; there are: {known}")
    return chosen


def evaluate(
    cascade: Cascade,
    folder: Path,
    records: Sequence[Record],
    threshold: float = 0.0,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[Item]:
    """Put the pictures of ``records`` in ``folder`` through ``cascade`` and judge each plate.

    ``advance`` is told of each picture done. Raises UserError where one is missing or cannot be decoded.
    """
    pictures = read_pictures(folder / record.file for record in records)
    for record, picture in zip(records, pictures, strict=True):
        if isinstance(picture, UserError):
            raise picture
        (scene,) = cascade([picture[1]])
        yield from judge(record, scene, threshold, folder.name)
        advance(1)


def measure(
    data: Sequence[Path],
    split: str | None,
    threshold: float = 0.0,
    weights: Path | None = None,
    device: str = "cpu",
    threads: int = 0,
    begin: Begin = lambda title, total: lambda count: None,
) -> AccuracyReport:
    """Test the networks (of the folder ``weights``, or the package's) on the folders ``data``.

    A folder with a manifest has its pictures read as ``plateloop read`` does, one with a ``clips.jsonl`` its
    clips as ``plateloop run`` does. ``threshold`` is for pictures: readings less sure count as not given.
    Raises UserError where a folder holds nothing of ``split`` that could be tested, or two have one name.
    """
    names = Counter(folder.absolute().name for folder in data)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise UserError(f"{doubled[0]}: two folders of this name; the report tells datasets apart by it")
    pictures, clips = {}, {}
    for folder in map(Path.absolute, data):
        if (folder / CLIPS).is_file():
            clips[folder] = read_clips(folder, split)
        if (folder / MANIFEST).is_file() or folder not in clips:
            pictures[folder] = selected(folder, split)
    cascade = Cascade.load(device, threads, weights, CascadeConfig(color=False))
    items: list[Item] = []
    for folder, records in pictures.items():
        items += evaluate(cascade, folder, records, threshold, begin(folder.name, len(records)))
    networks = NetworksConfig(weights=weights, device=device, threads=threads)
    for folder, listed in clips.items():
        items += evaluate_clips(folder, listed, networks, begin(f"{folder.name}/clips", len(listed)))
    hashes = {str(task): session.card.sha256 for task, session in cascade.sessions.items()}
    looked_at = sum(map(len, pictures.values())) + sum(map(len, clips.values()))
    return report(items, looked_at, hashes, split)
