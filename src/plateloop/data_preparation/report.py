"""What a step of data preparation did, what it left out and why."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from plateloop.errors import one_line

P = ParamSpec("P")
T = TypeVar("T")

# What parsing a broken or foreign file can raise; anything else is a fault of the program.
_MALFORMED = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)


@dataclass
class Report:
    """Counts what was written; ``skipped`` maps each file that was left out to its reason, in one line;
    ``lost`` counts what the target's format cannot hold, by name; ``repeated`` what was written before."""

    written: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    repeated: int = 0

    def skip(self, file: str, reason: str) -> None:
        """Note that ``file`` was left out. Said twice (formats may be read twice), it counts once."""
        self.skipped.setdefault(file, " ".join(reason.split()))

    def attempt(self, file: str, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What ``make`` returns; None, and a line in ``skipped``, where ``file`` is malformed."""
        try:
            return make(*args, **kwargs)
        except ET.ParseError as error:
            self.skip(file, f"no well-formed XML: {error}")
        except _MALFORMED as error:
            self.skip(file, _reason(error))
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"lacks {error}"
    if isinstance(error, UnicodeDecodeError):
        return "no UTF-8 text"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, ValueError):
        return one_line(error)
    return f"malformed ({error})"
