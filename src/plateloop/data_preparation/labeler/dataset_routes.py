"""The part of the labeler's interface that is about the dataset as a whole."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from plateloop.data_preparation.labeler.store import Store
from plateloop.runtime.card import load_card, package_card


def dataset_routes(store: Store) -> APIRouter:
    """The routes over one dataset."""
    router = APIRouter(prefix="/api")

    @router.get("/dataset")
    def dataset() -> dict[str, Any]:
        """What the page needs once: the dataset's name and size, the words for labels and colours."""
        known = {task: load_card(package_card(task)).labels for task in ("tcnet", "colornet")}
        return {
            "name": store.folder.resolve().name,
            "labels": [*known["tcnet"], *sorted(store.index.labels - set(known["tcnet"]))],
            "colors": [*known["colornet"], *sorted(store.index.colors - set(known["colornet"]))],
            **status(),
        }

    @router.get("/status")
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

    @router.post("/save")
    def save() -> dict[str, Any]:
        """Write all edits into the manifest."""
        store.fold()
        return status()

    return router
