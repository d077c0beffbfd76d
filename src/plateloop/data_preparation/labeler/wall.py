"""The wall of plates: an order in which to read them, the ones in most need of a person first."""

from __future__ import annotations

from threading import Lock

import numpy as np

from plateloop.data_preparation.labeler.drafts import Drafts
from plateloop.data_preparation.labeler.store import Store
from plateloop.errors import UserError

LOOK_AHEAD = 64
"""Plates that must be read before the least sure of them are shown."""


class Wall:
    """A list of plates that grows as it is looked at: what was shown keeps its place, so that one can turn
    back; what comes next is the least sure of all that the network has read by then."""

    def __init__(self, store: Store, drafts: Drafts, state: str, uncertain_first: bool) -> None:
        self._store, self._drafts = store, drafts
        self._uncertain_first = uncertain_first
        self._waiting = store.index.plates_in(state)
        self._only_todo = state == "todo"
        self._shown: list[int] = []
        self._lock = Lock()
        self.generation = store.generation

    def __len__(self) -> int:
        return len(self._shown) + len(self._waiting)

    def page(self, start: int, count: int) -> list[int]:
        """Plates ``start`` to ``start + count`` of the wall, as indices of the store's index."""
        with self._lock:
            while len(self._shown) < start + count and len(self._waiting):
                self._show(min(count, start + count - len(self._shown)))
            return self._shown[start : start + count]

    def _show(self, count: int) -> None:
        index = self._store.index
        gone = np.frombuffer(bytes(index.gone), bool)[self._waiting]
        if self._only_todo:
            gone = gone | np.frombuffer(bytes(index.plate_done), bool)[self._waiting]
        self._waiting = self._waiting[~gone]
        order = np.arange(len(self._waiting))
        if self._uncertain_first:
            self._look_ahead()
            known = np.array(index.certainty)[self._waiting]
            order = np.argsort(np.where(np.isnan(known), np.inf, known), kind="stable")
        following = order[:count]
        self._shown += self._waiting[following].tolist()
        self._waiting = np.delete(self._waiting, following)

    def _look_ahead(self) -> None:
        known = ~np.isnan(np.array(self._store.index.certainty)[self._waiting])
        wanted = min(LOOK_AHEAD, len(known)) - int(known.sum())
        if wanted > 0:
            try:
                self._drafts.readings(self._waiting[~known][:wanted].tolist())
            except UserError:
                self._uncertain_first = False  # no networks: the manifest's order
            else:
                self._drafts.read_all()
