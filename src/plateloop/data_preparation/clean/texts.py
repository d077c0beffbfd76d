"""Texts: characters that no text may have, and texts against the grammar of their region's plates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from plateloop.data_preparation.clean.finding import Finding
from plateloop.data_preparation.formats.shapes import plate_text
from plateloop.data_preparation.manifest import Plate, Record
from plateloop.data_preparation.synthetic import grammar
from plateloop.data_preparation.synthetic.style import Style, load_styles

_ALIKE = dict(zip("OQDIBSZG018526", "00018526OIBSZG", strict=True))


def check(record: Record) -> Iterator[Finding]:
    """The faults of the plates' texts, and of the record's own."""
    for index, text in enumerate(record.texts):
        if plate_text(text)[0] != text:
            yield Finding("text-characters", record.file, f"text {index}: {text!r}")
    for index, plate in enumerate(record.plates):
        if plate.text is None:
            continue
        legal, _ = plate_text(plate.text)
        if legal != plate.text:
            yield Finding("text-characters", record.file, f"plate {index}: {plate.text!r}", place=plate.box)
        region = plate.region or record.region
        rules = [rule for part in (region or "").split("/") if (rule := rules_of(part))]
        if legal and rules and not any(rule.fullmatch(legal) for rule in rules):
            near = next((new for new in _swaps(legal) if any(rule.fullmatch(new) for rule in rules)), None)
            hint = f", but {near}" if near else ""
            reason = f"plate {index}: {region} issues no {legal}{hint}"
            # A text that a common confusion explains is more likely a slip than a rare kind of plate.
            yield Finding("text-grammar", record.file, reason, 1.0 if near else 0.5, plate.box)


def mend(record: Record) -> Record:
    """The record with texts as the manifest has them; the source's own is kept as ``raw_text``."""
    return record.model_copy(
        update={
            "plates": tuple(map(_mended, record.plates)),
            "texts": tuple(legal for text in record.texts if (legal := plate_text(text)[0])),
        }
    )


def _mended(plate: Plate) -> Plate:
    if plate.text is None or plate_text(plate.text)[0] == plate.text:
        return plate
    text, raw = plate_text(plate.text)
    return plate.model_copy(update={"text": text, "attributes": {**raw, **plate.attributes}})


@lru_cache(maxsize=256)
def rules_of(region: str) -> re.Pattern[str] | None:
    """The texts that the package's styles of ``region`` allow; None where there is no style of it.

    Codes stand for any of their lengths, since styles list the common ones, not all.
    """
    rules = [_rule(pattern, style) for style in load_styles().values() if style.region == region
             for pattern in style.patterns]  # fmt: skip
    return re.compile("|".join(sorted(set(rules)))) if rules else None


def _rule(pattern: str, style: Style) -> str:
    parts = []
    for sign in grammar.split(pattern):
        if sign == "A":
            parts.append(f"[{style.letters}]")
        elif sign in ("0", "9"):
            parts.append("[0-9]")
        elif sign == "X":
            parts.append(f"[{style.letters}0-9]")
        elif sign == "@":
            parts.append("T")
        elif sign[0] == "'":
            parts.append(re.escape(sign[1:-1]))
        elif sign[0] == "{":
            parts.append(_code(style.codes, sign[1:-1]))
    return "".join(parts)


def _code(codes: Mapping[str, tuple[str, ...]], name: str) -> str:
    """Any word of a code's lengths: letters where its words are letters, else its very words."""
    words = set(codes[name])
    if all(word.isalpha() and word.isascii() for word in words):
        lengths = sorted({len(word) for word in words})
        return "(?:" + "|".join(f"[A-Z]{{{length}}}" for length in lengths) + ")"
    return "(?:" + "|".join(sorted(map(re.escape, words))) + ")"


def _swaps(text: str) -> Iterator[str]:
    """The text with one character, or all O (or all 0), taken for what looks alike."""
    for index, character in enumerate(text):
        if character in _ALIKE:
            yield text[:index] + _ALIKE[character] + text[index + 1 :]
    yield text.replace("O", "0")
    yield text.replace("0", "O")
