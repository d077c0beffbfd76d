"""Plates by what one remembers of them: wildcards, a few mistakes, and characters that look alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

LOOKALIKES = str.maketrans({"O": "0", "I": "1"})


def matching(texts: Iterable[str], wanted: str, edits: int = 0, lookalikes: bool = True) -> list[str]:
    """The plate ``texts`` that are as ``wanted``, letter case and separators aside.

    In ``wanted``, ``*`` stands for any characters and ``?`` for one. Up to ``edits`` characters may be
    changed, missing or added. With ``lookalikes`` O is as 0 and I is as 1.
    """
    pattern = _plain(re.sub(r"[^\w*?]", "", wanted), lookalikes)
    return [text for text in texts if _distance(_plain(text, lookalikes), pattern, edits) <= edits]


def _plain(text: str, lookalikes: bool) -> str:
    upper = text.upper()
    return upper.translate(LOOKALIKES) if lookalikes else upper


def _distance(text: str, pattern: str, most: int) -> int:
    """The least edits that make ``text`` fit ``pattern`` (Wagner and Fischer's table)."""
    if "*" not in pattern and abs(len(text) - len(pattern)) > most:
        return most + 1
    row = list(range(len(text) + 1))
    for sign in pattern:
        above, row = row, [row[0] + (sign != "*")]
        for place, character in enumerate(text):
            if sign == "*":
                row.append(min(above[place + 1], row[place]))
            else:
                swap = above[place] + (sign not in ("?", character))
                row.append(min(swap, above[place + 1] + 1, row[place] + 1))
        if sign == "*":
            row[0] = above[0]
    return row[-1]
