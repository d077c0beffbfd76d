"""The report of an accuracy test as one HTML page that needs nothing else, and its sheet of failures."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from plateloop.frame import read_image
from plateloop.testing.accuracy_scores import HEAD, AccuracyReport
from plateloop.testing.judge import Item
from plateloop.types import Image

TILE = (224, 112)
COLUMNS = 6
CAPTION = 34
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;
border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}
td:first-child,th:first-child{text-align:left}img{max-width:100%}
code{font-size:85%;word-break:break-all}
meter{width:8rem}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}td,th{border-color:#444}}
"""


def failure_sheet(items: Sequence[Item], folders: dict[str, Path], limit: int = 60) -> Image | None:
    """A sheet of up to ``limit`` failures (H, W, 3): the plate's surroundings above truth and reading.

    ``folders`` gives each dataset's folder. Items of clips, which have no picture, are left out; the rest
    are taken evenly from the list. None where there is nothing to show.
    """
    shown = [i for i in items if i.outcome != "right" and i.dataset in folders]
    if not shown:
        return None
    chosen = [shown[k] for k in np.unique(np.linspace(0, len(shown) - 1, min(limit, len(shown)), dtype=int))]
    tiles = [_tile(folders[item.dataset] / item.file, item) for item in chosen]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[k : k + COLUMNS], 1) for k in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


def _tile(path: Path, item: Item) -> Image:
    frame = read_image(path)
    x1, y1, x2, y2 = item.box or (0, 0, frame.width, frame.height)
    # With the surroundings, to show where on the vehicle the plate is, in the tile's aspect.
    width = (1.8 if item.box else 1.0) * max(x2 - x1, (y2 - y1) * TILE[0] / TILE[1])
    half = np.array([width, width * TILE[1] / TILE[0]]) / 2
    centre = np.array([x1 + x2, y1 + y2]) / 2
    around = np.concatenate([centre - half, centre + half])[None].astype(np.float32)
    tile = np.zeros((TILE[1] + CAPTION, TILE[0], 3), np.uint8)
    tile[: TILE[1]] = frame.crops(around, TILE, resize="letterbox")[0]
    certain = "" if item.confidence is None else f" {item.confidence:.2f}"
    lines = (f"{item.truth or '-'} > {item.found or '-'}{certain}", f"{item.outcome} | {item.source}")
    for row, line in enumerate(lines):
        place = (3, TILE[1] + 13 + 15 * row)
        cv2.putText(tile, line[:32], place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (235, 235, 235), 1, cv2.LINE_AA)
    return tile


def write(report: AccuracyReport, folder: Path, data: Sequence[Path]) -> None:
    """Leave ``report.html``, ``report.json`` and ``failures.png`` in ``folder``; ``data`` was tested."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet = failure_sheet(report.items, {path.absolute().name: path for path in data})
    if sheet is not None:
        cv2.imwrite(str(folder / "failures.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    (folder / "report.html").write_text(html(report, sheet), encoding="utf-8")
    (folder / "report.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


def html(report: AccuracyReport, sheet: Image | None = None) -> str:
    """``report`` as an HTML page; the ``sheet`` of failures lies in it as a JPEG."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>plateloop accuracy</title>",
        f"<style>{STYLE}</style><h1>End-to-end accuracy</h1>",
        f"<p>{escape(report.date)} · plateloop {escape(report.version)} · split "
        f"{escape(report.split or 'all')} · {report.pictures} pictures and clips</p>",
    ]
    for name, scores in report.scores.items():
        parts += [f"<h2>By {escape(name)}</h2>", table(HEAD, (score.cells() for score in scores))]
    head, *rows = report.failure_rows()
    parts += ["<h2>What became of the plates</h2>", table(head, rows)]
    if report.ece is not None:
        parts += [
            f"<h2>Confidence</h2><p>Expected calibration error {report.ece:.3f}</p>",
            table(["mean confidence", "share right", "readings"], _calibration_rows(report)),
        ]
    if sheet is not None:
        ok, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82]
        )
        if ok:
            data = base64.b64encode(jpeg.tobytes()).decode()
            parts.append(f'<h2>Failures</h2><img alt="failures" src="data:image/jpeg;base64,{data}">')
    failed = (_item_row(item) for item in report.items if item.outcome != "right")
    parts += [
        "<h2>Every failure</h2>",
        table(["file", "truth", "read", "confidence", "outcome"], failed),
        "<h2>Weights</h2>",
        table(["network", "sha256"], report.weights.items()),
        "</html>\n",
    ]
    return "\n".join(parts)


def _calibration_rows(report: AccuracyReport) -> Iterable[list[str]]:
    for count, confidence, accuracy in report.calibration:
        if confidence is not None and accuracy is not None:
            yield [f"{confidence:.2f}", f"{accuracy:.2f}", str(count)]


def _item_row(item: Item) -> list[str]:
    certain = "-" if item.confidence is None else f"{item.confidence:.2f}"
    return [f"{item.dataset}/{item.file}", item.truth or "-", item.found or "-", certain, item.outcome]


def table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """An HTML table; the cells are texts."""
    lines = ["<table><tr>" + "".join(f"<th>{escape(cell)}" for cell in head)]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows]
    return "\n".join([*lines, "</table>"])
