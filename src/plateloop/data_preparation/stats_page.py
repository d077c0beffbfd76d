"""Statistics as one HTML page that stands alone: tables and plots drawn as SVG within it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from plateloop.data_preparation.stats import ASPECT_STEP, Stats, quantile

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; --bar: #3b7dd8; }
body { max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(540px, 1fr)); gap: 1.5rem; }
section { min-width: 0; } h2 { font-size: 1rem; margin: .4rem 0; } p { margin: .2rem 0; opacity: .65; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
svg rect { fill: var(--bar); } svg .scale { opacity: .6; } svg line { stroke: currentColor; opacity: .4; }
"""
_WIDTH = 540
_ROW = 17
# More values than these are summed up in a last bar.
_MOST = 40
_BINS = 36


def write_page(path: Path, name: str, stats: Stats) -> None:
    """Write ``stats`` of the dataset ``name`` to ``path``."""
    counted: dict[str, Mapping[str, int]] = {
        "splits": stats.splits,
        "plates": stats.plates,
        "regions": stats.regions,
        "sources": stats.sources,
        "vehicles": stats.vehicles,
        "colours": stats.colors,
        "tags": stats.tags,
        "licences": stats.licenses,
    }
    parts = [
        _section("characters", columns(_in_order(stats.characters)), f"{sum(stats.characters.values())}"),
        _section("characters a text", columns(_in_order(stats.text_lengths)), ""),
    ]
    if stats.hours:
        hours = [(str(hour), stats.hours[hour]) for hour in range(24)]
        said = ", ".join(f"{name} {number}" for name, number in stats.times.most_common())
        parts.append(_section("time of day", columns(hours), f"hour on the clock of what says so: {said}"))
    parts += [_section(title, bars(counts), f"{len(counts)} values") for title, counts in counted.items()]
    for title, sizes in sorted(stats.sizes.items()):
        step = ASPECT_STEP if title.endswith("aspect") else 1
        middle = ", ".join(f"{share} ≤ {value / step:g}" for share, value in quantile(sizes).items())
        parts.append(_section(title, histogram(sizes, step), middle))
    path.parent.mkdir(parents=True, exist_ok=True)
    head = '<!doctype html><html lang="en"><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>{escape(name)}</title><style>{_STYLE}</style><h1>{escape(name)}</h1>"
    untimed = "" if stats.hours else "; none says when it was taken"
    body = f"<p>{stats.records} records{untimed}</p><main>{''.join(parts)}</main></html>\n"
    path.write_text(head + title + body, encoding="utf-8")


def bars(counts: Mapping[str, int]) -> str:
    """Counts as lying bars with their names, the largest first. Empty where there are none."""
    ordered = sorted(((k, v) for k, v in counts.items() if v), key=lambda item: (-item[1], item[0]))
    if len(ordered) > _MOST:
        rest = sum(value for _, value in ordered[_MOST:])
        ordered = [*ordered[:_MOST], (f"{len(ordered) - _MOST} more", rest)]
    if not ordered:
        return ""
    most = max(value for _, value in ordered)
    drawn = []
    for row, (name, value) in enumerate(ordered):
        y = row * _ROW
        label = name if len(name) <= 24 else f"{name[:23]}…"
        width = 320 * value / most
        drawn.append(f'<text x="150" y="{y + 12}" text-anchor="end">{escape(label)}</text>')
        drawn.append(f'<rect x="156" y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}"/>')
        drawn.append(f'<text class="scale" x="{160 + width:.1f}" y="{y + 12}">{value}</text>')
    return _svg(len(ordered) * _ROW, drawn)


def columns(counts: Sequence[tuple[str, int]], height: int = 150) -> str:
    """Counts as standing columns in the order given, each with its name below."""
    if not counts:
        return ""
    most, wide = max(value for _, value in counts), _WIDTH / max(12, len(counts))
    drawn = [f'<text class="scale" x="0" y="10">{most}</text>']
    for index, (name, value) in enumerate(counts):
        tall = (height - 16) * value / most
        x = index * wide
        drawn.append(
            f'<rect x="{x + 1:.1f}" y="{height - tall:.1f}" width="{wide - 2:.1f}" height="{tall:.1f}">'
            f"<title>{escape(name)}: {value}</title></rect>"
        )
        drawn.append(
            f'<text x="{x + wide / 2:.1f}" y="{height + 13}" text-anchor="middle">{escape(name)}</text>'
        )
    return _svg(height + 18, drawn)


def histogram(counts: Counter[int], step: int = 1, height: int = 130) -> str:
    """Counts of whole numbers (``step`` to the unit) as a histogram up to the 99th percentile."""
    if not counts:
        return ""
    low, high = min(counts), int(quantile(counts, [0.99])["99%"]) + 1
    wide = max(1, -(-(high - low) // _BINS))
    bins: Counter[int] = Counter()
    for value, times in counts.items():
        if value < high:
            bins[(value - low) // wide] += times
    number = -(-(high - low) // wide)
    most = max(bins.values(), default=1)
    drawn = [f'<text class="scale" x="0" y="10">{most}</text>']
    for index in range(number):
        tall = (height - 16) * bins[index] / most
        x, first = index * _WIDTH / number, low + index * wide
        drawn.append(
            f'<rect x="{x:.1f}" y="{height - tall:.1f}" width="{_WIDTH / number - 0.6:.1f}" '
            f'height="{tall:.1f}"><title>{first / step:g} to {(first + wide) / step:g}: {bins[index]}'
            "</title></rect>"
        )
    for share in (0, 0.25, 0.5, 0.75, 1):
        edge, x = (low + share * number * wide) / step, share * _WIDTH
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        drawn.append(f'<text x="{x:.0f}" y="{height + 13}" text-anchor="{anchor}">{edge:.4g}</text>')
    return _svg(height + 18, drawn)


def _in_order(counts: Mapping[str, int] | Mapping[int, int]) -> list[tuple[str, int]]:
    return [(str(value), times) for value, times in sorted(counts.items())]


def _svg(height: int, drawn: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(drawn)}</svg>'


def _section(title: str, plot: str, note: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(note)}</p>{plot}</section>" if plot else ""
