"""Drift as a page: what drifted in plain lines, the table, and a chart of each shift."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np

from plateloop.testing.accuracy_report import STYLE, table
from plateloop.testing.charts import figure
from plateloop.testing.drift import HEAD, Shift

CHARTS = 30
"""Shifts that are drawn at most, the largest first."""


def summary(shifts: Sequence[Shift]) -> list[str]:
    """What drifted, a plain line each."""
    drifted = sorted((shift for shift in shifts if shift.drifted), key=lambda shift: -shift.psi)
    if not drifted:
        return [f"Nothing drifted, of {len(shifts)} measures compared."]
    return [f"{shift.source}: {shift.what} (PSI {shift.psi:.2f})" for shift in drifted]


def write(shifts: Sequence[Shift], folder: Path) -> None:
    """Leave ``drift.html`` and ``drift.json`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{**shift.model_dump(), "drifted": shift.drifted} for shift in shifts]
    (folder / "drift.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>plateloop drift</title>",
        f"<style>{STYLE}td,th{{white-space:nowrap}}td:last-child,th:last-child{{text-align:left}}</style>",
        "<h1>Drift</h1><ul>",
        *(f"<li>{escape(line)}" for line in summary(shifts)),
        "</ul>",
        table(HEAD, (shift.cells() for shift in shifts)),
        "<p>Drift: adjusted p below 0.05 (Kolmogorov-Smirnov or chi-square, after Benjamini and Hochberg) "
        "and a population stability index (PSI) of at least 0.1.</p>",
        f'<img alt="charts" src="data:image/png;base64,{b64encode(chart(shifts)).decode()}"></html>\n',
    ]
    (folder / "drift.html").write_text("\n".join(parts), encoding="utf-8")


def chart(shifts: Sequence[Shift]) -> bytes:
    """The distributions of the largest shifts, reference beside current, as a PNG."""
    shown = sorted(shifts, key=lambda shift: (not shift.drifted, -shift.psi))[:CHARTS]
    rows = (len(shown) + 2) // 3
    drawn = figure(11, 2.6 * rows)
    grid = np.ravel(drawn.subplots(rows, 3, squeeze=False))
    for axes, shift in zip(grid, shown, strict=False):
        place = np.arange(len(shift.classes))
        axes.bar(place - 0.2, shift.reference, 0.4, label="reference", color="#9aa4b2")
        color = "#cf222e" if shift.drifted else "#1f6feb"
        axes.bar(place + 0.2, shift.current, 0.4, label="current", color=color)
        # A dollar sign would begin mathematics.
        names = [name.replace("$", r"\$") for name in shift.classes]
        axes.set_xticks(place, names, rotation=60, ha="right", fontsize=7)
        title = f"{shift.source}: {shift.measure}".replace("$", r"\$")
        axes.set_title(f"{title[:46]} (PSI {shift.psi:.2f})", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", labelsize=7)
    grid[0].legend(fontsize=7, frameon=False)
    for axes in grid[len(shown) :]:
        axes.remove()
    buffer = BytesIO()
    drawn.savefig(buffer, dpi=100)
    return buffer.getvalue()
