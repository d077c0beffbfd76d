"""Texts compared, by look-alike folding and edit distance, and texts of others shown."""

from __future__ import annotations

import re

_FOLD = str.maketrans("O", "0")


def fold(text: str) -> str:
    """``text`` with every letter O written as the digit 0, as part of the labels have them."""
    return text.translate(_FOLD)


def edit_distance(a: str, b: str) -> int:
    """Least number of characters to insert, delete or replace to make ``b`` of ``a``.

    Levenshtein's distance by Wagner and Fischer's table, one row kept (J. ACM 21(1), 1974).
    """
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def visible(text: str) -> str:
    """``text`` with its control characters, line ends too, as JSON escapes them: a terminal obeys none."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)
