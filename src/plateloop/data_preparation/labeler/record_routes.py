"""The part of the labeler's interface that lists records, shows them and takes edits of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict

from plateloop.data_preparation.labeler.index import State
from plateloop.data_preparation.labeler.journal import version
from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.manifest import Plate, Record


class RecordEdit(BaseModel):
    """A record that takes the place of version ``base``."""

    model_config = ConfigDict(extra="forbid")

    base: str
    record: Record


class PlateEdit(BaseModel):
    """A plate that takes the place of ``base``."""

    model_config = ConfigDict(extra="forbid")

    base: Plate
    plate: Plate


def record_routes(store: Store) -> APIRouter:
    """The routes over one dataset."""
    router = APIRouter(prefix="/api")

    @router.get("/records")
    def records(
        state: State = "all", start: int = Query(0, ge=0), count: int = Query(60, ge=1, le=200)
    ) -> dict[str, Any]:
        """A page of the list of pictures."""
        with store.lock:
            rows = store.index.rows(state)
            chosen = rows[start : start + count].tolist()
            return {"total": len(rows), "start": start, "items": [_item(store, row) for row in chosen]}

    @router.get("/neighbor")
    def neighbor(row: int, state: State = "all", step: int = Query(1, ge=-1, le=1)) -> dict[str, Any]:
        """The row of a list that comes after ``row`` (or before it, or at it), whether ``row`` is in the list
        or not; ``row`` None at the end."""
        with store.lock:
            rows = store.index.rows(state)
            at = int(rows.searchsorted(row, "right" if step > 0 else "left")) - (step < 0)
            found = int(rows[at]) if 0 <= at < len(rows) else None
            return {"total": len(rows), "position": at, "row": found}

    @router.get("/records/{row}")
    def record(row: int) -> dict[str, Any]:
        """One record with its version."""
        return versioned(record_at(store, row))

    @router.put("/records/{row}")
    def put_record(row: int, edit: RecordEdit) -> dict[str, Any]:
        """Replace a record; 409 with what is there if that is not ``base`` any more."""
        record_at(store, row)
        try:
            return versioned(store.put(row, edit.base, edit.record))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    @router.put("/records/{row}/plates/{number}")
    def put_plate(row: int, number: int, edit: PlateEdit) -> dict[str, Any]:
        """Replace one plate; 409 if it is not ``base`` any more."""
        record_at(store, row)
        try:
            return versioned(store.put_plate(row, number, edit.base, edit.plate))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    return router


def record_at(store: Store, row: int) -> Record:
    """The record of a row; 404 where there is none."""
    try:
        return store.record(row)
    except IndexError:
        raise HTTPException(404, f"there is no picture {row}") from None


def versioned(record: Record) -> dict[str, Any]:
    """A record as the page takes it, with the version that its edits are based on."""
    return {"version": version(record), "record": record.model_dump(mode="json")}


def _item(store: Store, row: int) -> dict[str, Any]:
    return {
        "row": row,
        "file": store.record(row).file,
        "vehicles": store.index.vehicles[row],
        "plates": store.index.plates[row],
        "done": bool(store.index.done[row]),
    }
