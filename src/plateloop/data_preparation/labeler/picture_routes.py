"""The part of the labeler's interface that shows pictures and their plates."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse

from plateloop.data_preparation.labeler.record_routes import record_at
from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.labeler.views import Pictures
from plateloop.data_preparation.manifest import Plate, Record

SHOWN_AS_THEY_ARE = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}

# The page puts into the address what the picture depends on, so that the browser may keep it.
_KEEP = {"Cache-Control": "private, max-age=3600"}


def picture_routes(store: Store, pictures: Pictures) -> APIRouter:
    """The routes over the pictures of one dataset."""
    router = APIRouter(prefix="/api/records/{row}")

    @router.get("/picture")
    def picture(row: int) -> Response:
        """The picture, as large as it is."""
        file = record_at(store, row).file
        path = pictures.path(file)
        kind = SHOWN_AS_THEY_ARE.get(Path(file).suffix.lower())
        if kind is None:
            return _jpeg(pictures.whole(file))
        return FileResponse(path, media_type=kind, headers=_KEEP)

    @router.get("/thumbnail")
    def thumbnail(row: int) -> Response:
        """The picture, small."""
        return _jpeg(pictures.thumbnail(record_at(store, row).file))

    @router.get("/plates/{number}/view")
    def plate_view(row: int, number: int) -> Response:
        """A plate, seen from straight ahead."""
        record, plate = _plate_at(store, row, number)
        return _jpeg(pictures.plate(record.file, plate))

    @router.get("/plates/{number}/context")
    def plate_context(row: int, number: int) -> Response:
        """A plate with what surrounds it."""
        record, plate = _plate_at(store, row, number)
        return _jpeg(pictures.context(record.file, plate))

    return router


def _plate_at(store: Store, row: int, number: int) -> tuple[Record, Plate]:
    record = record_at(store, row)
    if not 0 <= number < len(record.plates):
        raise HTTPException(404, f"picture {row} has no plate {number}")
    return record, record.plates[number]


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg", headers=_KEEP)
