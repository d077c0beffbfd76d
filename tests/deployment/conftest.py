"""Small videos for the tests of streams, each made by PyAV."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

Writer = Callable[..., Path]


@pytest.fixture
def write_video(tmp_path: Path) -> Writer:
    """``write_video(name, pictures, fps=25, rotate=0, format=None, pix_fmt="yuv420p", options={})``."""

    def write(
        name: str,
        pictures: Iterable[np.ndarray],
        fps: int = 25,
        rotate: int = 0,
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            stream = None
            for number, picture in enumerate(pictures):
                if stream is None:
                    stream = container.add_stream(
                        "libx264", rate=fps, options={"crf": "12", "preset": "ultrafast"}
                    )
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt = pix_fmt
                    stream.time_base = Fraction(1, fps)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts = number
                for packet in stream.encode(frame):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        if rotate:
            _set_rotation(path, rotate)
        return path

    return write


def _set_rotation(path: Path, degrees: int) -> None:
    # The display matrix of the track header: 9 numbers, 36 bytes, from byte 44 of the atom on (version 0).
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = np.array([cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = matrix
    path.write_bytes(bytes(data))


@pytest.fixture(scope="session")
def numbered() -> Callable[..., list[np.ndarray]]:
    """Pictures whose brightness in one corner says their number, with a red block at the top left."""

    def make(count: int, width: int = 160, height: int = 96) -> list[np.ndarray]:
        pictures = []
        for number in range(count):
            picture = np.full((height, width, 3), 60, np.uint8)
            picture[: height // 3, : width // 3] = (200, 30, 30)
            picture[height // 2 :, width // 2 :] = 40 + 3 * number
            pictures.append(picture)
        return pictures

    return make
