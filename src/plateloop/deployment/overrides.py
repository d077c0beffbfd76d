"""Single keys of a page given from outside: ``section.key=value``, or in the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from plateloop.errors import UserError

PREFIX = "PLATELOOP__"
"""Before names of the environment: PLATELOOP__SCHEDULE__INTERVAL=2 is schedule.interval=2."""


def apply(data: dict[str, Any], settings: Sequence[str], environ: Mapping[str, str]) -> None:
    """Put into ``data`` (a page as it was read) what the environment says, then ``settings``.

    Values are read as YAML; ``sources.0.url`` is a key of the first source. Raises UserError naming what
    cannot be placed.
    """
    for name in sorted(environ):
        if name.startswith(PREFIX):
            _put(data, name.removeprefix(PREFIX).lower().split("__"), environ[name], name)
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator or not key.strip():
            raise UserError(f"--set {key}: expected section.key=value")
        _put(data, key.strip().split("."), value, f"--set {key.strip()}")


def _put(data: dict[str, Any], path: Sequence[str], text: str, said: str) -> None:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        # Without the value, which may be a password.
        raise UserError(f"{said}: its value is not YAML") from None
    place: Any = data
    for step, part in enumerate(path):
        last = step == len(path) - 1
        if isinstance(place, list):
            if not part.isdecimal() or int(part) > len(place):
                raise UserError(f"{said}: {'.'.join(path[:step])} has {len(place)} items, counted from 0")
            number = int(part)
            if number == len(place):
                place.append({})
            place[number], place = (value, None) if last else (place[number], place[number])
        elif isinstance(place, dict):
            if last:
                place[part] = value
            elif place.get(part) is None:
                place[part] = {}
            place = place[part]
        else:
            raise UserError(f"{said}: {'.'.join(path[:step])} is not a section")
