"""Writes synthetic plates as an ordinary manifest dataset."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from plateloop.data_preparation.manifest import Plate, Record, write_manifest
from plateloop.data_preparation.synthetic.degrade import degrade
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.data_preparation.synthetic.render import render
from plateloop.data_preparation.synthetic.style import load_styles
from plateloop.errors import UserError

SOURCE = "plateloop-synthetic"


def make(seed: int, index: int, style: str | None = None, clean: bool = False) -> PlateImage:
    """Plate ``index`` of the endless series ``seed``: the same on any machine that has the same glyph atlas.

    ``style`` names the only style to use; ``clean`` leaves out the camera (``degrade``).
    """
    rng = np.random.default_rng([seed, index])
    plate = render(rng, load_styles()[style] if style else None)
    return plate if clean else degrade(rng, plate)


def _record(plate: PlateImage, name: str) -> Record:
    height, width = plate.image.shape[:2]
    low, high = plate.corners.min(0).tolist(), plate.corners.max(0).tolist()
    corners = tuple((round(float(x), 2), round(float(y), 2)) for x, y in plate.corners)
    return Record.model_validate(
        {
            "file": name,
            "width": width,
            "height": height,
            "source": SOURCE,
            "license": "CC0-1.0",
            "region": plate.region,
            "plates": [
                Plate.model_validate(
                    {
                        "box": [round(v, 2) for v in (*low, *high)],
                        "corners": corners,
                        "text": plate.text,
                        "region": plate.region,
                        "annotation": "synthetic",
                    }
                )
            ],
            "vehicles_annotated": False,
            "tags": (plate.style, f"rows-{plate.rows}"),
        }
    )


def _write(folder: str, seed: int, first: int, last: int, style: str | None, clean: bool) -> list[Record]:
    records = []
    for index in range(first, last):
        plate = make(seed, index, style, clean)
        name = f"plates/{index // 1000:04d}/{index:07d}.webp"
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        code = cv2.imencode(".webp", plate.image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 95])[1]
        path.write_bytes(code.tobytes())
        records.append(_record(plate, name))
    return records


def synthesize(
    folder: Path, count: int, seed: int, style: str | None = None, clean: bool = False, workers: int = 1
) -> Iterator[int]:
    """Write ``count`` plates and their manifest into ``folder``; yields how many are there as it goes.

    The pictures depend on ``seed`` alone, not on ``workers`` (processes). Raises UserError for a style that
    does not exist and for a folder that already holds a manifest.
    """
    if style and style not in load_styles():
        raise UserError(f"no style {style!r}; there are {', '.join(sorted(load_styles()))}")
    if (folder / "manifest.jsonl").exists():
        raise UserError(f"{folder}: holds a dataset already; choose a new folder")
    step = max(1, min(250, -(-count // workers)))
    spans = [(first, min(first + step, count)) for first in range(0, count, step)]
    records: list[Record] = []
    if workers <= 1:
        for first, last in spans:
            records += _write(str(folder), seed, first, last, style, clean)
            yield len(records)
    else:
        with ProcessPoolExecutor(workers) as pool:
            jobs = [pool.submit(_write, str(folder), seed, a, b, style, clean) for a, b in spans]
            for job in jobs:
                records += job.result()
                yield len(records)
    write_manifest(folder, records)
