"""The labeler's web application: the page's files and its JSON interface."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from plateloop.data_preparation.labeler.dataset_routes import dataset_routes
from plateloop.data_preparation.labeler.draft_routes import draft_routes
from plateloop.data_preparation.labeler.drafts import Drafts
from plateloop.data_preparation.labeler.exchange_routes import exchange_routes
from plateloop.data_preparation.labeler.picture_routes import picture_routes
from plateloop.data_preparation.labeler.record_routes import record_routes, versioned
from plateloop.data_preparation.labeler.store import ConflictError, Store
from plateloop.data_preparation.labeler.views import Pictures
from plateloop.errors import UserError
from plateloop.web import Guard


def create_app(store: Store, pictures: Pictures, drafts: Drafts, hosts: frozenset[str] | None) -> FastAPI:
    """The application over one dataset.

    ``hosts`` are the names by which it may be called (against pages of other sites that let their own name
    point here); None: any.
    """
    app = FastAPI(
        title="plateloop label",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        exception_handlers={UserError: _missing, ConflictError: _conflict, OSError: _disk},
    )
    app.add_middleware(Guard, hosts=hosts)
    app.include_router(dataset_routes(store))
    app.include_router(record_routes(store))
    app.include_router(picture_routes(store, pictures))
    app.include_router(draft_routes(store, drafts))
    app.include_router(exchange_routes(store))
    app.mount("/", StaticFiles(directory=str(files(__package__) / "static"), html=True))
    return app


async def _missing(_: Request, error: UserError) -> Response:
    return JSONResponse({"detail": str(error)}, 404)


async def _conflict(_: Request, error: ConflictError) -> Response:
    return JSONResponse({"detail": str(error), **versioned(error.record)}, 409)


async def _disk(_: Request, error: OSError) -> Response:
    return JSONResponse({"detail": f"not saved: {error.strerror or error}"}, 507)
