"""Texts and styles of synthetic plates."""

from __future__ import annotations

import re

import numpy as np
import pytest

from plateloop.data_preparation.synthetic.grammar import check, sample
from plateloop.data_preparation.synthetic.style import Style, load_styles, weighted
from plateloop.errors import UserError

CLASSES = {"A": "[A-Z]", "0": "[0-9]", "9": "[1-9]", "X": "[A-Z0-9]", "@": "T"}


def expression(pattern: str, style: Style) -> str:
    """A regular expression of a pattern's text, written independently of the sampler."""
    pattern = re.sub(r"\{(\w+)\}", lambda m: "(?:" + "|".join(style.codes[m[1]]) + ")", pattern)
    parts = re.split(r"(\(\?:[^)]*\)|'[^']*')", pattern)
    result = ""
    for part in parts:
        if part.startswith("(?:"):
            result += part
        elif part.startswith("'"):
            result += part.strip("'")
        else:
            result += "".join(CLASSES.get(sign, "") for sign in part)
    return result


@pytest.mark.parametrize("name", sorted(load_styles()))
def test_texts_follow_the_grammar(name: str) -> None:
    style = load_styles()[name]
    rng = np.random.default_rng(1)
    for pattern in style.patterns:
        for _ in range(5):
            rows = sample(rng, pattern, style.letters, style.digits, style.codes)
            assert len(rows) == pattern.count("/") + 1
            text = "".join(t.text for row in rows for t in row)
            assert re.fullmatch(expression(pattern, style), text), (pattern, text)
            assert re.fullmatch("[A-Z0-9]+", text)
            assert len(text) <= 12


def test_letters_of_a_style_are_kept() -> None:
    rng = np.random.default_rng(0)
    row = sample(rng, "A" * 200, "BCD", "0123456789", {})[0]
    assert {t.text for t in row} == {"B", "C", "D"}


@pytest.mark.parametrize("pattern", ["AA?00", "{nowhere}00", "'AB", "aa", "[00/AA", "AA]"])
def test_wrong_patterns_are_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        check(pattern, {"here": ("X",)})


def test_weights_are_followed() -> None:
    rng = np.random.default_rng(0)
    drawn = [weighted(rng, {"a": 3, "b": 1, "c": 0}) for _ in range(2000)]
    assert 0.7 < drawn.count("a") / 2000 < 0.8
    assert "c" not in drawn


def test_a_faulty_style_file_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine.yaml").write_text("- name: x\n  patterns: AA\n  hight: 3\n")
    with pytest.raises(UserError, match=r"mine\.yaml: style x: hight"):
        load_styles(tmp_path)
    (tmp_path / "mine.yaml").write_text("- name: x\n  patterns: AA\n  families: [gothic]\n")
    load_styles.cache_clear()
    with pytest.raises(UserError, match=r"mine\.yaml: style x: .*gothic"):
        load_styles(tmp_path)
    with pytest.raises(UserError, match="no styles"):
        load_styles(tmp_path / "elsewhere")


def test_own_styles_can_be_added(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine.yaml").write_text(
        "- name: x\n  region: XX\n  patterns: {'AA-00': 1}\n  codes: {a: B C}\n"
    )
    style = load_styles(tmp_path)["x"]
    assert style.region == "XX" and style.codes == {"a": ("B", "C")}
