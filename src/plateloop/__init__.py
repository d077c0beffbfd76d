"""plateloop: automatic licence plate recognition, from data to streams and back.

The public names are loaded on first use, so that ``import plateloop`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plateloop.frame import Frame, read_image
    from plateloop.runtime.cascade import Cascade, Scene
    from plateloop.types import Detections, Event, Plates, Reading

__version__ = "0.1.0"

_HOME = {
    "Cascade": "plateloop.runtime.cascade",
    "Scene": "plateloop.runtime.cascade",
    "Frame": "plateloop.frame",
    "read_image": "plateloop.frame",
    "Detections": "plateloop.types",
    "Event": "plateloop.types",
    "Plates": "plateloop.types",
    "Reading": "plateloop.types",
}

__all__ = ["Cascade", "Detections", "Event", "Frame", "Plates", "Reading", "Scene", "read_image"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
