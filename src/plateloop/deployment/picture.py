"""A picture as the decoder gives it, and as the networks take it."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from plateloop.frame import Frame, Matrix


def to_frame(picture: VideoFrame) -> Frame:
    """A decoded picture as a Frame over the decoder's own planes, upright by its display matrix.

    4:2:0 of 8 bits is taken as it is; other layouts are turned into it first.
    """
    if picture.format.name not in ("yuv420p", "yuvj420p", "nv12"):
        picture = picture.reformat(format="yuv420p")
    planes = []
    for plane, channels in zip(
        picture.planes, (1, 2) if picture.format.name == "nv12" else (1, 1, 1), strict=True
    ):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows = rows[:, : plane.width * channels]
        planes.append(rows.reshape(plane.height, plane.width, 2) if channels == 2 else rows)
    full = picture.format.name == "yuvj420p" or picture.color_range == ColorRange.JPEG
    frame = Frame.from_planes(*planes, matrix=_matrix(picture), full_range=full)
    return frame.rotated(round(picture.rotation / 90))


def _matrix(picture: VideoFrame) -> Matrix:
    if picture.colorspace == 2:
        # Unspecified: players go by its size.
        return "bt709" if picture.height >= 720 else "bt601"
    return "bt709" if picture.colorspace == Colorspace.ITU709 else "bt601"
