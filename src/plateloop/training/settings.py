"""Settles a run's configuration: defaults, then a YAML file, then single assignments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from plateloop.errors import UserError, one_line

Config = TypeVar("Config", bound=BaseModel)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _nested(assignment: str) -> dict[str, Any]:
    """``a.b=1`` as ``{"a": {"b": 1}}``; the value is read as YAML."""
    path, separator, text = assignment.partition("=")
    if not separator:
        raise UserError(f"--set {assignment}: write it as key=value, such as loop.learning_rate=1e-3")
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {assignment}: not YAML: {one_line(error)}") from None
    for key in reversed(path.split(".")):
        value = {key: value}
    nested: dict[str, Any] = value
    return nested


def settle(default: Config, file: Path | None = None, assignments: Sequence[str] = ()) -> Config:
    """``default``, overridden by the YAML ``file`` and then by each ``key.key=value`` of ``assignments``.

    Raises UserError for a file that is missing or no mapping, and for keys or values that do not fit.
    """
    data = default.model_dump(mode="json")
    if file is not None:
        if not file.is_file():
            raise UserError(f"{file}: no such configuration")
        try:
            given = yaml.safe_load(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: not YAML: {one_line(error)}") from None
        if not isinstance(given, dict):
            raise UserError(f"{file}: not a configuration (a YAML mapping)")
        data = _merge(data, given)
    for assignment in assignments:
        data = _merge(data, _nested(assignment))
    try:
        return type(default).model_validate(data)
    except ValidationError as error:
        raise UserError(f"configuration: {one_line(error)}") from None


def as_yaml(config: BaseModel) -> str:
    """``config`` as YAML, in the order of its fields."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
