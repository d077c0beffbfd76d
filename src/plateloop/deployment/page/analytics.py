"""The page of ``consume --page``: what is read from Kafka, as charts that the server draws."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from plateloop.deployment.analytics import LONGEST, Tally
from plateloop.deployment.page.charts import stacked
from plateloop.deployment.page.render import page_of
from plateloop.web import Guard, address_of, listen, names_of, serving

Source = Annotated[str, Query(max_length=LONGEST)]


def create_app(tally: Tally, title: str, hosts: frozenset[str] | None) -> FastAPI:
    """The application over a tally; ``hosts`` are the names by which it may be called (None: any)."""
    app = FastAPI(title="plateloop", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, hosts=hosts)

    @app.get("/")
    def page(source: Source = "") -> HTMLResponse:
        """The page with its charts."""
        return HTMLResponse(page_of("analytics.html", title=title, **_values(tally, source)))

    @app.get("/panels")
    def panels(source: Source = "") -> HTMLResponse:
        """The charts alone."""
        return HTMLResponse(page_of("panels.html", **_values(tally, source)))

    app.mount("/", StaticFiles(directory=str(files(__package__) / "static")))
    return app


@contextmanager
def serving_tally(tally: Tally, title: str, host: str, port: int) -> Iterator[str]:
    """Serve the page until the block is left; yields its address. Raises UserError as ``listen`` does."""
    with listen(host, port) as listening, serving(
        create_app(tally, title, names_of(host)), listening, threading.Event()
    ):  # fmt: skip
        yield address_of(listening)


def _values(tally: Tally, source: str) -> dict[str, Any]:
    summary = tally.summary(time.time(), source or None)
    return {
        "summary": summary,
        "source": source,
        "flow": stacked(summary.minutes, 720, 150),
        "sureness": stacked([(count,) for count in summary.confidences], 340, 150),
    }
