"""Writes synthetic plates as an ordinary manifest dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from pydantic import TypeAdapter

from plateloop.cores import cores
from plateloop.data_preparation.checkpoint import JOURNAL, continued, finish, outcome
from plateloop.data_preparation.manifest import Plate, Record, write_manifest
from plateloop.data_preparation.parallel import each
from plateloop.data_preparation.synthetic.degrade import degrade
from plateloop.data_preparation.synthetic.glyphs import ENVIRONMENT, glyph_set
from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.data_preparation.synthetic.render import render
from plateloop.data_preparation.synthetic.style import load_styles
from plateloop.errors import UserError

SOURCE = "plateloop-synthetic"

# Plates that are rendered, and done again, together.
_SPAN = 50
_KIND = TypeAdapter(list[Record])


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
) -> list[Record]:
    """Write the plates of a span; returns their records."""
    records = []
    for index in range(*span):
        plate = make(seed, index, style, clean, atlas)
        name = f"plates/{index // 1000:04d}/{index:07d}.webp"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        code = cv2.imencode(".webp", plate.image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 95])[1]
        path.write_bytes(code.tobytes())
        records.append(_record(plate, name))
    return records


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
    plan = {"step": "synth", "count": count, "seed": seed, "style": style, "clean": clean, "glyphs": atlas}
    if outcome(folder, plan) is not None:
        yield count
        return
    folder.mkdir(parents=True, exist_ok=True)
    spans = [(first, min(first + _SPAN, count)) for first in range(0, count, _SPAN)]
    workers = min(workers or cores(), len(spans))
    folders = [folder, *([Path(atlas).parent] if atlas else [])]
    work = partial(_spread, partial(_render, folder, seed, style, clean, atlas), workers, ray, folders)

    def rendered() -> Iterator[list[Record]]:
        return continued(folder / JOURNAL, plan, iter(spans), work, _KIND)

    done = 0
    for records in rendered():
        done += len(records)
        yield done
    write_manifest(folder, chain.from_iterable(rendered()))
    finish(folder, plan, {"written": done})


def _spread(
    work: Callable[[tuple[int, int]], list[Record]],
    workers: int,
    ray: str | None,
    folders: list[Path],
    spans: Iterator[tuple[int, int]],
) -> Iterator[list[Record]]:
    """``work`` on each span: rendering holds Python's lock, so that it takes processes to use all cores."""
    if ray is not None:
        yield from each(work, spans, ray, folders, parcel=1)
    elif workers == 1:
        yield from map(work, spans)
    else:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(work, spans)
