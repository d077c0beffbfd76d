"""COCO: JSON files of ``images``, ``annotations`` and ``categories``, one a split.

A plate's corners are 4 ``keypoints`` (a ``segmentation`` of one polygon with 4 points is read too),
everything else that is known about an object is in ``attributes``, as CVAT writes it; about a picture, in
its own keys.
https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from plateloop.data_preparation.formats import holds
from plateloop.data_preparation.formats.shapes import (
    IGNORE_PLATE,
    IGNORE_VEHICLE,
    Shape,
    is_plate,
    number,
    objects,
    shapes,
    to_corners,
    word,
)
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import SPLITS, Split, locate, place, relative, size, split_of, walk
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError
from plateloop.files import atomic

HOLDS = holds.ALL

_Rows = dict[Any, list[dict[str, Any]]]
_Names = dict[Any, str]

_IMAGE_KEYS = frozenset({"id", "width", "height", "file_name", "license"})
_CORNERS = ["top left", "top right", "bottom right", "bottom left"]


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures of every COCO file under ``folder``.

    Raises UserError where there is none.
    """
    found = False
    for path in walk(folder, frozenset({".json"})):
        content = report.attempt(relative(path, folder), _load, path)
        if content is not None:
            found = True
            yield from _records(path, folder, *content, report)
    if not found:
        raise UserError(f"{folder}: no JSON file with `images`, `annotations` and `categories` there")


def _load(path: Path) -> tuple[list[dict[str, Any]], _Rows, _Names, _Names]:
    """The images, the annotations by image, and the names of categories and licences by number."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not (isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()):
        raise ValueError("no COCO: lacks `images`, `annotations` or `categories`")
    categories = {item["id"]: str(item["name"]) for item in content["categories"]}
    licenses = {item.get("id"): str(item.get("name", "")) for item in content.get("licenses") or ()}
    rows: _Rows = defaultdict(list)
    for row in content["annotations"]:
        rows[row.get("image_id")].append(row)
    images = [{"id": image.get("id"), **image} for image in content["images"]]
    return images, rows, categories, licenses


def _records(
    path: Path,
    folder: Path,
    images: list[dict[str, Any]],
    rows: _Rows,
    categories: _Names,
    licenses: _Names,
    report: Report,
) -> Iterator[Record]:
    name = relative(path, folder)
    words = (word for word in path.stem.replace("-", "_").split("_") if word in SPLITS)
    split = next((SPLITS[word] for word in words), None)
    for image in images:
        label = f"{name}: {image.get('file_name', image.get('id'))}"
        record = report.attempt(
            label, _record, image, rows.get(image.get("id"), []), categories, licenses, path, folder, report
        )
        if record is not None:
            yield record.model_copy(update={"split": split or split_of(record.file)})


def _record(
    image: dict[str, Any],
    rows: list[dict[str, Any]],
    categories: dict[Any, str],
    licenses: dict[Any, str],
    path: Path,
    folder: Path,
    report: Report,
) -> Record:
    split = path.stem.rpartition("_")[2]
    beside = relative(path.parent, folder)
    picture = locate(
        folder, image["file_name"], "images", f"images/{split}", split, beside, f"{beside}/images"
    )
    width, height = size(picture)
    if (image.get("width", width), image.get("height", height)) != (width, height):
        raise ValueError(f"says {image['width']}×{image['height']}, the picture has {width}×{height}")
    found = [_shape(row, categories, report) for row in rows]
    fields: dict[str, Any] = {key: image[key] for key in ("source", "region", "sequence") if image.get(key)}
    fields |= {key: tuple(image[key]) for key in ("texts", "tags") if image.get(key)}
    known = _IMAGE_KEYS | {"source", "region", "sequence", "texts", "tags", "attributes"}
    extra = {key: word(value) for key, value in image.items() if key not in known and value not in ("", None)}
    return Record(
        file=relative(picture, folder),
        width=width,
        height=height,
        license=licenses.get(image.get("license"), ""),
        attributes=extra | {k: word(v) for k, v in (image.get("attributes") or {}).items()},
        **fields,
        **objects(found),
    )


def _shape(row: dict[str, Any], categories: dict[Any, str], report: Report) -> Shape:
    if row.get("category_id") not in categories:
        raise ValueError(f"annotation {row.get('id')}: no category {row.get('category_id')}")
    label = categories[row["category_id"]]
    x, y, w, h = (number(v) for v in row["bbox"])
    box = x, y, number(x + w), number(y + h)
    if row.get("iscrowd"):
        return Shape(IGNORE_PLATE if is_plate(label) or label == IGNORE_PLATE else IGNORE_VEHICLE, box)
    said = {key: word(value) for key, value in (row.get("attributes") or {}).items()}
    if "score" in row:
        said["score"] = word(row["score"])
    corners = None
    keypoints, polygons = row.get("keypoints") or [], row.get("segmentation") or []
    if is_plate(label) and len(keypoints) == 12 and any(keypoints):
        corners = to_corners([keypoints[i : i + 2] for i in range(0, 12, 3)])
    elif is_plate(label) and isinstance(polygons, list) and len(polygons) == 1 and len(polygons[0]) == 8:
        corners = to_corners([polygons[0][i : i + 2] for i in range(0, 8, 2)])
    else:
        report.lost["keypoints"] += bool(any(keypoints))
        report.lost["segmentations"] += bool(polygons)
    return Shape(label, box, corners, said)


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``annotations/instances_SPLIT.json`` (``default`` for records without a split) and ``images``.

    Areas to be ignored are crowds of the categories ``ignore_vehicle`` and ``ignore_plate``. ``records`` is
    gone through once to place the pictures, and once more a split for its images and its annotations each.
    """
    splits: dict[Split | None, None] = {}
    labels: set[str] = set()
    licenses: dict[str, None] = {}
    for record in records:
        splits[record.split] = None
        labels |= {shape.label for shape in shapes(record)}
        licenses |= {record.license: None} if record.license else {}
        place(source / record.file, target / "images" / _file_name(record), link)
        report.written += 1
    categories = {label: index for index, label in enumerate(sorted(labels), 1)}
    numbers = {name: index for index, name in enumerate(sorted(licenses), 1)}
    for split in splits:
        path = target / "annotations" / f"instances_{split or 'default'}.json"
        own = _Own(records, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as partial, partial.open("w", encoding="utf-8") as out:
            out.write("{")
            _array(out, "licenses", ({"id": i, "name": name, "url": ""} for name, i in numbers.items()))
            _array(out, "categories", (_category(label, i) for label, i in categories.items()))
            _array(out, "images", (_image(i, record, numbers) for i, record in enumerate(own, 1)))
            _array(out, "annotations", _annotations(own, categories))
            out.write('"info": {"description": "written by plateloop"}}\n')


@dataclass(frozen=True)
class _Own:
    """The records of one split, as often as they are asked for."""

    records: Iterable[Record]
    split: Split | None

    def __iter__(self) -> Iterator[Record]:
        return (record for record in self.records if record.split == self.split)


def _array(out: TextIO, key: str, rows: Iterable[dict[str, Any]]) -> None:
    out.write(f'"{key}": [')
    for index, row in enumerate(rows):
        out.write(("," if index else "") + "\n" + json.dumps(row, ensure_ascii=False))
    out.write("],\n")


def _file_name(record: Record) -> str:
    return record.file.removeprefix("images/")


def _category(label: str, index: int) -> dict[str, Any]:
    plain = {"id": index, "name": label, "supercategory": ""}
    return plain | ({"keypoints": _CORNERS, "skeleton": []} if is_plate(label) else {})


def _image(index: int, record: Record, licenses: dict[str, int]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": index,
        "file_name": _file_name(record),
        "width": record.width,
        "height": record.height,
    }
    if record.license:
        row["license"] = licenses[record.license]
    said = {
        key: getattr(record, key) for key in ("source", "region", "sequence", "texts", "tags", "attributes")
    }
    return row | {key: value for key, value in said.items() if value}


def _annotations(records: Iterable[Record], categories: dict[str, int]) -> Iterator[dict[str, Any]]:
    number_of_row = 0
    for index, record in enumerate(records, 1):
        for shape in shapes(record):
            number_of_row += 1
            x1, y1, x2, y2 = shape.box
            row: dict[str, Any] = {
                "id": number_of_row,
                "image_id": index,
                "category_id": categories[shape.label],
                "bbox": [x1, y1, number(x2 - x1), number(y2 - y1)],
                "area": number((x2 - x1) * (y2 - y1)),
                "iscrowd": int(shape.label in (IGNORE_VEHICLE, IGNORE_PLATE)),
            }
            if shape.corners is not None:
                row["keypoints"] = [value for x, y in shape.corners for value in (x, y, 2)]
                row["num_keypoints"] = 4
            yield row | ({"attributes": dict(shape.attributes)} if shape.attributes else {})
