"""CSV: a table of crops beside their pictures, ``file,text`` and, as far as there are, further columns.

Known columns are ``file, text, region, split, source, license, sequence`` and, where a plate is a part of its
picture, ``x1, y1, x2, y2``; others are kept as the plate's attributes. A table without a head has the first
three.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from plateloop.data_preparation.formats.shapes import decimal, plate_text, to_box, written_text
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.pictures import SPLITS, locate, place, relative, size, split_of, walk
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError
from plateloop.files import atomic

HOLDS = frozenset(
    {"split", "source", "license", "sequence"}
    | {"plates", "plate.text", "plate.region", "plate.annotation", "plate.attributes"}
)

_RECORD = ("split", "source", "license", "sequence")
_BOX = ("x1", "y1", "x2", "y2")
_ALIASES = {
    **dict.fromkeys(("filename", "file_name", "image", "image_path", "path", "img", "name"), "file"),
    **dict.fromkeys(("plate", "label", "license_plate", "plate_text", "plate_number", "words"), "text"),
    **dict.fromkeys(("country", "state"), "region"),
}


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures that the tables under ``folder`` name; rows of one picture make one record.

    Raises UserError where there is no table.
    """
    found = False
    for path in walk(folder, frozenset({".csv", ".tsv"})):
        found = True
        rows = report.attempt(relative(path, folder), _rows, path)
        for file, group in groupby(
            sorted(rows or (), key=lambda row: row[1]["file"]), lambda row: row[1]["file"]
        ):
            name = f"{relative(path, folder)}: {file}"
            record = report.attempt(name, _record, [row for _, row in group], path.parent, folder)
            if record is not None:
                yield record
    if not found:
        raise UserError(f"{folder}: no CSV file there")


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    text = path.read_text(encoding="utf-8-sig")
    head = text.partition("\n")[0]
    delimiter = max("\t;,", key=head.count)
    table = list(csv.reader(text.splitlines(), delimiter=delimiter))
    if not table:
        return []
    names = [cell.strip().lower() for cell in table[0]]
    names = [name if _ALIASES.get(name) in names else _ALIASES.get(name, name) for name in names]
    if "file" not in names:
        names, first = ["file", "text", "region"], 0
    else:
        first = 1
    rows = []
    for number, cells in enumerate(table[first:], first + 1):
        if any(cells):
            if len(cells) > len(names):
                raise ValueError(f"line {number}: {len(cells)} columns, not {len(names)}")
            rows.append((number, dict(zip(names, cells, strict=False))))
    return rows


def _record(rows: list[dict[str, str]], base: Path, folder: Path) -> Record:
    picture = locate(base, rows[0]["file"].strip(), "images")
    width, height = size(picture)
    fields: dict[str, Any] = {key: rows[0][key] for key in _RECORD if rows[0].get(key)}
    file = relative(picture, folder)
    split = SPLITS[fields["split"].lower()] if "split" in fields else split_of(file)
    plates = tuple(_plate(row, width, height) for row in rows)
    return Record(
        file=file,
        width=width,
        height=height,
        vehicles_annotated=False,
        plates=plates,
        **(fields | {"split": split}),
    )


def _plate(row: dict[str, str], width: int, height: int) -> Plate:
    known = {"file", "text", "region", "annotation", *_RECORD, *_BOX}
    text, raw = plate_text(row["text"].strip()) if row.get("text", "").strip() else (None, {})
    part = all(row.get(side) for side in _BOX)
    return Plate(
        box=to_box([row[side] for side in _BOX]) if part else (0, 0, width, height),
        text=text,
        region=row.get("region") or None,
        annotation=row.get("annotation") or None,
        attributes={key: value for key, value in row.items() if key not in known and value} | raw,
    )


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``labels.csv`` and the pictures under their own paths, a row a plate.

    Pictures without a plate are left out. ``records`` is gone through twice: the columns come first.
    """
    columns: dict[str, None] = {"file": None, "text": None}
    for record in records:
        columns |= {key: None for row in _written(record) for key in row}
    target.mkdir(parents=True, exist_ok=True)
    with atomic(target / "labels.csv") as path, path.open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, list(columns), restval="", lineterminator="\n")
        table.writeheader()
        for record in records:
            rows = _written(record)
            if rows:
                place(source / record.file, target / record.file, link)
                table.writerows(rows)
                report.written += 1
            else:
                report.skip(record.file, "no plate")


def _written(record: Record) -> list[dict[str, str]]:
    rows = []
    for plate in record.plates:
        row = {"file": record.file, "text": written_text(plate) or "", "region": plate.region or ""}
        row["annotation"] = plate.annotation or ""
        row |= {key: getattr(record, key) or "" for key in _RECORD}
        if plate.box != (0, 0, record.width, record.height):
            row |= {key: decimal(value, most=9) for key, value in zip(_BOX, plate.box, strict=True)}
        row |= {key: value for key, value in plate.attributes.items() if key != "raw_text"}
        rows.append({key: value for key, value in row.items() if value})
    return rows
