"""LabelMe: a JSON file a picture, beside it, with rectangles and polygons.

A plate's text is its shape's ``description``; what else is known about an object is in its ``attributes``,
about the picture in the file's own keys, and its tags are ``flags``. https://github.com/wkentaro/labelme
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plateloop.data_preparation.formats import holds
from plateloop.data_preparation.formats.shapes import (
    Shape,
    around,
    from_outline,
    is_plate,
    objects,
    outline,
    shapes,
    to_corners,
    word,
)
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import beside, locate, place, relative, size, split_of, walk
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

HOLDS = holds.ALL

_FIELDS = ("source", "license", "region", "sequence", "split")


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures that a LabelMe file under ``folder`` describes.

    Raises UserError where there is no JSON file.
    """
    found = False
    for path in walk(folder, frozenset({".json"})):
        found = True
        name = relative(path, folder)
        record = report.attempt(name, _record, path, folder, report)
        if record is not None:
            yield record
    if not found:
        raise UserError(f"{folder}: no JSON file there, as LabelMe has one a picture")
    for picture in walk(folder):
        if not picture.with_suffix(".json").is_file():
            report.skip(relative(picture, folder), "no annotation file")


def _record(path: Path, folder: Path, report: Report) -> Record:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise ValueError("no LabelMe: lacks `shapes`")
    stated = content.get("imagePath") or path.stem
    picture = beside(path.parent, path.stem) or locate(
        folder, stated, relative(path.parent, folder), "images"
    )
    width, height = size(picture)
    said = content.get("imageWidth") or width, content.get("imageHeight") or height
    if said != (width, height):
        raise ValueError(f"says {said[0]}×{said[1]}, the picture has {width}×{height}")
    found: list[Shape] = []
    for row in content["shapes"]:
        shape = _shape(row)
        found += [shape] if shape else []
        report.lost[f"shapes of kind {row.get('shape_type')}"] += shape is None
    file = relative(picture, folder)
    fields: dict[str, Any] = {key: content[key] for key in _FIELDS if content.get(key)}
    return Record(
        file=file,
        width=width,
        height=height,
        texts=tuple(content.get("texts") or ()),
        tags=tuple(key for key, on in (content.get("flags") or {}).items() if on),
        attributes={key: word(value) for key, value in (content.get("attributes") or {}).items()},
        **({"split": split_of(file)} | fields),
        **objects(found),
    )


def _shape(row: dict[str, Any]) -> Shape | None:
    label, points = row["label"], row["points"]
    said = {key: word(value) for key, value in (row.get("attributes") or {}).items()}
    if row.get("description"):
        said["text" if is_plate(label) else "description"] = row["description"]
    for key in ("group_id", "difficult"):
        if row.get(key) not in (None, False):
            said[key] = word(row[key])
    said |= {key: "true" for key, on in (row.get("flags") or {}).items() if on}
    kind = row.get("shape_type", "polygon")
    if kind == "rectangle" and len(points) in (2, 4):
        # Rectangles may be drawn from any corner.
        numbers = [(float(x), float(y)) for x, y in points]
        return Shape(label, around(numbers), None, said)
    if kind in ("polygon", "rotation"):
        return from_outline(label, points, said)
    return None


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write each picture under its own path, and a JSON file beside it."""
    for record in records:
        picture = target / record.file
        place(source / record.file, picture, link)
        said = {key: getattr(record, key) for key in (*_FIELDS, "texts", "attributes")}
        content = {
            "version": "5.5.0",
            "flags": dict.fromkeys(record.tags, True),
            "shapes": [_row(shape) for shape in shapes(record)],
            "imagePath": picture.name,
            "imageData": None,
            "imageHeight": record.height,
            "imageWidth": record.width,
        }
        content |= {key: value for key, value in said.items() if value}
        text = json.dumps(content, ensure_ascii=False, indent=1)
        picture.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        report.written += 1


def _row(shape: Shape) -> dict[str, Any]:
    drawn = outline(shape)
    corners, said = drawn if drawn else (None, dict(shape.attributes))
    text = said.pop("text", "") if is_plate(shape.label) else said.pop("description", "")
    group = said.pop("group_id", None)
    row: dict[str, Any] = {
        "label": shape.label,
        "points": to_corners(corners) if corners else [shape.box[:2], shape.box[2:]],
        "group_id": int(group) if group and group.lstrip("-").isdecimal() else group,
        "description": text,
        "shape_type": "polygon" if corners else "rectangle",
        "flags": {},
    }
    return row | ({"attributes": said} if said else {})
