"""A store's events as a table: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from plateloop.deployment.lines import as_line, timestamp
from plateloop.deployment.store import Stored
from plateloop.errors import UserError
from plateloop.files import atomic

Format = Literal["csv", "jsonl", "parquet"]

COLUMNS = {
    "id": str, "sequence": int, "phase": str, "source": str, "track": int, "time": str, "frame": int,
    "text": str, "confidence": float, "first_s": float, "last_s": float, "frames": int, "readings": int,
    "label": str, "color": str, "color_confidence": float, "vehicle_confidence": float,
    "vehicle_x1": float, "vehicle_y1": float, "vehicle_x2": float, "vehicle_y2": float,
    "region": str, "plate_confidence": float,
    "plate_x1": float, "plate_y1": float, "plate_x2": float, "plate_y2": float,
    "plate_picture": str, "vehicle_picture": str,
}  # fmt: skip


# What a spreadsheet takes for the begin of a formula, in full width too.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "jsonl", ".jsonl": "jsonl", ".parquet": "parquet"}


def format_of(path: Path) -> Format:
    """The format that a file's name says. Raises UserError where it says none."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise UserError(f"{path}: its name must end in one of {', '.join(SUFFIXES)}") from None


def export(items: Iterable[Stored], path: Path, form: Format) -> int:
    """Write events to a file that appears once it is whole; returns how many. Raises UserError.

    In CSV a text that a spreadsheet would take for a formula gets a ``'`` before it.
    """
    write = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[form]
    try:
        with atomic(path) as partial:
            return write(items, partial)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def as_row(item: Stored) -> dict[str, Any]:
    """An event's fields side by side, None where it has none; keys as in ``COLUMNS``."""
    event, vehicle, plate = item.event, item.event.vehicle, item.event.plate
    row: dict[str, Any] = event.model_dump(include=set(COLUMNS))
    row |= {"sequence": item.sequence, "time": timestamp(item.time), "frame": item.frame}
    if vehicle is not None:
        row |= vehicle.model_dump(include={"label", "color", "color_confidence"})
        row |= {"vehicle_confidence": vehicle.confidence, **_edges("vehicle", vehicle.box)}
    if plate is not None:
        row |= {"region": plate.region, "plate_confidence": plate.confidence, **_edges("plate", plate.box)}
    if event.pictures is not None:
        row |= {"plate_picture": event.pictures.plate, "vehicle_picture": event.pictures.vehicle}
    return {name: row.get(name) for name in COLUMNS}


def _edges(of: str, box: tuple[float, ...]) -> dict[str, float]:
    return {f"{of}_{edge}": value for edge, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)}


def _csv(items: Iterable[Stored], path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for item in items:
            writer.writerow([_safe(value) for value in as_row(item).values()])
            count += 1
    return count


def _safe(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ")[:1] in FORMULA:
        return f"'{value}"
    return value


def _jsonl(items: Iterable[Stored], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(as_line(item) + "\n")
            count += 1
    return count


def _parquet(items: Iterable[Stored], path: Path) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise UserError(
            "Parquet needs the Python package pyarrow: pip install 'plateloop[parquet]'"
        ) from None
    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for rows in _chunks(items, 10_000):
            writer.write_table(pa.Table.from_pylist(rows, schema))
            count += len(rows)
    return count


def _chunks(items: Iterable[Stored], most: int) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for item in items:
        rows.append(as_row(item))
        if len(rows) == most:
            yield rows
            rows = []
    if rows:
        yield rows
