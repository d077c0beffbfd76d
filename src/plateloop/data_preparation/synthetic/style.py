"""Styles: what the plates of one country or kind look like, as data.

The package's styles lie in ``styles/*.yaml``; ``load_styles`` reads others in the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from plateloop.data_preparation.synthetic.glyphs import FAMILIES, LOCAL_FAMILIES
from plateloop.data_preparation.synthetic.grammar import check
from plateloop.errors import UserError, one_line
from plateloop.files import read_yaml

Range = tuple[float, float]
Weights = dict[str, float]
FOLDER = Path(__file__).parent / "styles"


class Style(BaseModel):
    """One kind of number plate. Mappings give choices and their weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="the style's name, unique")
    region: str | None = Field(None, description="ISO 3166 code of the country; none for made-up plates")
    weight: float = Field(1.0, ge=0, description="how often the style is drawn, relative to the others")
    patterns: Weights = Field(description="texts, in the signs of grammar.py")
    letters: str = Field("ABCDEFGHIJKLMNOPQRSTUVWXYZ", description="what `A` may be")
    digits: str = Field("0123456789", description="what `0` may be")
    codes: dict[str, tuple[str, ...]] = Field({}, description="words for `{name}` in a pattern")
    colors: Weights = Field({"white/black": 1}, description="`ground/characters`, names of colors.py")
    sizes: Weights = Field({"520x110": 1}, description="width x height in mm of plates with one row")
    two_row_sizes: Weights = Field({"340x200": 1}, description="the same with two rows")
    height: Range = Field((0.6, 0.74), description="characters' height / plate's, one row")
    two_row_heights: tuple[Range, Range] = Field(
        ((0.34, 0.4), (0.34, 0.42)), description="the same, upper and lower row"
    )
    aspect: Range = Field((0.46, 0.62), description="a character's width / height")
    tracking: Range = Field((0.08, 0.2), description="gap between characters / height")
    gap: Range = Field((0.25, 0.55), description="width of a group gap / height")
    fill: Range = Field((0.8, 0.97), description="share of the free width that a row takes if it can")
    families: tuple[str, ...] = Field(FAMILIES, description="families of drawn letterforms, of glyphs.py")
    fonts: float = Field(0.4, ge=0, le=1, description="probability of a font instead of a drawn face")
    letter_scale: float = Field(1.0, description="height of letters / height of digits")
    boxed: str = Field(
        "", description="small print below characters in a box; none: they stand at middle height"
    )
    divider: float = Field(0.0, ge=0, le=1, description="probability of a short line between two rows")
    border: float = Field(0.7, ge=0, le=1, description="probability of a border line")
    emboss: float = Field(0.6, ge=0, le=1, description="probability of raised characters")
    halo: float = Field(0.015, ge=0, le=1, description="probability of outlined or shadowed characters")
    rounded: Range = Field((0.03, 0.12), description="radius of the plate's corners / height")
    ground: Weights = Field({"plain": 1}, description="kinds of ground of ground.py")
    left: Weights = Field({"none": 1}, description="strip at the left: `kind text` of strips.py")
    right: Weights = Field({"none": 1}, description="strip at the right")
    top: Weights = Field({"none": 1}, description="small print or bar above the characters")
    bottom: Weights = Field({"none": 1}, description="small print or bar below")
    words: tuple[str, ...] = Field((), description="what the small print says; empty: made-up words")
    emblem: Weights = Field({"seal": 1}, description="what stands for `*`, kinds of emblems.py")
    stickers: float = Field(0.0, ge=0, le=1, description="probability of stickers in the corners")
    screws: float = Field(0.35, ge=0, le=1, description="probability of visible screws or holes")

    @field_validator("codes", mode="before")
    @classmethod
    def _codes(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {k: tuple(v.split()) if isinstance(v, str) else v for k, v in value.items()}

    @field_validator("words", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return tuple(w.strip() for w in value.split(",")) if isinstance(value, str) else value

    @field_validator(
        "patterns", "colors", "sizes", "two_row_sizes", "ground", "left", "right", "top", "bottom", "emblem",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _weights(cls, value: Any) -> Any:
        return {value: 1.0} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Style:
        for pattern in self.patterns:
            check(pattern, self.codes)
        if unknown := set(self.families) - {*FAMILIES, *LOCAL_FAMILIES}:
            raise ValueError(f"no family of letterforms named {', '.join(sorted(unknown))}")
        return self


def weighted(rng: np.random.Generator, choices: Mapping[str, float]) -> str:
    """One key of ``choices``, drawn by weight."""
    keys = list(choices)
    if len(keys) == 1:
        return keys[0]
    edges = np.cumsum(list(choices.values()))
    return keys[int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))]


@lru_cache(maxsize=8)
def load_styles(folder: Path = FOLDER) -> dict[str, Style]:
    """The styles of all ``*.yaml`` in ``folder`` (each a list of styles) by name.

    Raises UserError for a file that holds no styles, naming it and the fault.
    """
    styles: dict[str, Style] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            for row in read_yaml(path):
                style = Style.model_validate(row)
                styles[style.name] = style
        except ValidationError as error:
            raise UserError(f"{path}: style {row.get('name')}: {one_line(error)}") from None
        except (yaml.YAMLError, TypeError) as error:
            raise UserError(f"{path}: no list of styles: {one_line(error)}") from None
    if not styles:
        raise UserError(f"{folder}: no styles (*.yaml) there")
    return styles
