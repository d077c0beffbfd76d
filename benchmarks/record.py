"""What every benchmark shares: the machine it ran on, its table, its JSON, and the clip it runs on."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
from rich.console import Console
from rich.table import Table

from plateloop.data_preparation.formats.collection import unpack

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SHARED = Path(os.environ.get("PLATELOOP_SHARED", ROOT.parent / "shared" / "data"))

LOAD = round(os.getloadavg()[0], 2)
"""Runnable processes over the last minute, as the benchmark starts: above 0.5 others disturb it."""


def machine() -> dict[str, Any]:
    """The processor, the cores this process may use, and the versions that set the pace."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": LOAD,
        "python": platform.python_version(),
        "versions": {
            name: version(name) for name in ("plateloop", "onnxruntime", "opencv-python-headless", "av")
        },
    }


def save(name: str, results: dict[str, Any]) -> Path:
    """Write ``results`` with date and machine as ``benchmarks/results/NAME.json``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    data = {"benchmark": name, "date": stamp, "machine": machine(), **results}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; the first column is text, the others are figures."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(head):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console().print(table)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def shared(name: str) -> Path:
    """The file or folder ``name`` of the shared data; leaves with a message where it is absent."""
    path = SHARED / name
    if not path.exists():
        sys.exit(f"{path}: not there; set PLATELOOP_SHARED to the folder of the shared data")
    return path


def collection() -> Path:
    """The shared data as manifest datasets, unpacked once into the temporary folder."""
    folder = Path(tempfile.gettempdir()) / f"plateloop-benchmarks-{os.getuid()}"
    if not (folder / "complete").exists():
        unpack(shared("."), folder)
        (folder / "complete").touch()
    return folder


def street_clip(folder: Path, frames: int = 600) -> Path:
    """A 1080p H.264 clip in ``folder`` with a vehicle in every frame.

    A car driving up to a gate, from the shared clips, scaled up and played over and over.
    """
    source, target = shared("clips/Hamza-Bubere-43.mov"), folder / "street-1080p.mp4"
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        pictures = list(reader.decode(video=0))
        options = {"preset": "veryfast", "crf": "20"}
        stream = writer.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number in range(frames):
            # There and back, so that the car never jumps.
            phase = number % (2 * len(pictures) - 2)
            small = pictures[min(phase, 2 * len(pictures) - 2 - phase)]
            picture = small.reformat(1920, 1080, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            writer.mux(stream.encode(picture))
        writer.mux(stream.encode(None))
    return target
