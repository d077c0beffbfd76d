"""CVAT for images 1.1: one ``annotations.xml`` with boxes, polygons and their attributes.

A plate's corners are a polygon of 4 points. What is known about a picture as a whole is a ``tag`` named
``picture`` with attributes; other tags are the record's.
https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from plateloop.data_preparation.formats import holds
from plateloop.data_preparation.formats.shapes import (
    Shape,
    decimal,
    from_outline,
    objects,
    outline,
    shapes,
    to_box,
)
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import SPLITS, locate, place, relative, size, split_of, walk
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError
from plateloop.files import atomic

HOLDS = holds.ALL

Find = Callable[[str, str], tuple[str, tuple[int, int]]]
"""Gives the manifest's name and the size of the picture that an <image> names, from that name and its subset;
ValueError where there is none."""

_PICTURE = "picture"
_FIELDS = ("source", "license", "region", "sequence")


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures of every CVAT file under ``folder``.

    Raises UserError where there is none.
    """
    found = False
    for path in walk(folder, frozenset({".xml"})):
        found = True
        yield from read_images(path, relative(path, folder), _finder(path, folder), report)
    if not found:
        raise UserError(f"{folder}: no XML file there, as CVAT for images has")


def _finder(path: Path, folder: Path) -> Find:
    base = relative(path.parent, folder)

    def find(name: str, subset: str) -> tuple[str, tuple[int, int]]:
        picture = locate(folder, name, "images", f"images/{subset}", base, f"{base}/images")
        return relative(picture, folder), size(picture)

    return find


def read_images(path: Path, name: str, find: Find, report: Report) -> Iterator[Record]:
    """The pictures of one file, which is ``name`` to the user; ``find`` says which picture is meant."""
    images = 0
    try:
        for _, node in ET.iterparse(path):
            if node.tag == "image":
                images += 1
                label = f"{name}: {node.get('name', node.get('id'))}"
                record = report.attempt(label, _record, node, find, report)
                node.clear()
                if record is not None:
                    yield record
    except (ET.ParseError, LookupError, ValueError) as error:
        # A fault of XML, an unknown encoding, or bytes that are none. What stood before it is good.
        report.skip(name, f"no well-formed XML: {error}")
        return
    if not images:
        report.skip(name, "no CVAT for images: no <image>")


def _record(node: ET.Element, find: Find, report: Report) -> Record:
    subset = (node.get("subset") or "").lower()
    file, (width, height) = find(node.attrib["name"], subset)
    said = tuple(int(float(node.get(side) or 0)) for side in ("width", "height"))
    if all(said) and said != (width, height):
        raise ValueError(f"says {said[0]}×{said[1]}, the picture has {width}×{height}")
    found: list[Shape] = []
    fields: dict[str, Any] = {"tags": (), "texts": ()}
    extra: dict[str, str] = {}
    for child in node:
        attributes = {a.get("name", ""): a.text or "" for a in child.findall("attribute")}
        if child.tag == "tag" and child.get("label") == _PICTURE:
            fields |= {key: attributes.pop(key) for key in _FIELDS if key in attributes}
            fields["texts"] = tuple(attributes.pop("texts", "").split())
            extra = attributes
        elif child.tag == "tag":
            fields["tags"] += (child.get("label", ""),)
        else:
            shape = _shape(child, attributes)
            found += [shape] if shape else []
            report.lost[f"shapes of kind {child.tag}"] += shape is None
    return Record(
        file=file,
        width=width,
        height=height,
        split=SPLITS.get(subset) or split_of(file),
        attributes=extra,
        **fields,
        **objects(found),
    )


def _shape(node: ET.Element, attributes: dict[str, str]) -> Shape | None:
    label = node.get("label")
    if not label:
        raise ValueError(f"a {node.tag} without label")
    for key, default in (("occluded", "0"), ("group_id", "")):
        if node.get(key, default) != default:
            attributes.setdefault(key, node.get(key, ""))
    if node.tag == "polygon":
        points = [point.split(",") for point in node.attrib["points"].split(";") if point.strip()]
        return from_outline(label, points, attributes)
    if node.tag != "box":
        return None
    box = to_box([node.attrib[side] for side in ("xtl", "ytl", "xbr", "ybr")])
    angle = math.radians(float(node.get("rotation") or 0))
    if not angle:
        return Shape(label, box, None, attributes)
    x, y, w, h = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    turned = [
        (
            x + i * w * math.cos(angle) - j * h * math.sin(angle),
            y + i * w * math.sin(angle) + j * h * math.cos(angle),
        )
        for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    return from_outline(label, turned, attributes)


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``annotations.xml`` and ``images``.

    The file's head declares the labels and attributes that a CVAT project needs for the import; ``records``
    is gone through twice for it.
    """

    def placed(record: Record) -> str:
        name = record.file.removeprefix("images/")
        place(source / record.file, target / "images" / name, link)
        report.written += 1
        return name

    target.mkdir(parents=True, exist_ok=True)
    with atomic(target / "annotations.xml") as path, path.open("w", encoding="utf-8") as out:
        out.writelines(document(records, placed))


def document(records: Iterable[Record], name: Callable[[Record], str]) -> Iterator[str]:
    """A CVAT file, in parts; ``name`` gives a picture's name in the task, and ``records`` is gone through
    twice."""
    declared: dict[str, dict[str, None]] = {}
    for record in records:
        for shape in shapes(record):
            declared.setdefault(shape.label, {}).update(dict.fromkeys(_said(shape)))
        for tag in record.tags:
            declared.setdefault(tag, {})
        if picture := _picture(record):
            declared.setdefault(_PICTURE, {}).update(dict.fromkeys(picture))
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield _meta(declared)
    for index, record in enumerate(records):
        yield _image(index, name(record), record)
    yield "</annotations>\n"


def _said(shape: Shape) -> dict[str, str]:
    drawn = outline(shape)
    return drawn[1] if drawn else dict(shape.attributes)


def _picture(record: Record) -> dict[str, str]:
    said = {key: getattr(record, key) for key in _FIELDS} | {"texts": " ".join(record.texts)}
    return {key: value for key, value in said.items() if value} | record.attributes


def _meta(declared: dict[str, dict[str, None]]) -> str:
    lines = ["  <meta>\n    <task>\n      <labels>\n"]
    for label, attributes in declared.items():
        lines.append(f"        <label>\n          <name>{escape(label)}</name>\n          <attributes>\n")
        lines += [
            f"            <attribute><name>{escape(name)}</name><mutable>False</mutable>"
            "<input_type>text</input_type><default_value></default_value><values></values></attribute>\n"
            for name in attributes
        ]
        lines.append("          </attributes>\n        </label>\n")
    return "".join([*lines, "      </labels>\n    </task>\n  </meta>\n"])


def _image(index: int, name: str, record: Record) -> str:
    subset = f' subset="{record.split}"' if record.split else ""
    sides = f'width="{record.width}" height="{record.height}"'
    lines = [f'  <image id="{index}" name={quoteattr(name)}{subset} {sides}>\n']
    for shape in shapes(record):
        said = _said(shape)
        if shape.corners is not None:
            points = ";".join(f"{decimal(x, 2, 9)},{decimal(y, 2, 9)}" for x, y in shape.corners)
            tag, place_of = "polygon", f'points="{points}"'
        else:
            edges = zip(("xtl", "ytl", "xbr", "ybr"), shape.box, strict=True)
            tag, place_of = "box", " ".join(f'{side}="{decimal(v, 2, 9)}"' for side, v in edges)
        flags = f'occluded="{said.pop("occluded", "0")}"'
        flags += f" group_id={quoteattr(said.pop('group_id'))}" if "group_id" in said else ""
        head = f'label={quoteattr(shape.label)} source="manual" {flags} {place_of} z_order="0"'
        lines.append(f"    <{tag} {head}>\n{_attributes(said)}    </{tag}>\n")
    tags: list[tuple[str, dict[str, str]]] = [(tag, {}) for tag in record.tags]
    tags += [(_PICTURE, _picture(record))] if _picture(record) else []
    for tag, said in tags:
        head = f'label={quoteattr(tag)} source="manual"'
        lines.append(f"    <tag {head}>\n{_attributes(said)}    </tag>\n")
    return "".join([*lines, "  </image>\n"])


def _attributes(said: dict[str, str]) -> str:
    return "".join(
        f"      <attribute name={quoteattr(name)}>{escape(value)}</attribute>\n"
        for name, value in said.items()
    )
