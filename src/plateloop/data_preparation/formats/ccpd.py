"""CCPD: everything is in a picture's name.

``025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg``: share of the
picture, tilt, box, corners from the bottom right clockwise, text as indices into three tables, brightness,
blurriness. https://github.com/detectRecog/CCPD
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats.shapes import to_box, to_corners
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.pictures import (
    SPLITS,
    FlatNames,
    Split,
    place,
    relative,
    size,
    split_of,
    walk,
)
from plateloop.data_preparation.report import Report

PROVINCES = "皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学O"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZO"
CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789O"

HOLDS = frozenset({"split", "plates", "plate.corners", "plate.text", "plate.region"}) | {
    f"plate.attributes.{key}" for key in ("area", "tilt", "brightness", "blurriness", "raw_text")
}

# In the tables the letter O, which no Chinese plate has, stands for "no character".
_NONE = "O"


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures under ``folder`` whose names are CCPD's; splits from folders or ``splits/SPLIT.txt``.

    The province's character is kept in ``raw_text``, the text is without it.
    """
    splits = _splits(folder)
    for picture in walk(folder):
        file = relative(picture, folder)
        record = report.attempt(file, _record, picture, folder)
        if record is not None:
            split = splits.get(file) or split_of(file)
            yield record.model_copy(update={"split": split})


def _splits(folder: Path) -> dict[str, Split]:
    return {
        line.strip(): SPLITS[path.stem]
        for path in sorted((folder / "splits").glob("*.txt"))
        if path.stem in SPLITS
        for line in path.read_text(encoding="utf-8").splitlines()
    }


def _record(picture: Path, folder: Path) -> Record:
    parts = picture.stem.split("-")
    if len(parts) < 7:
        raise ValueError("no CCPD name: 7 parts between hyphens are needed")
    width, height = size(picture)
    box = to_box([v for point in parts[2].split("_") for v in point.split("&")])
    bottom_right, bottom_left, top_left, top_right = to_corners([p.split("&") for p in parts[3].split("_")])
    text = _text([int(index) for index in parts[4].split("_")])
    said = {"area": parts[0], "tilt": parts[1], "brightness": parts[5], "blurriness": parts[6]}
    plate = Plate(
        box=box,
        corners=(top_left, top_right, bottom_right, bottom_left),
        text=text[1:].replace(_NONE, ""),
        region="CN",
        attributes=said | ({"raw_text": text} if text[0] != _NONE else {}),
    )
    return Record(
        file=relative(picture, folder),
        width=width,
        height=height,
        plates=(plate,),
        vehicles_annotated=False,
    )


def _text(indices: list[int]) -> str:
    tables = [PROVINCES, LETTERS, *[CHARACTERS] * (len(indices) - 2)]
    if len(indices) not in (7, 8) or any(not 0 <= i < len(t) for i, t in zip(indices, tables, strict=True)):
        raise ValueError(f"no CCPD text: {'_'.join(map(str, indices))}")
    return "".join(table[index] for index, table in zip(indices, tables, strict=True))


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write pictures under CCPD's names, in a folder a split; a name taken twice gets an eighth part.

    The format has one plate a picture, with corners and a Chinese text, in whole pixels; others are left out.
    """
    names = FlatNames()
    for record in records:
        stem = report.attempt(record.file, _name, record)
        if stem is not None:
            part = record.split or ""
            name = names.free(stem, part).replace(f"{stem}_", f"{stem}-")
            place(source / record.file, target / part / f"{name}{Path(record.file).suffix}", link)
            report.written += 1


def _name(record: Record) -> str:
    if len(record.plates) != 1:
        raise ValueError(f"{len(record.plates)} plates, not one")
    plate = record.plates[0]
    if plate.corners is None or not plate.text:
        raise ValueError("its plate has no corners or no text")
    raw = plate.attributes.get("raw_text", "")
    text = raw if raw[1:] == plate.text else _NONE + plate.text
    tables = [PROVINCES, LETTERS, *[CHARACTERS] * (len(text) - 2)]
    if len(text) not in (7, 8) or any(c not in t for c, t in zip(text, tables, strict=True)):
        raise ValueError(f"CCPD's tables cannot write {text.removeprefix(_NONE)}")
    top_left, top_right, bottom_right, bottom_left = plate.corners
    x1, y1, x2, y2 = plate.box
    share = (x2 - x1) * (y2 - y1) / (record.width * record.height)
    said = plate.attributes
    return "-".join(
        [
            said.get("area", f"{round(1000 * share):03d}"),
            said.get("tilt", "90_90"),
            _points(((x1, y1), (x2, y2))),
            _points((bottom_right, bottom_left, top_left, top_right)),
            "_".join(str(table.index(c)) for c, table in zip(text, tables, strict=True)),
            said.get("brightness", "0"),
            said.get("blurriness", "0"),
        ]
    )


def _points(points: Iterable[tuple[float, float]]) -> str:
    return "_".join(f"{round(x)}&{round(y)}" for x, y in points)
