"""Writes synthetic plates as an ordinary manifest dataset."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from plateloop.cores import cores
from plateloop.data_preparation.manifest import NAME, Plate, Record, dump, write_manifest
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.synthetic.degrade import degrade
from plateloop.data_preparation.synthetic.glyphs import ENVIRONMENT, glyph_set
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.data_preparation.synthetic.render import render
from plateloop.data_preparation.synthetic.style import load_styles
from plateloop.errors import UserError
from plateloop.files import atomic

SOURCE = "plateloop-synthetic"

PLAN = "synth.json"
"""Holds what was asked for, so that the same words go on where they were."""

# Plates that are rendered, and done again, together.
_SPAN = 50


def make(
    seed: int, index: int, style: str | None = None, clean: bool = False, atlas: str | None = None
) -> PlateImage:
    """Plate ``index`` of the endless series ``seed``: the same on any machine that has the same glyph atlas.

    ``style`` names the only style to use; ``clean`` leaves out the camera (``degrade``); ``atlas`` as in
    `glyph_set`.
    """
    rng = np.random.default_rng([seed, index])
    plate = render(rng, load_styles()[style] if style else None, glyphs=glyph_set(atlas))
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


def _render(
    folder: Path, seed: int, style: str | None, clean: bool, atlas: str | None, span: tuple[int, int]
) -> int:
    """Write the plates of a span and, once all are there, their records; returns how many. What an earlier
    run has finished is left as it is."""
    part = _part(folder, span)
    if not part.exists():
        records = []
        for index in range(*span):
            plate = make(seed, index, style, clean, atlas)
            name = f"plates/{index // 1000:04d}/{index:07d}.webp"
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.imencode(".webp", plate.image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 95])[1]
            path.write_bytes(code.tobytes())
            records.append(f"{dump(_record(plate, name))}\n")
        with atomic(part) as path:
            path.write_text("".join(records), encoding="utf-8")
    return span[1] - span[0]


def _part(folder: Path, span: tuple[int, int]) -> Path:
    return folder / "plates" / f".{span[0]:07d}-{span[1]:07d}.jsonl"


def _records(folder: Path, spans: list[tuple[int, int]]) -> Iterator[Record]:
    for span in spans:
        for line in _part(folder, span).read_text(encoding="utf-8").splitlines():
            yield Record.model_validate_json(line)


def synthesize(
    folder: Path,
    count: int,
    seed: int,
    style: str | None = None,
    clean: bool = False,
    workers: int = 0,
    ray: str | None = None,
) -> Iterator[int]:
    """Write ``count`` plates and their manifest into ``folder``; yields how many are there as it goes.

    The pictures depend on ``seed`` alone, not on ``workers`` (processes, 0: one a core) or ``ray`` (the
    address of a cluster that renders instead). Broken off and called again it goes on where it was; finished,
    it changes nothing. Raises UserError for a style that does not exist and for a folder with other data.
    """
    if style and style not in load_styles():
        raise UserError(f"no style {style!r}; there are {', '.join(sorted(load_styles()))}")
    folder = folder.absolute()
    atlas = os.environ.get(ENVIRONMENT) and str(Path(os.environ[ENVIRONMENT]).absolute())
    glyph_set(atlas)
    plan = {"count": count, "seed": seed, "style": style, "clean": clean, "glyphs": atlas}
    begun, finished = folder / PLAN, (folder / NAME).exists()
    if begun.exists() and json.loads(begun.read_text(encoding="utf-8")) != plan:
        raise UserError(
            f"{folder}: holds plates of another count, seed, style or glyph atlas; choose a new folder"
        )
    if finished and not begun.exists():
        raise UserError(f"{folder}: holds a dataset already; choose a new folder")
    if finished:
        yield count
        return
    (folder / "plates").mkdir(parents=True, exist_ok=True)
    begun.write_text(json.dumps(plan) + "\n", encoding="utf-8")
    spans = [(first, min(first + _SPAN, count)) for first in range(0, count, _SPAN)]
    done = 0
    folders = [folder, *([Path(atlas).parent] if atlas else [])]
    work = partial(_render, folder, seed, style, clean, atlas)
    for number in _spread(work, spans, workers, ray, folders):
        done += number
        yield done
    write_manifest(folder, _records(folder, spans))
    for span in spans:
        _part(folder, span).unlink()


def _spread(
    work: Callable[[tuple[int, int]], int],
    spans: list[tuple[int, int]],
    workers: int,
    ray: str | None,
    folders: list[Path],
) -> Iterator[int]:
    """``work`` on each span: rendering holds Python's lock, so that it takes processes to use all cores."""
    workers = min(workers or cores(), len(spans))
    if ray is not None:
        yield from each(work, spans, ray, folders, parcel=1)
    elif workers == 1:
        yield from map(work, spans)
    else:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(work, spans)
