"""KITTI: a folder of pictures and one of text files with a line an object, as NVIDIA TAO reads it.

A line has 15 columns (16 with a detector's score): class, truncation, occlusion, observation angle, box, and
7 of an object in space, which are 0 here unless the source had them. Splits are folders of their own.
https://www.cvlibs.net/datasets/kitti/eval_object.php
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats import holds
from plateloop.data_preparation.formats.shapes import (
    IGNORE_PLATE,
    IGNORE_VEHICLE,
    PLATE,
    Shape,
    decimal,
    number,
    objects,
    shapes,
    to_box,
)
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import FlatNames, bases, beside, relative, size
from plateloop.data_preparation.placing import TAO, place_all, tao_suffix
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

_EXTRA = ("truncation", "occlusion", "alpha", "height_m", "width_m", "length_m", "x_m", "y_m", "z_m", "yaw")
_COLUMNS = (1, 2, 3, 8, 9, 10, 11, 12, 13, 14)

HOLDS = (
    frozenset({"split", "vehicles", "plates", "vehicle.score", "plate.attributes.label"})
    | {f"{kind}.attributes.{name}" for kind in ("vehicle", "plate") for name in _EXTRA}
    | {"plate.attributes.score"}
    | holds.IGNORED
)


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures with a label file in ``labels`` (or ``label_2``), in ``folder`` and its split folders.

    Raises UserError where there is no such folder.
    """
    found = False
    for base, split in bases(folder):
        labels = next(
            (base / name for name in ("labels", "label_2", "label") if (base / name).is_dir()), None
        )
        pictures = next(
            (base / name for name in ("images", "image_2", "image", "data") if (base / name).is_dir()), base
        )
        if labels is None:
            continue
        found = True
        for path in sorted(labels.glob("*.txt")):
            name = relative(path, folder)
            picture = beside(pictures, path.stem)
            if picture is None:
                report.skip(name, f"no picture {path.stem} in {pictures.name}")
            else:
                record = report.attempt(name, _record, path, picture, folder)
                if record is not None:
                    yield record.model_copy(update={"split": split})
        for path in sorted(pictures.iterdir()):
            if path.suffix.lower() in TAO and not (labels / f"{path.stem}.txt").is_file():
                report.skip(relative(path, folder), "no label file")
    if not found:
        raise UserError(f"{folder}: no folder `labels` or `label_2` there, as KITTI has")


def _record(path: Path, picture: Path, folder: Path) -> Record:
    width, height = size(picture)
    found = []
    for index, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                found += _shapes(line.split())
            except ValueError as error:
                raise ValueError(f"line {index}: {error}") from None
    return Record(
        file=relative(picture, folder), width=width, height=height, **objects(found, plate_label="lpd")
    )


def _shapes(columns: list[str]) -> list[Shape]:
    if len(columns) not in (15, 16):
        raise ValueError(f"{len(columns)} columns, not 15")
    box = to_box(columns[4:8])
    if columns[0].lower() == "dontcare":
        return [Shape(IGNORE_VEHICLE, box), Shape(IGNORE_PLATE, box)]
    extra = {name: columns[c] for name, c in zip(_EXTRA, _COLUMNS, strict=True) if number(columns[c]) != 0}
    if len(columns) == 16:
        extra["score"] = columns[15]
    return [Shape(columns[0], box, None, extra)]


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``images/NAME`` and ``labels/NAME.txt``, in a folder a split where the records have splits.

    Pictures that TAO cannot read become PNG. Blanks in a class become ``_``.
    """
    names = FlatNames()

    def wanted() -> Iterator[tuple[Record, Path]]:
        for record in records:
            part = record.split or ""
            name = names.take(record.file, part) + tao_suffix(record.file)
            yield record, target / part / "images" / name

    for record, picture in place_all(wanted(), source, report, link):
        ignored = dict.fromkeys((*record.ignore_vehicles, *record.ignore_plates))
        lines = [
            _line(shape) for shape in shapes(record) if shape.label not in (IGNORE_VEHICLE, IGNORE_PLATE)
        ]
        lines += [_line(Shape("DontCare", box)) for box in ignored]
        labels = picture.parent.with_name("labels")
        labels.mkdir(exist_ok=True)
        (labels / f"{picture.stem}.txt").write_text("".join(lines), encoding="utf-8")
        report.written += 1


def _line(shape: Shape) -> str:
    label = "lpd" if shape.label == PLATE else "_".join(shape.label.split())
    columns = ["0.00"] * 15
    columns[0] = label
    columns[2] = "0"
    columns[4:8] = [decimal(v, 2, 9) for v in shape.box]
    for name, column in zip(_EXTRA, _COLUMNS, strict=True):
        columns[column] = shape.attributes.get(name, columns[column])
    if "score" in shape.attributes:
        columns.append(shape.attributes["score"])
    return " ".join(columns) + "\n"
