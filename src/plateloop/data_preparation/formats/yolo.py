"""YOLO as Ultralytics reads it: ``data.yaml``, ``images/SPLIT/NAME`` and ``labels/SPLIT/NAME.txt``.

A line is a class number and a box (centre, width, height as shares of the picture), then for pose sets the 4
corners, each with or without visibility (``kpt_shape: [4, 3]`` or ``[4, 2]``), or else a polygon's points.
https://docs.ultralytics.com/datasets/pose/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from plateloop.data_preparation.formats.shapes import (
    Shape,
    decimal,
    from_outline,
    is_plate,
    number,
    objects,
    shapes,
)
from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.pictures import FlatNames, Split, place, relative, size, split_of, walk
from plateloop.data_preparation.report import Report
from plateloop.errors import UserError, one_line
from plateloop.types import Box

HOLDS = frozenset({"split", "vehicles", "plates", "plate.corners", "plate.attributes.label"})

_IGNORED = ("ignore_vehicle", "ignore_plate")


def read(folder: Path, report: Report) -> Iterator[Record]:
    """All pictures under ``folder``; one without a label file is a picture without objects.

    Raises UserError where no ``data.yaml`` or ``classes.txt`` names the classes.
    """
    config = _config(folder)
    names = config["names"]
    try:
        classes = dict(enumerate(names)) if isinstance(names, list) else {int(k): v for k, v in names.items()}
    except (TypeError, ValueError):
        raise UserError(
            f"{folder}: `names` of the data.yaml must be a list, or map numbers to names"
        ) from None
    points = tuple(config.get("kpt_shape") or ())
    lists = _lists(folder, config)
    for picture in walk(folder):
        file = relative(picture, folder)
        split = next((s for s, files in lists.items() if file in files), split_of(file))
        labels = _label_file(picture)
        name = relative(labels, folder)
        record = report.attempt(name, _record, picture, labels, folder, classes, points, report)
        if record is not None:
            yield record.model_copy(update={"split": split})


def _config(folder: Path) -> dict[str, Any]:
    for path in [folder / "data.yaml", folder / "dataset.yaml", *sorted(folder.glob("*.y*ml"))]:
        if path.is_file():
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise UserError(f"{path}: no well-formed YAML: {one_line(error)}") from None
            if isinstance(content, dict) and isinstance(content.get("names"), list | dict):
                return content
    for name in ("classes.txt", "obj.names", "labels/classes.txt"):
        if (folder / name).is_file():
            return {"names": (folder / name).read_text(encoding="utf-8").split("\n")}
    raise UserError(f"{folder}: no data.yaml with `names` there; YOLO's labels are numbers without one")


def _lists(folder: Path, config: dict[str, Any]) -> dict[Split, set[str]]:
    """Splits that are given as text files of picture paths; folders of splits tell by their own names."""
    found: dict[Split, set[str]] = {}
    keys: tuple[Split, ...] = ("train", "val", "test")
    for split in keys:
        entry = config.get(split)
        if isinstance(entry, str) and entry.endswith(".txt") and (folder / entry).is_file():
            lines = (folder / entry).read_text(encoding="utf-8").splitlines()
            found[split] = {line.strip().removeprefix("./") for line in lines}
    return found


def _label_file(picture: Path) -> Path:
    parts = list(picture.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            path = Path(*parts).with_suffix(".txt")
            return (
                path
                if path.is_file() or not picture.with_suffix(".txt").is_file()
                else picture.with_suffix(".txt")
            )
    return picture.with_suffix(".txt")


def _record(
    picture: Path,
    labels: Path,
    folder: Path,
    classes: dict[int, str],
    points: Sequence[int],
    report: Report,
) -> Record:
    width, height = size(picture)
    found = []
    lines = labels.read_text(encoding="utf-8").splitlines() if labels.is_file() else []
    for index, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(_shape(line.split(), classes, points, (width, height), report))
            except (ValueError, KeyError) as error:
                reason = f"class {error} has no name" if isinstance(error, KeyError) else str(error)
                raise ValueError(f"line {index}: {reason}") from None
    return Record(file=relative(picture, folder), width=width, height=height, **objects(found))


def _shape(
    columns: list[str],
    classes: dict[int, str],
    points: Sequence[int],
    picture: tuple[int, int],
    report: Report,
) -> Shape:
    label = str(classes[int(columns[0])])
    values = [float(v) for v in columns[1:]]
    if not points and len(values) >= 6 and len(values) % 2 == 0:
        polygon = [(x * picture[0], y * picture[1]) for x, y in zip(values[::2], values[1::2], strict=True)]
        if not (is_plate(label) and len(polygon) == 4):
            report.lost["polygons"] += 1
        return from_outline(label, polygon, {})
    expected = 4 + (points[0] * points[1] if points else 0)
    if len(values) != expected and not (len(values) == 5 and not points):
        raise ValueError(f"{len(columns)} columns, not {expected + 1}")
    box = _box(values[:4], picture)
    corners = None
    if points:
        rows = [values[i : i + points[1]] for i in range(4, expected, points[1])]
        if any(any(row) for row in rows):
            if points[0] == 4 and is_plate(label):
                a, b, c, d = (_point(row[:2], picture) for row in rows)
                corners = a, b, c, d
            else:
                report.lost["keypoints"] += 1
    return Shape(label, box, corners, {"score": columns[5]} if len(values) == 5 else {})


def write(records: Iterable[Record], source: Path, target: Path, report: Report, link: bool = False) -> None:
    """Write ``data.yaml``, ``images/SPLIT``, ``labels/SPLIT``; records without a split lie in ``images``.

    Where any plate has corners it is a pose set of 4 points with visibility (0 where an object has none).
    ``records`` is gone through twice: all classes must be known before the first label is written.
    """
    labels: set[str] = set()
    splits: set[str] = set()
    pose = False
    for record in records:
        splits.add(record.split or "")
        labels |= {shape.label for shape in shapes(record)} - set(_IGNORED)
        pose = pose or any(plate.corners for plate in record.plates)
    classes = {label: index for index, label in enumerate(sorted(labels, key=lambda x: (is_plate(x), x)))}
    names = FlatNames()
    for record in records:
        part = record.split or ""
        name = names.take(record.file, part)
        place(source / record.file, target / "images" / part / f"{name}{Path(record.file).suffix}", link)
        lines = [
            _line(shape, classes, (record.width, record.height), pose)
            for shape in shapes(record)
            if shape.label not in _IGNORED
        ]
        path = target / "labels" / part / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
        report.written += 1
    first = "images/train" if "train" in splits else "images"
    config: dict[str, Any] = {"path": ".", "train": first}
    config["val"] = "images/val" if "val" in splits else first
    if "test" in splits:
        config["test"] = "images/test"
    config["names"] = {index: label for label, index in classes.items()}
    if pose:
        # A plate mirrored left to right has its corners in this order.
        config |= {"kpt_shape": [4, 3], "flip_idx": [1, 0, 3, 2]}
    target.mkdir(parents=True, exist_ok=True)
    (target / "data.yaml").write_text(
        yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def _line(shape: Shape, classes: dict[str, int], picture: tuple[int, int], pose: bool) -> str:
    x1, y1, x2, y2 = shape.box
    columns = [str(classes[shape.label])]
    columns += _shares(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), picture, shape.box, _box)
    if pose:
        for point in shape.corners or ():
            columns += [*_shares(point, picture, point, _point), "2"]
        columns += ["0"] * (0 if shape.corners else 12)
    return " ".join(columns) + "\n"


def _box(shares: Sequence[float], picture: tuple[int, int]) -> Box:
    x, y, w, h = (v * picture[i % 2] for i, v in enumerate(shares))
    return _pixel(x - w / 2), _pixel(y - h / 2), _pixel(x + w / 2), _pixel(y + h / 2)


def _point(shares: Sequence[float], picture: tuple[int, int]) -> tuple[float, float]:
    return _pixel(shares[0] * picture[0]), _pixel(shares[1] * picture[1])


def _pixel(value: float) -> float:
    return round(number(value), 7)


def _shares(
    values: Sequence[float],
    picture: tuple[int, int],
    pixels: Sequence[float],
    back: Callable[[Sequence[float], tuple[int, int]], Sequence[float]],
) -> list[str]:
    """``values`` as shares of the picture, with as many decimals as bring back the same pixels."""
    for digits in range(6, 13):
        shares = [round(v / picture[i % 2], digits) for i, v in enumerate(values)]
        if list(back(shares, picture)) == [round(v, 7) for v in pixels]:
            break
    return [decimal(v, 0, 12) for v in shares]
