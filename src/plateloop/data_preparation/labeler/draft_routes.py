"""The part of the labeler's interface that shows what the networks see: in a picture, on walls of plates."""

from __future__ import annotations

from collections import OrderedDict
from itertools import count as counting
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict

from plateloop.data_preparation.labeler.drafts import Drafts, reading_draft
from plateloop.data_preparation.labeler.index import State
from plateloop.data_preparation.labeler.record_routes import record_at
from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.labeler.wall import Wall
from plateloop.errors import UserError

# Walls that can still be paged through; older ones are gone.
_KEPT = 8


class WallRequest(BaseModel):
    """Which plates, in which order."""

    model_config = ConfigDict(extra="forbid")

    state: State = "todo"
    order: Literal["uncertain", "manifest"] = "uncertain"


def draft_routes(store: Store, drafts: Drafts) -> APIRouter:
    """The routes over the drafts for one dataset."""
    router = APIRouter(prefix="/api")
    walls: OrderedDict[int, Wall] = OrderedDict()
    numbers = counting(1)

    @router.get("/records/{row}/draft")
    def draft(row: int) -> dict[str, Any]:
        """What the cascade finds in a picture."""
        return drafts.scene(record_at(store, row).file)

    @router.post("/walls")
    def make_wall(request: WallRequest) -> dict[str, Any]:
        """Begin a wall of plates."""
        with store.lock:
            wall = Wall(store, drafts, request.state, request.order == "uncertain")
            key = next(numbers)
            walls[key] = wall
            while len(walls) > _KEPT:
                walls.popitem(last=False)
        return {"wall": key, "total": len(wall)}

    @router.get("/walls/{key}")
    def wall_page(
        key: int, start: int = Query(0, ge=0), count: int = Query(24, ge=1, le=100)
    ) -> dict[str, Any]:
        """A page of a wall; 410 where the wall is no more."""
        wall = walls.get(key)
        if wall is None or wall.generation != store.generation:
            raise HTTPException(410, "this wall is no more; begin a new one")
        plates = wall.page(start, count)
        readings, fault = _readings(drafts, plates)
        items = [_item(store, plate, reading) for plate, reading in zip(plates, readings, strict=True)]
        return {
            "total": len(wall),
            "start": start,
            "fault": fault,
            "items": [item for item in items if item is not None],
        }

    return router


def _readings(drafts: Drafts, plates: list[int]) -> tuple[list[dict[str, Any]], str | None]:
    """What is read on plates; where the networks cannot be asked nothing is, and why."""
    try:
        return [reading_draft(reading) for reading in drafts.readings(plates)], None
    except UserError as error:
        return [reading_draft(None)] * len(plates), str(error)


def _item(store: Store, at: int, reading: dict[str, Any]) -> dict[str, Any] | None:
    row, number = store.index.plate_row[at], store.index.plate_number[at]
    record = store.record(row)
    if number >= len(record.plates):
        return None
    plate = record.plates[number]
    return {
        "row": row,
        "number": number,
        "file": record.file,
        "plate": plate.model_dump(mode="json"),
        "done": bool(store.index.plate_done[at]),
        "reading": reading,
    }
