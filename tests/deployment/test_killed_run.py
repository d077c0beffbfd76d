"""What a killed run left in its store: passages without an end, which the next run on it gives one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from plateloop.deployment import outbox
from plateloop.deployment.config import load_config
from plateloop.deployment.keeping import keeping
from plateloop.deployment.sinks.probe import Probes
from plateloop.deployment.store import Store
from plateloop.types import Event


def test_open_passages_of_a_runs_own_sources_are_ended(
    passage: Callable[..., Event], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("paho.mqtt", reason="needs the extra mqtt")
    nobody = "mqtt://127.0.0.1:9/plates"
    page = load_config(None, ["rtsp://camera/gate"], {"mqtt": {"url": nobody}}, environ={})
    gate = page.sources[0].title
    with closing(Store.open(tmp_path / "plateloop.db")) as store:
        for id, phase in [("whole", "begin"), ("cut", "begin"), ("whole", "end"), ("cut", "update")]:
            store.append([passage(id, phase, source=gate)], 100.0, frame=7, position=2)
        store.append([passage("elsewhere", "begin", source="other")], 100.0)
    for _ in range(2):
        with caplog.at_level(logging.WARNING), keeping(page, tmp_path, Probes()) as kept:
            rows = list(kept.store.select(lambda query: query))
            assert [(row.event.id, row.event.phase) for row in rows[5:]] == [("cut", "end")]
            end, last = rows[5], rows[3]
            assert end.event == last.event.model_copy(update={"phase": "end"})
            assert (end.sequence, end.time, end.frame, end.position) == (5, last.time, last.frame, 2)
            assert [item.event.id for item in outbox.owed(kept.store, nobody)] == ["cut"]
            kept.keeper.close()
    told = [record.getMessage() for record in caplog.records if "killed run" in record.getMessage()]
    assert told == ["1 passages that a killed run left open are ended as last told"]
