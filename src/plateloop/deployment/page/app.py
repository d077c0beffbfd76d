"""The live page's web application: HTML made here, swapped into the page by a few lines of script."""

from __future__ import annotations

import asyncio
import math
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.background import BackgroundTask

from plateloop.deployment import export
from plateloop.deployment.operations import Operations, is_alive
from plateloop.deployment.page import search
from plateloop.deployment.page.render import page_of
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.store import Store
from plateloop.errors import UserError
from plateloop.web import Guard

PAGE = 40
# Seconds between looks at the store for who wants to hear of changes.
LOOK_S = 0.5
WIDTHS = {"small": 640, "large": 1600}


class Wanted(BaseModel):
    """The search form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plate: str = Field("", max_length=64)
    edits: int = Field(0, ge=0, le=3)
    exact: bool = False
    source: str = Field("", max_length=2000)
    within_s: int = Field(0, ge=0)
    before: int | None = None

    @property
    def search(self) -> search.Search:
        """What the store is asked."""
        return search.Search(self.plate, self.edits, self.exact, self.source, self.within_s)


Form = Annotated[Wanted, Query()]


def create_app(
    store: Store,
    title: str,
    hosts: frozenset[str] | None,
    closing: threading.Event,
    operations: Operations | None = None,
) -> FastAPI:
    """The application over a store, and over a run where ``operations`` is given.

    ``title`` names the store or the run; ``hosts`` are the names by which the server may be called (None:
    any); ``closing`` ends the answers that have no end.
    """
    app = FastAPI(title="plateloop", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, hosts=hosts)

    def pictured(identity: str) -> bool:
        return operations is not None and operations.watch.plate(identity) is not None

    @app.exception_handler(UserError)
    async def mistaken(_: Request, error: UserError) -> Response:
        return HTMLResponse(page_of("notice.html", text=str(error)), 400)

    @app.exception_handler(SQLAlchemyError)
    async def broken(_: Request, error: SQLAlchemyError) -> Response:
        text = f"The event store fails: {str(error).splitlines()[0]}"
        return HTMLResponse(page_of("notice.html", text=text), 503)

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        """The whole page."""
        return page_of("page.html", title=title, live=operations is not None, sources=search.sources(store))

    @app.get("/events", response_class=HTMLResponse)
    def events(form: Form) -> str:
        """A list of events, newest first."""
        items = search.newest(store, form.search.narrow(store), PAGE + 1, form.before)
        # Of what an earlier run has left open nobody knows whether it is still there.
        started = operations.started if operations is not None else math.inf
        shown = {"items": items[:PAGE], "more": len(items) > PAGE, "first": form.before is None}
        return page_of("events.html", **shown, started=started, pictured=pictured)

    @app.get("/event", response_class=HTMLResponse)
    def event(identity: Annotated[str, Query(alias="id")]) -> Response:
        """All that is known of one event."""
        phases = search.history(store, identity)
        if not phases:
            return HTMLResponse(page_of("notice.html", text="This event is not in the store any more"), 404)
        return HTMLResponse(page_of("event.html", phases=phases, item=phases[-1], pictured=pictured))

    @app.get("/export.{form}")
    def exported(form: Literal["csv", "jsonl"], wanted: Form) -> Response:
        """The events of a search as a table, oldest first."""
        items = store.latest(wanted.search.narrow(store))
        folder = tempfile.TemporaryDirectory(prefix="plateloop-")
        path = Path(folder.name) / f"events.{form}"
        try:
            export.export(items, path, form)
        except BaseException:
            folder.cleanup()
            raise
        kind = {"csv": "text/csv", "jsonl": "application/jsonl"}[form]
        return FileResponse(
            path, media_type=kind, filename=path.name, background=BackgroundTask(folder.cleanup)
        )

    @app.get("/changes")
    async def changes() -> Response:
        """Tells of each change of the store: the number of its last row."""
        return StreamingResponse(_changes(store, closing), media_type="text/event-stream")

    if operations is not None:
        _add_run(app, operations)
        if operations.control:
            _add_control(app, operations.pipeline)
    app.mount("/", StaticFiles(directory=str(files(__package__) / "static")))
    return app


def _add_run(app: FastAPI, operations: Operations) -> None:
    from plateloop.deployment.metrics import exposition

    @app.get("/streams", response_class=HTMLResponse)
    def streams() -> str:
        """The streams as they are now."""
        states = operations.streams()
        return page_of(
            "streams.html",
            streams=states,
            debts=operations.debts(),
            problems=operations.problems(),
            control=operations.control,
        )

    @app.get("/streams/{number}.jpg")
    def picture(number: int, size: Literal["small", "large"] = "small") -> Response:
        """A stream's newest frame with what was seen in it."""
        data = operations.watch.picture(number, WIDTHS[size])
        if data is None:
            raise HTTPException(404, "no picture yet")
        return Response(data, media_type="image/jpeg", headers={"cache-control": "no-store"})

    @app.get("/plate.jpg")
    def plate(identity: Annotated[str, Query(alias="id")]) -> Response:
        """The plate of one of the last events."""
        data = operations.watch.plate(identity)
        if data is None:
            raise HTTPException(404, "no picture of this plate")
        return Response(data, media_type="image/jpeg", headers={"cache-control": "no-store"})

    @app.get("/metrics")
    def metrics() -> Response:
        """For Prometheus."""
        return Response(exposition(operations), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/healthz")
    def health() -> Response:
        """200 while the engine works; 503 where it hangs and the process should be started anew."""
        return _verdict([] if is_alive(operations.pipeline) else ["the engine hangs"])

    @app.get("/readyz")
    def readiness() -> Response:
        """200 while plates are being read; 503 says what is missing."""
        return _verdict(operations.problems())


def _add_control(app: FastAPI, pipeline: Pipeline) -> None:
    @app.post("/sources", status_code=201)
    def add(source: SourceConfig) -> dict[str, Any]:
        """Run one more source."""
        with _as_conflicts():
            return {"stream": pipeline.add(source), "name": source.title}

    @app.delete("/sources", status_code=204)
    def remove(name: str) -> None:
        """Let a source end."""
        with _as_conflicts():
            pipeline.remove(name)


@contextmanager
def _as_conflicts() -> Iterator[None]:
    try:
        yield
    except (UserError, RuntimeError) as error:
        raise HTTPException(409, str(error)) from None


def _verdict(problems: list[str]) -> Response:
    content: dict[str, Any] = {"ok": not problems, "problems": problems}
    return JSONResponse(content, 503 if problems else 200)


async def _changes(store: Store, closing: threading.Event) -> AsyncIterator[str]:
    known: int | None = None
    while not closing.is_set():
        try:
            row: int | None = await run_in_threadpool(search.last_row, store)
        except SQLAlchemyError:
            row = known
        # A comment keeps proxies from taking the silence for a dead connection.
        yield f"data: {row}\n\n" if row != known else ":\n\n"
        known = row
        await asyncio.sleep(LOOK_S)
