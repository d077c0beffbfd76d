"""Frame: a decoded picture that gives what a network needs. Nothing else converts pixels.

The picture stays in its decoder's own layout, and only what is asked for is converted: planes are cut and
resized first, each by itself, and the small result then turned into RGB. OpenCV does the work outside of
Python's lock, so that threads run side by side.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from plateloop.errors import UserError
from plateloop.geometry import Letterbox, corners_to_boxes
from plateloop.header import read_header
from plateloop.types import FloatArray, Image, IntArray

Matrix = Literal["bt601", "bt709"]
Resize = Literal["letterbox", "stretch"]

MAX_PIXELS = 200_000_000
"""Larger pictures are refused: decoding one takes 3 bytes a pixel, twice that while it is turned upright."""

_SUPERSAMPLING = 8
# Above it what is halved first looks the same.
_HALVED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture of ``width`` × ``height`` pixels; made by `from_rgb`, `from_planes` or `read_image`.

    ``planes`` is one RGB array (H, W, 3), or Y (H, W) with U and V (H/2, W/2), or with interleaved UV
    (H/2, W/2, 2); all uint8. ``to_rgb`` (3, 4) turns (Y, U, V, 1) into RGB; None for RGB planes. All that it
    gives is RGB uint8. The planes lie as the camera does: only what is cut out is turned, by ``turns``
    quarters counterclockwise; ``width`` and ``height`` are those of the upright picture.
    """

    width: int
    height: int
    planes: tuple[Image, ...]
    to_rgb: FloatArray | None = None
    turns: int = 0

    @classmethod
    def from_rgb(cls, picture: Image) -> Frame:
        """A frame over the RGB picture (H, W, 3) uint8, which is kept, not copied."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise ValueError(f"an RGB picture is (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
        return cls(picture.shape[1], picture.shape[0], (picture,))

    @classmethod
    def from_planes(
        cls, y: Image, *chroma: Image, matrix: Matrix = "bt709", full_range: bool = False
    ) -> Frame:
        """A frame over 4:2:0 planes, which are kept, not copied: ``y, u, v`` (yuv420p) or ``y, uv`` (nv12).

        Y is (H, W), U and V ((H+1)//2, (W+1)//2), UV the same with 2 channels. ``matrix`` and ``full_range``
        are the stream's colour matrix and range.
        """
        height, width = y.shape
        half = ((height + 1) // 2, (width + 1) // 2)
        wanted = {1: [(*half, 2)], 2: [half, half]}.get(len(chroma))
        if [plane.shape for plane in chroma] != wanted:
            raise ValueError(f"Y {y.shape} takes U and V {half}, or UV {(*half, 2)}")
        return cls(width, height, (y, *chroma), _yuv_to_rgb(matrix, full_range))

    def rotated(self, turns: int) -> Frame:
        """This picture turned by ``turns`` quarters counterclockwise; its planes are not copied."""
        turns %= 4
        width, height = (self.height, self.width) if turns % 2 else (self.width, self.height)
        if turns and self.to_rgb is not None and (width % 2 or height % 2):
            # The chroma of odd sizes hangs over at one side; turned in place it would lie half a pixel off.
            planes = tuple(np.ascontiguousarray(np.rot90(plane, turns)) for plane in self.planes)
            return replace(self, width=width, height=height, planes=planes)
        return replace(self, width=width, height=height, turns=(self.turns + turns) % 4)

    def luma(self, box: FloatArray) -> FloatArray:
        """The luma in a box (4,), or of an RGB picture its green: (h, w) float32, 0 to 255."""
        limits = np.array([self.width, self.height] * 2)
        x1, y1, x2, y2 = np.clip([*np.floor(box[:2]), *np.ceil(box[2:])], 0, limits).astype(int).tolist()
        x1, y1, x2, y2 = self._stored(x1, y1, x2, y2)
        plane = self.planes[0] if self.planes[0].ndim == 2 else self.planes[0][..., 1]
        return np.asarray(np.rot90(plane[y1:y2, x1:x2], self.turns), np.float32)

    def rgb(self) -> Image:
        """The whole picture (H, W, 3). Of an RGB frame its own array: do not write to it."""
        return self._cut(0, 0, self.width, self.height, self.width, self.height)

    def letterboxed(self, size: tuple[int, int]) -> Image:
        """The whole picture in a canvas of ``size`` (w, h), as `Letterbox` lays it: (h, w, 3)."""
        whole = np.array([[0, 0, self.width, self.height]], np.float32)
        return np.asarray(self.crops(whole, size)[0])

    def aligned(self, boxes: FloatArray) -> IntArray:
        """The boxes (N, 4) that `crops` really cuts for ``boxes``: grown to whole pixels, at least one.

        Even pixels where the chroma planes have half the resolution. Cut off one picture's size outside.
        """
        size = np.array([self.width, self.height] * 2)
        step = 1 if self.to_rgb is None else 2
        limited = np.clip(boxes, -size, 2 * size)
        low = np.floor(limited[:, :2] / step).astype(np.int64)
        high = np.maximum(np.ceil(limited[:, 2:] / step).astype(np.int64), low + 1)
        grown = np.concatenate([low, high], 1) * step
        # The last column and row of an odd picture have chroma of their own: no need to grow beyond them.
        edge = (step == 2) & (grown == size + 1) & (limited <= size)
        edge[:, :2] = False
        return np.where(edge, size, grown)

    def crops(self, boxes: FloatArray, size: tuple[int, int], resize: Resize = "letterbox") -> Image:
        """What lies in ``boxes`` (N, 4), made to fit ``size`` (w, h): (N, h, w, 3).

        The boxes cut are `aligned`; outside of the picture is black. ``letterbox`` keeps the aspect and pads
        black at right and bottom (map back with `Letterbox` of the aligned box), ``stretch`` fills.
        """
        width, height = size
        canvas = np.zeros((len(boxes), height, width, 3), np.uint8)
        for target, (x1, y1, x2, y2) in zip(canvas, self.aligned(boxes).tolist(), strict=True):
            w, h = Letterbox((x2 - x1, y2 - y1), size).size if resize == "letterbox" else size
            target[:h, :w] = self._cut(x1, y1, x2, y2, w, h)
        return canvas

    def rectified(self, corners: FloatArray, size: tuple[int, int]) -> Image:
        """Quadrilaterals ``corners`` (N, 4, 2) seen from straight ahead, in ``size`` (w, h): (N, h, w, 3).

        Corners go clockwise from the one that becomes the top left; outside of the picture is black. Plates
        larger than ``size`` are averaged down, not skipped through.
        """
        width, height = size
        canvas = np.zeros((len(corners), height, width, 3), np.uint8)
        regions = self.aligned(corners_to_boxes(corners) + np.array([-2, -2, 2, 2], np.float32))
        regions = np.clip(regions, 0, [self.width, self.height] * 2)
        sides = np.linalg.norm(corners - np.roll(corners, -1, 1), axis=-1)
        ratios = sides.reshape(-1, 2, 2).max(1) / [width, height]
        for target, quad, ratio, (x1, y1, x2, y2) in zip(
            canvas, corners, ratios, regions.tolist(), strict=True
        ):
            if x1 >= x2 or y1 >= y2:
                continue
            # What is too fine along both axes is scaled down before; the rest is supersampled.
            coarser = max(1, int(ratio.min()))
            region_size = np.array([-(-(x2 - x1) // coarser), -(-(y2 - y1) // coarser)])
            region = self._cut(x1, y1, x2, y2, *region_size.tolist())
            factor = min(_SUPERSAMPLING, max(1, ceil(ratio.max() / coarser)))
            w, h = width * factor, height * factor
            # OpenCV counts from pixel centres, we count from pixel edges: half a pixel between.
            square = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32) - 0.5
            placed = (quad - (x1, y1)) * region_size / (x2 - x1, y2 - y1) - 0.5
            matrix = cv2.getPerspectiveTransform(square, placed.astype(np.float32))
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            plate = np.asarray(cv2.warpPerspective(region, matrix, (w, h), flags=flags), np.uint8)
            target[:] = _resized(plate, width, height)
        return canvas

    def _cut(self, x1: int, y1: int, x2: int, y2: int, width: int, height: int) -> Image:
        """The aligned box as RGB, resized to ``width`` × ``height``; black outside of the picture."""
        parts = []
        x1, y1, x2, y2 = self._stored(x1, y1, x2, y2)
        if self.turns % 2:
            width, height = height, width
        for index, plane in enumerate(self.planes):
            step = 1 if index == 0 else 2
            box = (x1 // step, y1 // step, (x2 + step - 1) // step, (y2 + step - 1) // step)
            parts.append(_resized(_padded(plane, box, self._black(index)), width, height))
        part = parts[0] if self.to_rgb is None else cv2.transform(cv2.merge(parts), self.to_rgb)
        return np.ascontiguousarray(np.rot90(part, self.turns)) if self.turns else np.asarray(part, np.uint8)

    def _stored(self, x1: int, y1: int, x2: int, y2: int) -> tuple[int, int, int, int]:
        """Where a box of the upright picture lies in the planes."""
        width, height = self.width, self.height
        return (
            (x1, y1, x2, y2),
            (height - y2, x1, height - y1, x2),
            (width - x2, height - y2, width - x1, height - y1),
            (y1, width - x2, y2, width - x1),
        )[self.turns]

    def _black(self, plane: int) -> int:
        if self.to_rgb is None:
            return 0
        # The luma of black is 16 in limited range: where the first row of the matrix gives zero.
        return (
            128 if plane else round(float(-(self.to_rgb[0, 3] + 128 * self.to_rgb[0, 2]) / self.to_rgb[0, 0]))
        )


def _yuv_to_rgb(matrix: Matrix, full_range: bool) -> FloatArray:
    """The (3, 4) map from (Y, U, V, 1), 0..255, to RGB. ITU-R BT.601-7 and BT.709-6, section 3."""
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[matrix]
    green = 1 - red - blue
    to_rgb = np.array(
        [
            [1, 0, 2 * (1 - red)],
            [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1, 2 * (1 - blue), 0],
        ]
    )
    if not full_range:
        to_rgb *= [255 / 219, 255 / 224, 255 / 224]
    offset = to_rgb @ [0 if full_range else 16, 128, 128]
    return np.concatenate([to_rgb, -offset[:, None]], 1).astype(np.float32)


def _resized(plane: Image, width: int, height: int) -> Image:
    """Axes that shrink are averaged, axes that grow interpolated."""
    small = (min(width, plane.shape[1]), min(height, plane.shape[0]))
    if small != plane.shape[1::-1]:
        # OpenCV averages pairs many at once, a broken ratio value by value: halves first, five times faster.
        while not (plane.shape[0] % 2 or plane.shape[1] % 2) and _ratio(plane, small) >= _HALVED:
            half = (plane.shape[1] // 2, plane.shape[0] // 2)
            plane = cv2.resize(plane, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        plane = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if small != (width, height):
        plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return plane


def _ratio(plane: Image, size: tuple[int, int]) -> float:
    return float(min(plane.shape[1] / size[0], plane.shape[0] / size[1]))


def _padded(plane: Image, box: tuple[int, int, int, int], black: int) -> Image:
    """The part of ``plane`` in ``box``; a view where the box lies inside."""
    x1, y1, x2, y2 = box
    height, width = plane.shape[:2]
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    if (left, top, right, bottom) == box:
        return plane[y1:y2, x1:x2]
    if left >= right or top >= bottom:
        return np.full((y2 - y1, x2 - x1, *plane.shape[2:]), black, np.uint8)
    padding = (top - y1, y2 - bottom, left - x1, x2 - right)
    part: Any = plane[top:bottom, left:right]
    return np.asarray(cv2.copyMakeBorder(part, *padding, cv2.BORDER_CONSTANT, value=[black] * 4), np.uint8)


def read_image(path: Path | str) -> Frame:
    """Read a picture file (JPEG, PNG, WebP, BMP, TIFF and what else OpenCV reads), upright by its EXIF.

    16-bit pictures are scaled to 8, gray and palette ones expanded, CMYK converted, transparency dropped. A
    cut-off file is refused, not filled with gray.

    Raises UserError naming the file where it is missing, empty, no picture, damaged or above `MAX_PIXELS`.
    """
    path = Path(path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path}: a pipe or device, not a file")  # a pipe would be waited for
        header = read_header(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise UserError(f"{path}: the file is empty") from None
    if header.width * header.height > MAX_PIXELS:
        size, limit = f"{header.width}×{header.height}", MAX_PIXELS // 1_000_000
        raise UserError(f"{path}: {size} is above the limit of {limit} megapixels; scale it down")
    picture = _decoded(path) if header.whole else None
    if picture is None:
        known = not _has_utf8_name(path) or cv2.haveImageReader(str(path))
        fault = "damaged, cut off or of an unsupported kind" if known else "not a picture that can be read"
        raise UserError(f"{path}: {fault}")
    return Frame.from_rgb(picture)


def _decoded(path: Path) -> Image | None:
    # With a place to decode to, OpenCV does not copy the picture once more, which halves the memory; but it
    # then refuses TIFFs that lie on their side (5.0.0), so that a second way is needed.
    with suppress(cv2.error):
        picture = cv2.imread(str(path), None, cv2.IMREAD_COLOR_RGB) if _has_utf8_name(path) else None
        if picture is None:
            picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
        if picture is not None:
            return np.asarray(picture, np.uint8)
    return None


def _has_utf8_name(path: Path) -> bool:
    # OpenCV (5.0.0) crashes on any other name.
    return str(path).encode(errors="replace").decode() == str(path)
