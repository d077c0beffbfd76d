"""The fault table as a page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from plateloop import __version__
from plateloop.testing.accuracy_report import STYLE, table
from plateloop.testing.faults.audit import HEAD, FaultRow

MEANINGS = (
    ("shown", "vehicles that the camera showed whole, while it was sound, and that are read without a fault"),
    ("told", "event lines on the process's standard output; a line is told after its commit"),
    ("stored", "events in the store at the end"),
    ("arrived", "messages that a consumer finds in Kafka at the end, those that came again included"),
    ("missed", "vehicles shown and never told; a machine too busy to look at enough frames misses some too"),
    ("lost", "events told and not stored, or stored and not received"),
    ("order", "numbers missing or not rising within a stream, in the store or on arrival"),
    ("again", "messages that came again, known by id and sequence (unknown: those that are not)"),
    ("recovery", "median / worst seconds from the end of the fault until an event is told (a vehicle must "
     "come by); of a broker until all that was owed is acknowledged; of a killed process from its start on"),
)  # fmt: skip


def write(rows: Sequence[FaultRow], folder: Path, load: float) -> None:
    """Leave ``faults.json`` and ``faults.html`` in ``folder``; ``load`` is the machine's at the start."""
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "load": round(load, 2),
    }
    data = {**about, "rows": [row.model_dump() for row in rows]}
    (folder / "faults.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    (folder / "faults.html").write_text(html(rows, " · ".join(map(str, about.values()))), encoding="utf-8")


def html(rows: Sequence[FaultRow], about: str) -> str:
    """The table and what its columns mean, as a page that needs nothing else."""
    verdict = "Nothing was lost." if all(row.passed for row in rows) else "Not all held."
    return "\n".join(
        [
            "<!doctype html><html lang=en><meta charset=utf-8><title>plateloop faults</title>",
            f"<style>{STYLE}</style><h1>Faults</h1>",
            f"<p>{escape(about)} (date, version, load of the machine)</p>",
            f"<p><b>{verdict}</b></p>",
            table(HEAD, (row.cells() for row in rows)),
            *(f"<p>{escape(row.fault)}: skipped, {escape(row.skipped)}" for row in rows if row.skipped),
            *(
                f"<p>{escape(row.fault)}: the process said: {escape('; '.join(row.said))}"
                for row in rows
                if row.said
            ),
            "<h2>What is counted</h2><dl>",
            *(f"<dt><b>{escape(name)}</b><dd>{escape(meaning)}" for name, meaning in MEANINGS),
            "</dl></html>\n",
        ]
    )
