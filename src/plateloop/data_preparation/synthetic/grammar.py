"""The grammar of plate texts: a pattern is a line of signs, each for a character, a gap or a drawing.

====== ==================================================================================================
sign   stands for
====== ==================================================================================================
``A``  a letter of the style's alphabet
``0``  a digit
``9``  a digit that is not 0
``X``  a letter or a digit
``'…'`` these very characters
``{…}`` one of the style's codes of that name (its characters)
space  a gap; ``_`` a thin one
``-.:`` a dash, a dot at middle height, a dot on the base line
``*``  an emblem or sticker of the style: nothing to read
``~``  a word in another script: nothing to read; ``@`` the same, read as T (as Tunisian plates are labelled)
``#``  one character of another script: nothing to read
``[…]`` smaller characters in a box of their own, at the side
``/``  the next row
====== ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

Kind = Literal["char", "gap", "thin", "dash", "dot", "low", "emblem", "word", "glyph", "box", "end"]
_DRAWN: dict[str, Kind] = {
    " ": "gap", "_": "thin", "-": "dash", ".": "dot", ":": "low", "*": "emblem", "~": "word", "#": "glyph",
    "[": "box", "]": "end",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """One thing in a row: ``text`` is the character to read ("" for none)."""

    kind: Kind
    text: str = ""


@lru_cache(maxsize=4096)
def split(pattern: str) -> tuple[str, ...]:
    """The signs of a pattern, literals and codes whole."""
    signs, i = [], 0
    while i < len(pattern):
        close = {"'": "'", "{": "}"}.get(pattern[i])
        end = pattern.index(close, i + 1) + 1 if close else i + 1
        signs.append(pattern[i:end])
        i = end
    return tuple(signs)


def check(pattern: str, codes: Mapping[str, Sequence[str]]) -> None:
    """Raise ValueError, naming the fault, where ``pattern`` has unknown signs or codes."""
    try:
        signs = split(pattern)
    except ValueError:
        raise ValueError(f"pattern {pattern!r}: a quote or brace is not closed") from None
    boxes = [sign for sign in signs if sign in ("[", "]", "/")]
    if "".join(boxes).replace("[]", "").strip("/"):
        raise ValueError(f"pattern {pattern!r}: a box [...] is not closed in its row")
    for sign in signs:
        if sign[0] == "{" and not codes.get(sign[1:-1]):
            raise ValueError(f"pattern {pattern!r}: no codes named {sign[1:-1]!r}")
        if sign[0] not in "A09X@/'{" and sign not in _DRAWN:
            raise ValueError(f"pattern {pattern!r}: unknown sign {sign!r}")


def sample(
    rng: np.random.Generator, pattern: str, letters: str, digits: str, codes: Mapping[str, Sequence[str]]
) -> list[list[Token]]:
    """Rows of tokens drawn from ``pattern``."""
    rows: list[list[Token]] = [[]]

    def add(characters: str) -> None:
        rows[-1].extend(Token("char", c) for c in characters)

    def pick(characters: str) -> str:
        return characters[int(rng.integers(len(characters)))]

    for sign in split(pattern):
        if sign == "A":
            add(pick(letters))
        elif sign == "0":
            add(pick(digits))
        elif sign == "9":
            add(pick(digits.replace("0", "")))
        elif sign == "X":
            add(pick(letters + digits))
        elif sign == "@":
            rows[-1].append(Token("word", "T"))
        elif sign == "/":
            rows.append([])
        elif sign[0] == "'":
            add(sign[1:-1])
        elif sign[0] == "{":
            words = codes[sign[1:-1]]
            add(words[int(rng.integers(len(words)))])
        else:
            rows[-1].append(Token(_DRAWN[sign]))
    return rows
