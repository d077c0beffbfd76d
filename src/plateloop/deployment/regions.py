"""Regions of interest: polygons in shares of the picture's width and height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from plateloop.types import FloatArray

Share = Annotated[float, Field(ge=0, le=1)]
Polygon = Annotated[tuple[tuple[Share, Share], ...], Field(min_length=3)]

WHOLE: tuple[Polygon, ...] = (((0, 0), (1, 0), (1, 1), (0, 1)),)


def inside(
    points: NDArray[np.floating], regions: Sequence[Polygon], width: int, height: int
) -> NDArray[np.bool_]:
    """Whether points (N, 2) in pixels lie in one of the regions, borders included; without regions all do."""
    if not regions:
        return np.ones(len(points), bool)
    # A vehicle may reach a little beyond the picture, a region cannot.
    shares = np.clip(points / np.array([width, height]), 0, 1).astype(np.float32).tolist()
    polygons = [np.array(polygon, np.float32) for polygon in regions]
    found = [any(cv2.pointPolygonTest(p, (x, y), False) >= 0 for p in polygons) for x, y in shares]
    return np.array(found, bool)


def bounds(regions: Sequence[Polygon], width: int, height: int) -> FloatArray:
    """The box (1, 4) in pixels around all regions; without regions the picture."""
    corners = np.concatenate([np.array(polygon) for polygon in regions or WHOLE])
    box = np.concatenate([corners.min(0), corners.max(0)])
    return np.array([box * ([width, height] * 2)], np.float32)
