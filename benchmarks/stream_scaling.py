"""Streams side by side: total frames/s of 1 stream of 1080p and of 8, and 8 streams at 5 frames/s each.

One and eight take turns, so that a load hits both alike; the ratio is of the medians. Each is a process
of its own. The clip is plateloop's own street.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from plateloop.testing.street import render_clip
from record import save, show


def run(sources: list[str], options: list[str]) -> dict[str, Any]:
    """One ``plateloop test throughput``."""
    command = [sys.executable, "-m", "plateloop", "test", "throughput", *sources, "--json", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="length of the clip")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of a network; 0: one a core")
    args = parser.parse_args()
    options = ["--threads", str(args.threads)]
    one, many = [], []
    with tempfile.TemporaryDirectory() as folder:
        clip = str(render_clip(Path(folder) / "street.mp4", size=(1920, 1080), seconds=args.seconds).video)
        for _ in range(args.rounds):
            one.append(run([clip], options))
            many.append(run([clip] * args.streams, options))
        page = Path(folder) / "page.yaml"
        sources = [{"url": clip, "max_fps": 5, "name": f"gate {n}"} for n in range(1, args.streams + 1)]
        page.write_text(yaml.safe_dump({"sources": sources, "schedule": {"interval": 1}}), encoding="utf-8")
        paced = run([], ["--config", str(page), *options])
    rates = [median(r["frames_per_second"] for r in runs) for runs in (one, many)]
    real_time = args.seconds / paced["seconds"]
    show(
        "1080p",
        ("", "streams", "frames/s in all", "ms of processor a frame", "peak MB"),
        [
            (name, r["sources"], r["frames_per_second"], r["cpu_ms"], r["peak_mb"])
            for name, r in (("one", one[-1]), ("many", many[-1]), ("many, 5 frames/s each", paced))
        ],
    )
    print(f"{args.streams} streams keep {rates[1] / rates[0]:.0%} of the frames/s of one")
    print(f"{args.streams} streams at 5 frames/s each run {real_time:.2f} times as fast as they must")
    results = {
        "streams": args.streams,
        "one": one,
        "many": many,
        "kept": round(rates[1] / rates[0], 4),
        "paced": paced,
        "paced_real_time": round(real_time, 3),
    }
    print("wrote", save("stream_scaling", results))


if __name__ == "__main__":
    main()
