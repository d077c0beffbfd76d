"""OpenALPR's benchmark files: ``NAME.txt`` beside ``NAME.jpg``, a line a plate.

A line is ``NAME.jpg<TAB>x<TAB>y<TAB>width<TAB>height<TAB>text``, in pixels.
https://github.com/openalpr/benchmarks
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats.shapes import decimal, number, plate_text, written_text
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.pictures import FlatNames, beside, place, relative, size, split_of, walk
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

HOLDS = frozenset({"split", "plates", "plate.text", "plate.attributes.raw_text"})


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures that a text file beside them describes.

    Raises UserError where there is no text file.
    """
    found = False
    for path in walk(folder, frozenset({".txt"})):
        found = True
        name = relative(path, folder)
        record = report.attempt(name, _record, path, folder)
        if record is not None:
            yield record.model_copy(update={"split": split_of(name)})
    if not found:
        raise UserError(f"{folder}: no text file there, as OpenALPR's format has one a picture")
    for picture in walk(folder):
        if not picture.with_suffix(".txt").is_file():
            report.skip(relative(picture, folder), f"no {picture.stem}.txt beside it")


def _record(path: Path, folder: Path) -> Record:
    picture = beside(path.parent, path.stem)
    if picture is None:
        raise ValueError(f"no picture {path.stem} beside it")
    width, height = size(picture)
    plates = []
    for index, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip():
            try:
                plates.append(_plate(line))
            except ValueError as error:
                raise ValueError(f"line {index}: {error}") from None
    return Record(
        file=relative(picture, folder),
        width=width,
        height=height,
        plates=tuple(plates),
        vehicles_annotated=False,
    )


def _plate(line: str) -> Plate:
    columns = line.split("\t")
    if len(columns) not in (5, 6):
        raise ValueError(f"{len(columns)} columns between tabs, not 6")
    x, y, width, height = (number(value) for value in columns[1:5])
    written = columns[5].strip() if len(columns) == 6 else ""
    text, raw = plate_text(written) if written else (None, {})
    return Plate(box=(x, y, number(x + width), number(y + height)), text=text, attributes=raw)


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write pictures and text files, in a folder a split."""
    names = FlatNames()
    for record in records:
        part = record.split or ""
        name = names.take(record.file, part)
        picture = target / part / f"{name}{Path(record.file).suffix}"
        place(source / record.file, picture, link)
        lines = []
        for plate in record.plates:
            x1, y1, x2, y2 = plate.box
            columns = [decimal(v, most=9) for v in (x1, y1, x2 - x1, y2 - y1)]
            lines.append("\t".join([picture.name, *columns, written_text(plate) or ""]) + "\n")
        picture.with_suffix(".txt").write_text("".join(lines), encoding="utf-8")
        report.written += 1
