"""Collections: ``frames.jsonl``, ``crops.jsonl``, ``colors.jsonl``, ``stills.jsonl`` beside tars of pictures.

The layout in which plateloop's own training data is kept. Each list becomes a manifest dataset of its own.
Labels are taken over as they are, but for one source's plate boxes, which stand across their plates: these
are laid down (`label_repair`).
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plateloop.data_preparation.label_repair import repaired
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, write_manifest
from plateloop.errors import UserError

LISTS = ("frames", "crops", "colors", "stills")


def _known(row: dict[str, Any]) -> dict[str, Any]:
    """What every list says of a picture; those of colours name no region."""
    names = ("file", "width", "height", "source", "license", "split")
    return {name: row[name] for name in names} | {"region": row.get("region")}


def _frame(row: dict[str, Any]) -> Record:
    record = Record(
        **_known(row),
        vehicles=tuple(
            Vehicle(box=v["box"], label=v["label"], annotation=v["source"], score=v.get("score"))
            for v in row["vehicles"]
        ),
        plates=tuple(
            Plate(
                box=p["box"],
                corners=p.get("corners"),
                text=p.get("text"),
                annotation=p.get("text_source"),
                vehicle=p.get("vehicle"),
            )
            for p in row["plates"]
        ),
        ignore_vehicles=tuple(row["ignore_vehicles"]),
        ignore_plates=tuple(row["ignore_plates"]),
        vehicles_annotated=row["vehicles_annotated"],
        plates_annotated=row["plates_annotated"],
        # The shard tells street views (3) from portraits of vehicles (0-2), which are judged apart.
        tags=(f"shard-{row['shard']}",),
    )
    return repaired(record)


def _whole(row: dict[str, Any]) -> tuple[float, float, float, float]:
    return 0.0, 0.0, float(row["width"]), float(row["height"])


def _crop(row: dict[str, Any]) -> Record:
    plate = Plate(box=_whole(row), text=row["text"], region=row["region"], annotation=row["text_source"])
    return Record(
        **_known(row),
        plates=(plate,),
        vehicles_annotated=False,
        sequence=f"{row['source']}-{row['sequence']}" if "sequence" in row else None,
    )


def _color(row: dict[str, Any]) -> Record:
    return Record(
        **_known(row),
        vehicles=(Vehicle(box=_whole(row), label="car", color=row["color"], annotation="annotated"),),
        plates_annotated=False,
    )


def _still(row: dict[str, Any]) -> Record:
    return Record(
        **_known(row),
        vehicles_annotated=False,
        plates_annotated=False,
        texts=tuple(p["text"] for p in row["plates"] if p["text"]),
    )


_CONVERT = {"frames": _frame, "crops": _crop, "colors": _color, "stills": _still}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def unpack(source: Path, target: Path) -> dict[str, int]:
    """Unpack the collection in ``source`` into the manifest datasets ``target/LIST``.

    What is unpacked already is left as it is; ``source`` is not touched. Pictures that lie beside the lists
    rather than in a tar are linked. Returns the number of records of each list that ``source`` has.

    Raises UserError where ``source`` holds no list.
    """
    counts: dict[str, int] = {}
    for name in LISTS:
        listing = source / f"{name}.jsonl"
        if not listing.is_file():
            continue
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        records = [_CONVERT[name](row) for row in _rows(listing)]
        if not all((folder / record.file).exists() for record in records):
            for archive in sorted(source.glob(f"{name}*.tar")):
                with tarfile.open(archive) as tar:
                    tar.extractall(folder, filter="data")
            if (source / name).is_dir() and not (folder / name).exists():
                (folder / name).symlink_to((source / name).resolve())
        present = [record for record in records if (folder / record.file).exists()]
        counts[name] = write_manifest(folder, present)
    if not counts:
        raise UserError(f"{source}: none of {', '.join(f'{n}.jsonl' for n in LISTS)} there")
    return counts
