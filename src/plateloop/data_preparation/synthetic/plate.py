"""PlateImage: a picture of one plate and all that is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from plateloop.geometry import project
from plateloop.types import FloatArray, Image


@dataclass(frozen=True, slots=True)
class PlateImage:
    """A synthetic plate.

    ``image`` is RGB uint8 (H, W, 3); ``corners`` (4, 2) float32 are the plate's own corners in its pixels,
    clockwise from the plate's top left; ``text`` is A-Z and 0-9 in reading order; ``char_corners`` (L, 4, 2)
    surround the ink of each character of ``text``, ``char_rows`` (L entries) says in which of the ``rows``
    (1 or 2) it stands, 0 the upper. ``region`` is an ISO 3166 code, None for a made-up style.
    """

    image: Image
    corners: FloatArray
    text: str
    region: str | None
    rows: int
    char_corners: FloatArray
    char_rows: tuple[int, ...]
    style: str = ""

    def with_image(self, image: Image) -> PlateImage:
        """The same plate with other pixels."""
        return replace(self, image=image)

    def warped(
        self, matrix: FloatArray, size: tuple[int, int], background: Image | None = None
    ) -> PlateImage:
        """The plate mapped by the 3×3 projective ``matrix`` into a picture of ``size`` (width, height).

        Where the source does not reach, ``background`` (H, W, 3) shows, or else the source's edge is
        continued.
        """
        flags = cv2.INTER_LINEAR
        if background is None:
            image = cv2.warpPerspective(
                self.image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        else:
            image = cv2.warpPerspective(
                self.image, matrix, size, background.copy(), flags, cv2.BORDER_TRANSPARENT
            )
        return replace(
            self,
            image=np.asarray(image, np.uint8),
            corners=project(matrix, self.corners),
            char_corners=project(matrix, self.char_corners),
        )
