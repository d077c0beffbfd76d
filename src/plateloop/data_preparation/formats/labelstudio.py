"""Label Studio: a JSON list of tasks, with results in percent of the picture.

A plate's corners are a polygon of 4 points; words about a region are text areas that share its id, named by
``from_name``; words about the picture are the task's ``data``.
https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from plateloop.data_preparation.formats import holds
from plateloop.data_preparation.formats.shapes import (
    Shape,
    from_outline,
    number,
    objects,
    outline,
    shapes,
    word,
)
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import locate, place, relative, size, split_of, walk
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError
from plateloop.files import atomic

HOLDS = holds.ALL

Find = Callable[[str], tuple[str, tuple[int, int]]]
"""Gives the manifest's name and the size of the picture that a task names; ValueError where there is none."""

_FIELDS = ("source", "license", "region", "sequence", "split", "texts", "tags")
_LOCAL = "/data/local-files/?d="


def read(folder: Path, report: Report) -> Iterator[Record]:
    """The pictures of every Label Studio export under ``folder``; one without annotations is left out.

    Raises UserError where there is no JSON file.
    """
    found = False
    for path in walk(folder, frozenset({".json"})):
        found = True
        yield from read_tasks(path, relative(path, folder), partial(_find, folder), report)
    if not found:
        raise UserError(f"{folder}: no JSON file there, as Label Studio exports")


def read_tasks(path: Path, name: str, find: Find, report: Report) -> Iterator[Record]:
    """The pictures of one export, which is ``name`` to the user; ``find`` says which picture is meant."""
    for index, task in enumerate(report.attempt(name, _load, path) or (), 1):
        record = report.attempt(f"{name}: task {_id(task, index)}", _record, task, find, report)
        if record is not None:
            yield record


def _find(folder: Path, name: str) -> tuple[str, tuple[int, int]]:
    picture = locate(folder, name, "images")
    return relative(picture, folder), size(picture)


def _load(path: Path) -> list[Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict) and "data" in content:
        return [content]
    if not isinstance(content, list):
        raise ValueError("no Label Studio JSON: not a list of tasks")
    return content


def _id(task: Any, index: int) -> Any:
    return task.get("id", index) if isinstance(task, dict) else index


def _record(task: dict[str, Any], find: Find, report: Report) -> Record:
    data = task["data"]
    url = next((data[key] for key in ("image", "img", "picture", "ocr", "captioning") if key in data), None)
    if not isinstance(url, str):
        raise ValueError("lacks data.image")
    file, (width, height) = _named(url, find)
    done = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    if not done:
        raise ValueError("no annotation")
    report.lost["further annotations"] += len(done) > 1
    found = _shapes(done[-1]["result"], (width, height), report)
    fields: dict[str, Any] = {key: data[key] for key in _FIELDS if data.get(key)}
    known = {*_FIELDS, "image", "img", "picture", "ocr", "captioning"}
    extra = {key: word(value) for key, value in data.items() if key not in known}
    return Record(
        file=file,
        width=width,
        height=height,
        attributes=extra,
        **({"split": split_of(file)} | fields),
        **objects(found),
    )


def _named(url: str, find: Find) -> tuple[str, tuple[int, int]]:
    parts = urlsplit(url)
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    try:
        return find(path)
    except ValueError:
        # An upload got eight hexadecimal digits before its name.
        return find(re.sub(r"^[0-9a-f]{8}-", "", path.rpartition("/")[2]))


def _shapes(results: list[dict[str, Any]], picture: tuple[int, int], report: Report) -> list[Shape]:
    said: dict[str, dict[str, str]] = {}
    for row in results:
        value = row.get("value") or {}
        for kind in ("text", "choices"):
            if kind in value and row.get("id"):
                words = value[kind] if isinstance(value[kind], list) else [value[kind]]
                said.setdefault(row["id"], {})[row.get("from_name", kind)] = " ".join(map(str, words))
    found = []
    for row in results:
        value = row.get("value") or {}
        attributes = said.get(row.get("id", ""), {})
        stated = row.get("original_width", picture[0]), row.get("original_height", picture[1])
        if stated != picture:
            raise ValueError(f"says {stated[0]}×{stated[1]}, the picture has {picture[0]}×{picture[1]}")
        if row.get("type") == "rectanglelabels":
            sides = value["x"], value["y"], value["width"], value["height"]
            x, y, w, h = (v * picture[i % 2] / 100 for i, v in enumerate(sides))
            label = value["rectanglelabels"][0]
            if value.get("rotation"):
                found.append(from_outline(label, _turned(x, y, w, h, value["rotation"]), attributes))
            else:
                found.append(
                    Shape(label, (number(x), number(y), number(x + w), number(y + h)), None, attributes)
                )
        elif row.get("type") == "polygonlabels":
            points = [(x * picture[0] / 100, y * picture[1] / 100) for x, y in value["points"]]
            found.append(from_outline(value["polygonlabels"][0], points, attributes))
        elif row.get("type") not in ("textarea", "choices"):
            report.lost[f"results of type {row.get('type')}"] += 1
    return found


def _turned(x: float, y: float, w: float, h: float, degrees: float) -> list[tuple[float, float]]:
    """The corners of a rectangle that is turned clockwise about its own top left."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    sides = ((0.0, 0.0), (w, 0.0), (w, h), (0.0, h))
    return [(x + dx * cosine - dy * sine, y + dx * sine + dy * cosine) for dx, dy in sides]


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``tasks.json``, ``images``, and ``config.xml``: the labelling interface for a project.

    The tasks name their pictures as local files below the storage's root ``images``.
    """

    def placed(record: Record) -> str:
        name = f"images/{record.file.removeprefix('images/')}"
        place(source / record.file, target / name, link)
        report.written += 1
        return name

    interface = Interface()
    target.mkdir(parents=True, exist_ok=True)
    with atomic(target / "tasks.json") as path, path.open("w", encoding="utf-8") as out:
        out.writelines(tasks(records, placed, interface))
    (target / "config.xml").write_text(interface.xml(), encoding="utf-8")


@dataclass
class Interface:
    """The labels, and the words about a region, that a project's labelling interface must have."""

    labels: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    def add(self, results: Iterable[dict[str, Any]]) -> None:
        """Have what a task's results need."""
        for row in results:
            self.labels.update(row["value"].get("rectanglelabels", row["value"].get("polygonlabels", ())))
            self.words |= {row["from_name"]} if row["type"] == "textarea" else set()

    def xml(self) -> str:
        """The interface as Label Studio's settings of a project take it."""
        return _config(self.labels, self.words)


def tasks(
    records: Iterable[Record], name: Callable[[Record], str], interface: Interface | None = None
) -> Iterator[str]:
    """A Label Studio file, in parts; ``name`` gives a picture's path below the storage's root."""
    yield "["
    for index, record in enumerate(records, 1):
        data: dict[str, Any] = {"image": f"{_LOCAL}{quote(name(record))}"}
        said = {key: getattr(record, key) for key in _FIELDS}
        data |= {key: value for key, value in said.items() if value} | record.attributes
        results = list(_results(record))
        if interface is not None:
            interface.add(results)
        task = {"id": index, "data": data, "annotations": [{"id": index, "result": results}]}
        yield ("," if index > 1 else "") + "\n" + json.dumps(task, ensure_ascii=False)
    yield "\n]\n"


def _results(record: Record) -> Iterator[dict[str, Any]]:
    sides = record.width, record.height
    for index, shape in enumerate(shapes(record)):
        common = {
            "id": f"r{index}",
            "to_name": "image",
            "original_width": record.width,
            "original_height": record.height,
            "image_rotation": 0,
        }
        drawn = outline(shape)
        value: dict[str, Any]
        if drawn:
            points = [[_percent(x, sides[0]), _percent(y, sides[1])] for x, y in drawn[0]]
            said, kind, value = drawn[1], "polygonlabels", {"points": points, "closed": True}
        else:
            x1, y1, x2, y2 = shape.box
            value = {
                "x": _percent(x1, sides[0]),
                "y": _percent(y1, sides[1]),
                "width": _percent(x2 - x1, sides[0]),
                "height": _percent(y2 - y1, sides[1]),
                "rotation": 0,
            }
            said, kind = dict(shape.attributes), "rectanglelabels"
        name = "polygon" if drawn else "rectangle"
        yield common | {"type": kind, "from_name": name, "value": value | {kind: [shape.label]}}
        for key, text in said.items():
            place_of = {k: v for k, v in value.items() if k != "closed"}
            yield common | {"type": "textarea", "from_name": key, "value": place_of | {"text": [text]}}


def _percent(value: float, whole: int) -> float:
    return round(100 * value / whole, 12)


def _config(labels: set[str], words: set[str]) -> str:
    choices = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in sorted(labels))
    areas = "".join(
        f'  <TextArea name={quoteattr(name)} toName="image" perRegion="true" editable="true"/>\n'
        for name in sorted(words)
    )
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <RectangleLabels name="rectangle" toName="image">\n{choices}  </RectangleLabels>\n'
        f'  <PolygonLabels name="polygon" toName="image">\n{choices}  </PolygonLabels>\n{areas}</View>\n'
    )
