"""A page of settings as YAML, every key with its meaning as a comment."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from plateloop.passwords import redact

WIDTH = 100


def show(page: BaseModel) -> str:
    """The page with all its defaults. It loads as the same page, save for passwords in URLs: shown as ***."""
    return "\n".join(_lines(page, "")) + "\n"


def _lines(model: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        inner = next(
            (part for part in (field.annotation, *get_args(field.annotation)) if _is_model(part)), None
        )
        said = field.description or ""
        if isinstance(value, BaseModel):
            # A section says itself what it is.
            said = said if said != "see there" else (type(value).__doc__ or "").partition("\n")[0]
            if not indent:
                yield ""
        for line in textwrap.wrap(said, WIDTH - len(indent) - 2):
            yield f"{indent}# {line}"
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif value and isinstance(value, tuple) and isinstance(value[0], BaseModel):
            yield f"{indent}{name}:"
            for item in value:
                yield from _item(item, indent + "    ")
        else:
            yield f"{indent}{name}: {_scalar(model, name)}"
            if value is None and inner is not None:
                # A section that is off shows at least what could be said in it.
                keys = ", ".join(inner.model_fields)
                yield from (
                    f"{indent}#   {line}" for line in textwrap.wrap(f"keys: {keys}", WIDTH - len(indent) - 4)
                )


def _item(model: BaseModel, indent: str) -> list[str]:
    # The item's dash stands before its first key; comments before that are moved above it.
    lines = list(_lines(model, indent))
    key = next(place for place, line in enumerate(lines) if line and not line.lstrip().startswith("#"))
    dash = indent[:-2] + "- " + lines[key][len(indent) :]
    return [*(indent[:-2] + line.lstrip() for line in lines[:key] if line), dash, *lines[key + 1 :]]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _scalar(model: BaseModel, name: str) -> str:
    value = model.model_dump(mode="json", include={name})[name]
    if isinstance(value, str):
        value = redact(value)
    # One line of its own, whatever it holds.
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("...").strip()
