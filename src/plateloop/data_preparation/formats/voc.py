"""Pascal VOC: ``JPEGImages/NAME``, ``Annotations/NAME.xml`` and ``ImageSets/Main/SPLIT.txt``.

Coordinates are taken as they are written (most tools count from 0, the original sets from 1). What an object
says besides class and box is kept by name, as are ``attributes`` in CVAT's way; a ``polygon`` of 4 points
holds a plate's corners.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import Path

from plateloop.data_preparation.formats import holds
from plateloop.data_preparation.formats.shapes import (
    Shape,
    decimal,
    is_plate,
    objects,
    shapes,
    to_box,
    to_corners,
)
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import (
    SPLITS,
    FlatNames,
    Split,
    beside,
    locate,
    place,
    relative,
    size,
    split_of,
    walk,
)
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError

HOLDS = frozenset({"split", "source", "vehicles", "plates"}) | holds.VEHICLE | holds.PLATE | holds.IGNORED

_KNOWN = frozenset({"name", "bndbox", "attributes", "polygon"})


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures that an XML file under ``folder`` describes.

    Raises UserError where there is no XML file.
    """
    splits = _splits(folder)
    found = False
    for path in walk(folder, frozenset({".xml"})):
        found = True
        name = relative(path, folder)
        record = report.attempt(name, _record, path, folder)
        if record is not None:
            split = splits.get(path.stem) or split_of(record.file)
            yield record.model_copy(update={"split": split})
    if not found:
        raise UserError(f"{folder}: no XML file there, as Pascal VOC has one a picture")
    for picture in walk(folder):
        stem = picture.stem
        if not any(
            (p / f"{stem}.xml").is_file() for p in (picture.parent, picture.parent.parent / "Annotations")
        ):
            report.skip(relative(picture, folder), "no annotation file")


def _splits(folder: Path) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for path in sorted((folder / "ImageSets" / "Main").glob("*.txt")):
        if path.stem in SPLITS:
            for line in path.read_text(encoding="utf-8").splitlines():
                # A list of one class has a second column: -1, 0 or 1.
                found[re.sub(r"\s+-?[01]$", "", line.strip())] = SPLITS[path.stem]
    return found


def _record(path: Path, folder: Path) -> Record:
    root = ET.parse(path).getroot()
    if root.tag != "annotation":
        raise ValueError(f"<{root.tag}>, not Pascal VOC's <annotation>")
    base = path.parent.parent
    stated = root.findtext("filename") or ""
    picture = (
        beside(path.parent, path.stem)
        or beside(base / "JPEGImages", path.stem)
        or beside(base / "images", path.stem)
        or locate(
            base if base.is_relative_to(folder) else folder, stated or path.stem, "JPEGImages", "images"
        )
    )
    width, height = size(picture)
    said = tuple(int(float(root.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    if all(said) and said != (width, height):
        raise ValueError(f"says {said[0]}×{said[1]}, the picture has {width}×{height}")
    found = [_shape(node) for node in root.iter("object")]
    source = root.findtext("source/database") or ""
    return Record(
        file=relative(picture, folder),
        width=width,
        height=height,
        source="" if source == "Unknown" else source,
        **objects(found),
    )


def _shape(node: ET.Element) -> Shape:
    label = (node.findtext("name") or "").strip()
    if not label:
        raise ValueError("an object without a name")
    bounds = node.find("bndbox")
    if bounds is None:
        raise ValueError(f"a {label} without bndbox")
    box = to_box([bounds.findtext(side) or "nan" for side in ("xmin", "ymin", "xmax", "ymax")])
    said = {
        child.tag: child.text.strip()
        for child in node
        if child.tag not in _KNOWN and len(child) == 0 and child.text and child.text.strip()
    }
    for attribute in node.findall("attributes/attribute"):
        said[attribute.findtext("name") or ""] = attribute.findtext("value") or ""
    corners = None
    polygon = node.find("polygon")
    if polygon is not None and len(polygon) == 8 and is_plate(label):
        corners = to_corners([(polygon.findtext(f"x{i}"), polygon.findtext(f"y{i}")) for i in range(1, 5)])
    defaults = {"pose": "Unspecified", "truncated": "0", "difficult": "0", "occluded": "0"}
    said = {key: value for key, value in said.items() if defaults.get(key) != value}
    return Shape(label, box, corners, said)


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``JPEGImages``, ``Annotations`` and, where records have splits, ``ImageSets/Main``."""
    names = FlatNames()
    for folder in ("Annotations", "ImageSets/Main"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    for path in (target / "ImageSets" / "Main").glob("*.txt"):
        path.unlink()
    for record in records:
        name = names.take(record.file)
        picture = target / "JPEGImages" / f"{name}{Path(record.file).suffix}"
        place(source / record.file, picture, link)
        tree = ET.ElementTree(_annotation(record, picture.name))
        ET.indent(tree)
        tree.write(target / "Annotations" / f"{name}.xml", encoding="utf-8")
        if record.split:
            with (target / "ImageSets" / "Main" / f"{record.split}.txt").open(
                "a", encoding="utf-8"
            ) as listing:
                listing.write(f"{name}\n")
        report.written += 1


def _annotation(record: Record, name: str) -> ET.Element:
    root = ET.Element("annotation")
    _leaf(root, "folder", "JPEGImages")
    _leaf(root, "filename", name)
    _leaf(ET.SubElement(root, "source"), "database", record.source or "Unknown")
    sides = ET.SubElement(root, "size")
    for side, value in (("width", record.width), ("height", record.height), ("depth", 3)):
        _leaf(sides, side, str(value))
    _leaf(root, "segmented", "0")
    for shape in shapes(record):
        node = ET.SubElement(root, "object")
        said = dict(shape.attributes)
        _leaf(node, "name", shape.label)
        _leaf(node, "pose", said.pop("pose", "Unspecified"))
        _leaf(node, "truncated", said.pop("truncated", "0"))
        _leaf(node, "difficult", said.pop("difficult", "0"))
        bounds = ET.SubElement(node, "bndbox")
        for side, edge in zip(("xmin", "ymin", "xmax", "ymax"), shape.box, strict=True):
            _leaf(bounds, side, decimal(edge, most=9))
        if shape.corners is not None:
            polygon = ET.SubElement(node, "polygon")
            for index, (x, y) in enumerate(shape.corners, 1):
                _leaf(polygon, f"x{index}", decimal(x, most=9))
                _leaf(polygon, f"y{index}", decimal(y, most=9))
        if said:
            attributes = ET.SubElement(node, "attributes")
            for key, text in said.items():
                attribute = ET.SubElement(attributes, "attribute")
                _leaf(attribute, "name", key)
                _leaf(attribute, "value", text)
    return root


def _leaf(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text
