"""The labeler's web application: the page's files and its JSON interface."""

from __future__ import annotations

from collections import OrderedDict
from importlib.resources import files
from itertools import count as counting
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict

from plateloop.data_preparation.labeler.drafts import Drafts, reading_draft
from plateloop.data_preparation.labeler.exchange_routes import exchange_routes
from plateloop.data_preparation.labeler.index import State
from plateloop.data_preparation.labeler.journal import version
from plateloop.data_preparation.labeler.store import ConflictError, Store
from plateloop.data_preparation.labeler.views import Pictures
from plateloop.data_preparation.labeler.wall import Wall
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.errors import UserError
from plateloop.runtime.card import load_card, package_card
from plateloop.web import Guard

SHOWN_AS_THEY_ARE = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RecordEdit(_Body):
    """A record that takes the place of version ``base``."""

    base: str
    record: Record


class PlateEdit(_Body):
    """A plate that takes the place of ``base``."""

    base: Plate
    plate: Plate


class WallRequest(_Body):
    """Which plates, in which order."""

    state: State = "todo"
    order: Literal["uncertain", "manifest"] = "uncertain"


def create_app(store: Store, pictures: Pictures, drafts: Drafts, hosts: frozenset[str] | None) -> FastAPI:
    """The application over one dataset.

    ``hosts`` are the names by which it may be called (against pages of other sites that let their own name
    point here); None: any.
    """
    app = FastAPI(title="plateloop label", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, hosts=hosts)
    walls: OrderedDict[int, Wall] = OrderedDict()
    numbers = counting(1)

    def record_at(row: int) -> Record:
        try:
            return store.record(row)
        except IndexError:
            raise HTTPException(404, f"there is no picture {row}") from None

    def plate_at(row: int, number: int) -> tuple[Record, Plate]:
        record = record_at(row)
        if not 0 <= number < len(record.plates):
            raise HTTPException(404, f"picture {row} has no plate {number}")
        return record, record.plates[number]

    @app.exception_handler(UserError)
    async def missing(_: Request, error: UserError) -> Response:
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(ConflictError)
    async def conflict(_: Request, error: ConflictError) -> Response:
        return JSONResponse({"detail": str(error), **_record(error.record)}, 409)

    @app.exception_handler(OSError)
    async def disk(_: Request, error: OSError) -> Response:
        return JSONResponse({"detail": f"not saved: {error.strerror or error}"}, 507)

    @app.get("/api/dataset")
    def dataset() -> dict[str, Any]:
        """What the page needs once: the dataset's name and size, the words for labels and colours."""
        known = {task: load_card(package_card(task)).labels for task in ("tcnet", "colornet")}
        return {
            "name": store.folder.resolve().name,
            "labels": [*known["tcnet"], *sorted(store.index.labels - set(known["tcnet"]))],
            "colors": [*known["colornet"], *sorted(store.index.colors - set(known["colornet"]))],
            **status(),
        }

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        """How far the work is, and what stands in the journal only."""
        with store.lock:
            return {
                "records": len(store),
                "records_done": sum(store.index.done),
                "plates": len(store.index.plates_in("all")),
                "plates_done": len(store.index.plates_in("done")),
                "unfolded": store.unfolded,
                "conflicts": store.conflicts[:20],
                "skipped": len(store.index.skipped),
            }

    @app.get("/api/records")
    def records(
        state: State = "all", start: int = Query(0, ge=0), count: int = Query(60, ge=1, le=200)
    ) -> dict[str, Any]:
        """A page of the list of pictures."""
        with store.lock:
            rows = store.index.rows(state)
            chosen = rows[start : start + count].tolist()
            return {"total": len(rows), "start": start, "items": [_item(row) for row in chosen]}

    def _item(row: int) -> dict[str, Any]:
        return {
            "row": row,
            "file": store.record(row).file,
            "vehicles": store.index.vehicles[row],
            "plates": store.index.plates[row],
            "done": bool(store.index.done[row]),
        }

    @app.get("/api/neighbor")
    def neighbor(row: int, state: State = "all", step: int = Query(1, ge=-1, le=1)) -> dict[str, Any]:
        """The row of a list that comes after ``row`` (or before it, or at it), whether ``row`` is in the list
        or not; ``row`` None at the end."""
        with store.lock:
            rows = store.index.rows(state)
            at = int(rows.searchsorted(row, "right" if step > 0 else "left")) - (step < 0)
            found = int(rows[at]) if 0 <= at < len(rows) else None
            return {"total": len(rows), "position": at, "row": found}

    @app.get("/api/records/{row}")
    def record(row: int) -> dict[str, Any]:
        """One record with its version."""
        return _record(record_at(row))

    @app.put("/api/records/{row}")
    def put_record(row: int, edit: RecordEdit) -> dict[str, Any]:
        """Replace a record; 409 with what is there if that is not ``base`` any more."""
        record_at(row)
        try:
            return _record(store.put(row, edit.base, edit.record))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    @app.put("/api/records/{row}/plates/{number}")
    def put_plate(row: int, number: int, edit: PlateEdit) -> dict[str, Any]:
        """Replace one plate; 409 if it is not ``base`` any more."""
        record_at(row)
        try:
            return _record(store.put_plate(row, number, edit.base, edit.plate))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    @app.post("/api/save")
    def save() -> dict[str, Any]:
        """Write all edits into the manifest."""
        store.fold()
        return status()

    @app.get("/api/records/{row}/draft")
    def draft(row: int) -> dict[str, Any]:
        """What the cascade finds in a picture."""
        return drafts.scene(record_at(row).file)

    @app.get("/api/records/{row}/picture")
    def picture(row: int) -> Response:
        """The picture, as large as it is."""
        file = record_at(row).file
        path = pictures.path(file)
        kind = SHOWN_AS_THEY_ARE.get(Path(file).suffix.lower())
        if kind is None:
            return _image(pictures.whole(file))
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    @app.get("/api/records/{row}/thumbnail")
    def thumbnail(row: int) -> Response:
        """The picture, small."""
        return _image(pictures.thumbnail(record_at(row).file))

    @app.get("/api/records/{row}/plates/{number}/view")
    def plate_view(row: int, number: int) -> Response:
        """A plate, seen from straight ahead."""
        record, plate = plate_at(row, number)
        return _image(pictures.plate(record.file, plate))

    @app.get("/api/records/{row}/plates/{number}/context")
    def plate_context(row: int, number: int) -> Response:
        """A plate with what surrounds it."""
        record, plate = plate_at(row, number)
        return _image(pictures.context(record.file, plate))

    @app.post("/api/walls")
    def make_wall(request: WallRequest) -> dict[str, Any]:
        """Begin a wall of plates."""
        with store.lock:
            wall = Wall(store, drafts, request.state, request.order == "uncertain")
            key = next(numbers)
            walls[key] = wall
            while len(walls) > 8:
                walls.popitem(last=False)
        return {"wall": key, "total": len(wall)}

    @app.get("/api/walls/{key}")
    def wall_page(
        key: int, start: int = Query(0, ge=0), count: int = Query(24, ge=1, le=100)
    ) -> dict[str, Any]:
        """A page of a wall; 410 where the wall is no more."""
        wall = walls.get(key)
        if wall is None or wall.generation != store.generation:
            raise HTTPException(410, "this wall is no more; begin a new one")
        plates = wall.page(start, count)
        try:
            readings = [reading_draft(reading) for reading in drafts.readings(plates)]
            fault = None
        except UserError as error:
            readings, fault = [reading_draft(None)] * len(plates), str(error)
        items = [_plate_item(plate, text) for plate, text in zip(plates, readings, strict=True)]
        return {
            "total": len(wall),
            "start": start,
            "fault": fault,
            "items": [item for item in items if item is not None],
        }

    def _plate_item(at: int, reading: dict[str, Any]) -> dict[str, Any] | None:
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

    app.include_router(exchange_routes(store))
    app.mount("/", StaticFiles(directory=str(files(__package__) / "static"), html=True))
    return app


def _record(record: Record) -> dict[str, Any]:
    return {"version": version(record), "record": record.model_dump(mode="json")}


def _image(data: bytes) -> Response:
    # The page puts into the address what the picture depends on, so that the browser may keep it.
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})
