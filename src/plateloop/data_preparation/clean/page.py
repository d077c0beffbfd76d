"""The report: one HTML page that stands alone, with thumbnails of the worst findings of each kind."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

import cv2
import numpy as np

from plateloop.data_preparation.clean.finding import KINDS, Finding, boxes_of
from plateloop.data_preparation.clean.inspect import Inspection
from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.errors import UserError
from plateloop.files import atomic
from plateloop.frame import read_image
from plateloop.types import Box, Image

WIDTH, HEIGHT = 240, 160
# A place is shown with so much around it, as a share of its longer side; at least so many pixels.
_AROUND, _LEAST = 1.0, 40
_LABEL, _PLACE, _SEEN = (40, 190, 70), (235, 50, 50), (60, 130, 255)

# Nothing to show.
_DARK = ("malformed", "missing", "unreadable", "truncated")

_CURES = {"mend": "mended by --fix", "remove": "left out by --fix", "look": "to be looked at"}
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.sheet { display: flex; flex-wrap: wrap; gap: 10px; }
figure { margin: 0; width: 240px; } figure.pair { width: 490px; }
figure img { display: block; border-radius: 3px; background: #8882; }
figcaption { font-size: 12px; line-height: 1.35; overflow-wrap: anywhere; }
small, .quiet { opacity: .65; }
.key b { padding: 0 .4em; } .l { color: rgb(40,190,70); } .p { color: rgb(235,50,50); }
.s { color: rgb(60,130,255); }
"""


def write_page(path: Path, source: Path, found: Inspection) -> None:
    """Write what was ``found`` in the dataset ``source`` to ``path``; pictures lie in the page itself."""
    wanted = {finding.file for _, worst in found.worst() for finding in worst}
    wanted |= {finding.other for _, worst in found.worst() for finding in worst if finding.other}
    records = {r.file: r for r in read_manifest(source, lambda *_: None) if r.file in wanted}
    path.parent.mkdir(parents=True, exist_ok=True)
    total = sum(found.counts.values())
    with atomic(path) as partial, partial.open("w", encoding="utf-8") as out:
        out.write('<!doctype html><html lang="en"><meta charset="utf-8">')
        out.write('<meta name="viewport" content="width=device-width, initial-scale=1">')
        out.write(f"<title>Cleaning {escape(source.name)}</title><style>{_STYLE}</style>")
        out.write(f"<h1>Cleaning {escape(source.name)}</h1>")
        out.write(f"<p>{found.records} records, {total} findings. Boxes: ")
        out.write('<span class="key"><b class="l">labels</b><b class="p">the one in doubt</b>')
        out.write(
            '<b class="s">what a network sees</b></span></p><table><tr><th>findings<th>kind<th><th></tr>'
        )
        for kind, _ in found.worst():
            out.write(f'<tr><td class="n">{found.counts[kind]}<td><a href="#{kind}">{kind}</a>')
            out.write(f'<td>{escape(KINDS[kind].title)}<td class="quiet">{_cure(kind)}</tr>')
        out.write("</table>")
        for kind, worst in found.worst():
            out.write(f'<h2 id="{kind}">{escape(KINDS[kind].title)}</h2><p class="quiet">{kind}: ')
            out.write(f"{found.counts[kind]} findings, {_cure(kind)}")
            out.write(f"; the worst {len(worst)}</p>" if len(worst) < found.counts[kind] else "</p>")
            out.write('<div class="sheet">')
            for finding in worst:
                out.write(_figure(source, finding, records))
            out.write("</div>")
        out.write("</html>\n")


def thumbnail(source: Path, finding: Finding, record: Record | None) -> Image | None:
    """The part of the picture that the finding is about, with boxes, at most 240 × 160; None without one."""
    if record is None or finding.kind in _DARK:
        return None
    try:
        picture = read_image(source / record.file).rgb()
    except UserError:
        return None
    around = _view(finding.place or finding.seen, picture.shape[1], picture.shape[0])
    x1, y1, x2, y2 = around
    part = picture[y1:y2, x1:x2]
    scale = min(WIDTH / part.shape[1], HEIGHT / part.shape[0])
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = np.ascontiguousarray(cv2.resize(part, size, interpolation=mode), np.uint8)

    def draw(box: Box | None, color: tuple[int, int, int]) -> None:
        if box is not None and box != (0, 0, record.width, record.height):
            points = (np.array(box) - (x1, y1, x1, y1)) * scale
            a, b, c, d = np.clip(points, -9999, 9999).round().astype(int).tolist()
            cv2.rectangle(canvas, (a, b), (c, d), color, 1, cv2.LINE_AA)

    for box in boxes_of(record):
        draw(box, _LABEL)
    for plate in record.plates:
        if plate.corners is not None:
            quad = ((np.array(plate.corners) - (x1, y1)) * scale).round().astype(np.int32)
            cv2.polylines(canvas, [quad], True, _LABEL, 1, cv2.LINE_AA)
            cv2.circle(canvas, quad[0].tolist(), 3, _LABEL, -1, cv2.LINE_AA)
    draw(finding.place, _PLACE)
    draw(finding.seen, _SEEN)
    return canvas


def _view(place: Box | None, width: int, height: int) -> tuple[int, int, int, int]:
    """The part of a picture to show for a place in it, in whole pixels; all of it for none."""
    if place is None:
        return 0, 0, width, height
    x, y = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
    half = max(place[2] - place[0], (place[3] - place[1]) * WIDTH / HEIGHT) * (0.5 + _AROUND / 2)
    half = max(half, _LEAST)
    x1, x2 = max(0, int(x - half)), min(width, int(x + half) + 1)
    y1, y2 = max(0, int(y - half * HEIGHT / WIDTH)), min(height, int(y + half * HEIGHT / WIDTH) + 1)
    # A place outside of the picture shows all of it.
    return (x1, y1, x2, y2) if x2 - x1 > 1 and y2 - y1 > 1 else (0, 0, width, height)


def _figure(source: Path, finding: Finding, records: Mapping[str, Record]) -> str:
    pictures = [_image(thumbnail(source, finding, records.get(finding.file)))]
    if finding.other is not None:
        alone = Finding(finding.kind, finding.other, "")
        pictures.append(_image(thumbnail(source, alone, records.get(finding.other))))
    pair = ' class="pair"' if finding.other is not None else ""
    row = "".join(pictures)
    inner = f'<div style="display:flex;gap:10px">{row}</div>' if pair else row
    caption = f"{escape(finding.reason)}<br><small>{escape(finding.file)}</small>"
    return f"<figure{pair}>{inner}<figcaption>{caption}</figcaption></figure>"


def _image(picture: Image | None) -> str:
    if picture is None:
        return ""
    code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    text = base64.b64encode(code.tobytes()).decode()
    return f'<img alt="" loading="lazy" src="data:image/jpeg;base64,{text}">'


def _cure(kind: str) -> str:
    cure = KINDS[kind].cure
    held = KINDS[kind].quarantine and cure == "look"
    return "put away by --quarantine" if held else _CURES[cure]
