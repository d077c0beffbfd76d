"""A comparison as one HTML page that needs nothing else, with the pictures that were gained and lost."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2

from plateloop.testing.accuracy_report import STYLE, failure_sheet, table
from plateloop.testing.compare import HEAD, Comparison
from plateloop.types import Image


def verdict(result: Comparison) -> str:
    """What the comparison says, in one line."""
    whole = result.differences[0]
    if whole.gained + whole.lost == 0:
        return f"A and B read the same {whole.right_a} of {whole.plates} plates."
    better, points = ("B", whole.gain) if whole.gain > 0 else ("A", -whole.gain)
    real = "a real difference" if whole.p < 0.05 else "which may be luck"
    return (
        f"B gains {whole.gained} plates and loses {whole.lost} of {whole.plates}: "
        f"{better} is {100 * points:.1f} points ahead, {real} (p = {whole.p:.3f})."
    )


def speed(result: Comparison) -> str:
    """How fast B is beside A, in one line."""
    if result.speed is None:
        return "Speed: not compared, there were no pictures."
    return (
        f"Speed: B does {result.speed:.2f} times as many pictures a second as A "
        f"(95 %: {result.speed_low:.2f} to {result.speed_high:.2f}; load {result.load})."
    )


def write(result: Comparison, folder: Path, data: Sequence[Path]) -> None:
    """Leave ``compare.html`` and ``compare.json`` in ``folder``; ``data`` was compared on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    folders = {path.absolute().name: path for path in data}
    # Each picture shows the reading that was wrong.
    gained = [pair.a for pair in result.changed if pair.b.outcome == "right"]
    lost = [pair.b for pair in result.changed if pair.a.outcome == "right"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>plateloop compare</title>",
        f"<style>{STYLE}</style><h1>B against A</h1>",
        f"<p>A: {escape(result.a)}<br>B: {escape(result.b)}<br>split {escape(result.split or 'all')}</p>",
        f"<p><b>{escape(verdict(result))}</b><br>{escape(speed(result))}<br>",
        f"Readings where there is no plate: A {result.extra_a}, B {result.extra_b}.</p>",
        table(HEAD, (row.cells() for row in result.differences)),
        "<p>p: McNemar's exact test on plates read right by one only. Interval: bootstrap over pictures.</p>",
    ]
    for title, items in (("Gained by B (what A read)", gained), ("Lost by B (what B read)", lost)):
        parts.append(f"<h2>{title}: {len(items)}</h2>")
        sheet = failure_sheet(items, folders)
        if sheet is not None:
            parts.append(_picture(sheet))
        rows = ((f"{i.dataset}/{i.file}", i.truth or "-", i.found or "-", i.outcome) for i in items)
        parts.append(table(("file", "truth", "read", "outcome"), rows))
    hashes = ((name, sha[:16], result.weights_b[name][:16]) for name, sha in result.weights_a.items())
    parts += [
        "<h2>Weights</h2>",
        table(("network", "A, sha256 begins", "B, sha256 begins"), hashes),
        "</html>\n",
    ]
    (folder / "compare.html").write_text("\n".join(parts), encoding="utf-8")


def _picture(sheet: Image) -> str:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 82]
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)
    return f'<img alt="" src="data:image/jpeg;base64,{b64encode(jpeg.tobytes()).decode()}">'
