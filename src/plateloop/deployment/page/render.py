"""HTML from templates: everything that is written into them is escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plateloop.deployment.lines import timestamp


def page_of(template: str, **values: object) -> str:
    """A template with values written into it."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(str(files(__package__) / "templates"))
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(zip=zip, timestamp=timestamp, percent=_percent, seconds=_seconds, sure=_sure)
    return made


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _seconds(time_s: float | None) -> str:
    if time_s is None:
        return "–"
    return f"{time_s * 1000:.0f} ms" if time_s < 1 else f"{time_s:.1f} s"


def _sure(share: float) -> str:
    # How a confidence is shown: as the overlay does.
    return "high" if share >= 0.8 else "middle" if share >= 0.5 else "low"
