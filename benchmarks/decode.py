"""Decoding: frames/s of a plateloop source (YUV planes by PyAV) beside OpenCV's VideoCapture (BGR pictures).

The same 1080p clip, one decoder thread each; then with each frame brought to tcnet's input (640×384,
letterboxed RGB), which is what a frame is decoded for. The ways take turns, the best of three runs counts.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from plateloop.deployment.capture import frames
from plateloop.deployment.sources import SourceConfig
from record import save, show, street_clip

SIZE = (640, 384)


def ours(clip: Path, threads: int) -> Iterator[Any]:
    """Frames of plateloop's own source."""
    config = SourceConfig(url=str(clip), threads=threads)
    return (shot.frame for shot in frames(config, threading.Event()))


def opencv(clip: Path, threads: int) -> Iterator[Any]:
    """BGR arrays of OpenCV's VideoCapture."""
    capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    while True:
        ok, picture = capture.read()
        if not ok:
            return
        yield picture


def letterboxed(picture: Any) -> Any:
    """A BGR array in tcnet's input, as one does it with OpenCV."""
    scale = min(SIZE[0] / picture.shape[1], SIZE[1] / picture.shape[0])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    canvas = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    canvas[: size[1], : size[0]] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return canvas


def rate(source: Iterator[Any], use: Callable[[Any], Any]) -> tuple[float, float, int]:
    """Frames/s and CPU seconds a frame of going through ``source`` and ``use`` each frame, and the count."""
    started, busy, count = time.perf_counter(), time.process_time(), 0
    for picture in source:
        use(picture)
        count += 1
    return count / (time.perf_counter() - started), (time.process_time() - busy) / count, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "clip", nargs="?", type=Path, help="a video; one is made of the shared clips otherwise"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of either decoder")
    parser.add_argument("--frames", type=int, default=400, help="length of the clip that is made")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    ways: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "plateloop, YUV planes": (ours, lambda frame: frame),
        "OpenCV, BGR picture": (opencv, lambda picture: picture),
        "plateloop, to tcnet's input": (ours, lambda frame: frame.letterboxed(SIZE)),
        "OpenCV, to tcnet's input": (opencv, letterboxed),
    }
    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or street_clip(Path(folder), args.frames)
        runs: dict[str, list[tuple[float, float, int]]] = {name: [] for name in ways}
        for _ in range(3):
            for name, (source, use) in ways.items():
                runs[name].append(rate(source(clip, args.threads), use))
    best = {name: max(results) for name, results in runs.items()}
    show(
        f"Decoding {next(iter(best.values()))[2]} frames of 1080p H.264, {args.threads} decoder thread",
        ("way", "frames/s", "CPU ms/frame"),
        [(name, fps, 1000 * busy) for name, (fps, busy, _) in best.items()],
    )
    ways_json = {
        n: {"fps": round(f, 1), "cpu_ms": round(1000 * c, 2), "frames": k} for n, (f, c, k) in best.items()
    }
    print("wrote", save("decode", {"threads": args.threads, "ways": ways_json}))


if __name__ == "__main__":
    main()
