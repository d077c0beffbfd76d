"""What annotated video costs: processor seconds of ``plateloop run`` on two streams of 1080p, by its outputs.

All take turns, each is a process of its own; what its RTSP server uses counts with it, its client does not.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import av

from record import save, show, street_clip

NOTHING = "events only"


def run(sources: list[Path], folder: Path, options: list[str]) -> float:
    """Processor seconds of one run."""
    command = [sys.executable, "-m", "plateloop", "run", *map(str, sources), "--out", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: {' '.join(command)}")
    return used.ru_utime + used.ru_stime


def watch(url: str, over: threading.Event) -> None:
    """Take what is served at ``url``, without decoding it, from when it is there until it ends."""
    while not over.is_set():
        with suppress(av.error.FFmpegError, OSError), av.open(url, timeout=10) as container:
            for _ in container.demux():
                pass
        time.sleep(0.1)


def pictures(folder: Path) -> int:
    """How many pictures the tiled video holds."""
    with av.open(str(folder / "tiled.mp4")) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def main() -> None:
    """Print a row for each output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=150, help="of each of the two streams")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}/plates"
    outputs = {
        NOTHING: ["--no-overlay"],
        "an MP4 of each": [],
        "tiled MP4": ["--tiled"],
        "tiled MP4 and RTSP": ["--tiled", "--rtsp-out", place],
    }
    seconds: dict[str, list[float]] = {name: [] for name in outputs}
    counts: dict[str, list[int]] = {name: [] for name in outputs}
    over = threading.Event()
    client = threading.Thread(target=watch, args=(f"rtsp://{place}", over), daemon=True)
    client.start()
    with tempfile.TemporaryDirectory() as folder:
        clip = street_clip(Path(folder), args.frames)
        for number in range(args.rounds):
            for name, options in outputs.items():
                out = Path(folder) / f"{name}-{number}"
                seconds[name].append(run([clip, clip], out, options))
                counts[name].append(
                    pictures(out) if "--tiled" in options else 2 * args.frames * (not options)
                )
    over.set()
    without = median(seconds[NOTHING])
    rows = {
        name: {
            "seconds": median(values),
            "ratio": median(values) / without,
            "pictures": median(counts[name]),
            "ms_a_picture": 1e3 * (median(values) - without) / (median(counts[name]) or 1),
        }
        for name, values in seconds.items()
    }
    head = ("output", "processor seconds", "times", "pictures", "ms of processor a picture")
    show("Two streams of 1080p", head, [(name, *row.values()) for name, row in rows.items()])
    print("wrote", save("outputs", {"frames": args.frames, "rounds": seconds, "outputs": rows}))


if __name__ == "__main__":
    main()
