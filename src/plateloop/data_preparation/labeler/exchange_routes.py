"""The part of the labeler's interface that gives labels to other tools and takes them back."""

from __future__ import annotations

from collections import OrderedDict
from itertools import count as counting
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict
from starlette.background import BackgroundTask

from plateloop.data_preparation.labeler.exchange import FILES, Format, Import, export, settle, take_over
from plateloop.data_preparation.labeler.index import State
from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.manifest import Record
from plateloop.errors import UserError

SHOWN = 50
_KEPT = 4


class Settlement(BaseModel):
    """Conflicts of an import (``rows``; None: all) are settled by the file's labels, or by those here."""

    model_config = ConfigDict(extra="forbid")

    rows: list[int] | None
    take: bool


def exchange_routes(store: Store) -> APIRouter:
    """The routes over one dataset."""
    router = APIRouter(prefix="/api")
    imports: OrderedDict[int, Import] = OrderedDict()
    numbers = counting(1)

    @router.get("/export")
    def get_export(form: Annotated[Format, Query(alias="format")], state: State = "all") -> Response:
        """The labels of a list of pictures as a file for Label Studio or CVAT; 409 where another program
        changed the manifest meanwhile."""
        with store.lock:
            rows = store.index.rows(state).tolist()
        with NamedTemporaryFile("w", encoding="utf-8", delete=False) as out:
            path = Path(out.name)
            try:
                export(store, rows, form, out)
            except UserError as error:
                path.unlink()
                raise HTTPException(409, str(error)) from None
        name = f"{store.folder.resolve().name}-{FILES[form]}"
        return FileResponse(path, filename=name, background=BackgroundTask(path.unlink))

    @router.post("/imports")
    async def post_import(request: Request, name: str) -> dict[str, Any]:
        """Take over the labels of a file, the request's body; tells what was taken, what is in conflict."""
        with NamedTemporaryFile() as upload:
            async for part in request.stream():
                upload.write(part)
            upload.flush()
            try:
                done = await run_in_threadpool(take_over, store, Path(upload.name), name)
            except UserError as error:
                raise HTTPException(422, str(error)) from None
        key = next(numbers)
        imports[key] = done
        while len(imports) > _KEPT:
            imports.popitem(last=False)
        return await run_in_threadpool(_told, store, key, done)

    @router.post("/imports/{key}")
    def settle_import(key: int, settlement: Settlement) -> dict[str, Any]:
        """Settle conflicts of an import; tells what is left. 410 where the import is no more."""
        done = imports.get(key)
        if done is None:
            raise HTTPException(410, "this import is no more; choose the file again")
        rows = list(done.conflicts) if settlement.rows is None else settlement.rows
        try:
            settle(store, done, rows, settlement.take)
        except UserError as error:
            raise HTTPException(409, str(error)) from None
        return _told(store, key, done)

    return router


def _told(store: Store, key: int, done: Import) -> dict[str, Any]:
    def conflict(row: int) -> dict[str, Any]:
        found = done.conflicts[row]
        theirs = Record.model_validate_json(found.theirs)
        return {"row": row, "file": found.file, "here": _said(store.record(row)), "theirs": _said(theirs)}

    return {
        "import": key,
        "name": done.name,
        "taken": done.taken,
        "same": done.same,
        "skipped": len(done.report.skipped),
        "reasons": [f"{file}: {why}" for file, why in islice(done.report.skipped.items(), SHOWN)],
        "lost": [f"{what} ({count} pictures)" for what, count in sorted(done.report.lost.items()) if count],
        "conflicts": len(done.conflicts),
        "shown": [conflict(row) for row in islice(list(done.conflicts), SHOWN)],
    }


def _said(record: Record) -> dict[str, Any]:
    """What tells two versions of a picture's labels apart in a line."""
    texts = [plate.text or "–" for plate in record.plates]
    return {"vehicles": len(record.vehicles), "plates": texts}
