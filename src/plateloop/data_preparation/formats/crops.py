"""Pictures of one plate each, with its text: what the text formats have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats.shapes import plate_text, written_text
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.pictures import FlatNames, Split, relative, size
from plateloop.data_preparation.placing import place_all, tao_suffix
from plateloop.data_preparation.report import Report

HOLDS = frozenset({"split", "plates", "plate.text", "plate.attributes.raw_text"})


def crop(picture: Path, folder: Path, written: str, split: Split | None = None) -> Record:
    """The record of a picture that is wholly one plate, whose text its source writes as ``written``.

    Raises ValueError where the picture cannot be read or the text is empty.
    """
    width, height = size(picture)
    written = written.strip()
    if not written:
        raise ValueError("an empty text")
    text, raw = plate_text(written)
    return Record(
        file=relative(picture, folder),
        width=width,
        height=height,
        split=split,
        plates=(Plate(box=(0, 0, width, height), text=text, attributes=raw),),
        vehicles_annotated=False,
    )


def crop_text(record: Record, report: Report) -> str | None:
    """The text of a record that is wholly one plate; None, and a line in the report, where it is not."""
    text = written_text(record.plates[0]) if len(record.plates) == 1 else None
    if len(record.plates) != 1:
        report.skip(record.file, f"{len(record.plates)} plates, not one; run `plateloop data crop` first")
    elif tuple(record.plates[0].box) != (0, 0, record.width, record.height):
        report.skip(record.file, "the plate is a part of the picture; run `plateloop data crop` first")
    elif not text:
        report.skip(record.file, "its plate has no text")
    else:
        return text
    return None


def place_for_tao(
    records: Iterable[Record], source: Path, target: Path, folder: str, report: Report, link: bool = False
) -> Iterator[tuple[str, Path]]:
    """Put the crops into ``folder`` of ``target`` or of its folder a split; yields each one's text and place.

    At the end it writes ``characters_list.txt`` as NVIDIA TAO reads it: one a line, digits first.
    """
    names = FlatNames()
    seen: set[str] = set()

    def wanted() -> Iterator[tuple[Record, Path]]:
        for record in records:
            if crop_text(record, report) is not None:
                part = record.split or ""
                name = names.take(record.file, part) + tao_suffix(record.file)
                yield record, target / part / folder / name

    for record, picture in place_all(wanted(), source, report, link):
        text = crop_text(record, report) or ""
        yield text, picture
        seen |= set(text)
        report.written += 1
    target.mkdir(parents=True, exist_ok=True)
    listed = "".join(f"{character}\n" for character in sorted(seen))
    (target / "characters_list.txt").write_text(listed, encoding="utf-8")
