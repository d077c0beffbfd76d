"""Streams side by side: total frames/s of 1 stream of 1080p and of 8, and 8 streams at 5 frames/s each.

The latter with vehicles detected in every processed frame, and by the default schedule. All take turns, so
that a load hits them alike; the table shows each one's median round. Each is a process of its own. The clip
is plateloop's own street.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from plateloop.testing.street import render_clip
from record import save, show

FPS = 5
PACED: dict[str, dict[str, Any]] = {
    "paced, every frame": {"schedule": {"interval": 1}},
    "paced, default schedule": {},
}


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
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    args = parser.parse_args()
    options = ["--threads", str(args.threads)]
    size = args.width, args.height
    runs: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = str(render_clip(Path(folder) / "street.mp4", size=size, seconds=args.seconds).video)
        commands = {"one": [clip], "many": [clip] * args.streams}
        sources = [{"url": clip, "max_fps": FPS, "name": f"gate {n}"} for n in range(1, args.streams + 1)]
        for name, schedule in PACED.items():
            page = Path(folder) / f"{name}.yaml"
            page.write_text(yaml.safe_dump({"sources": sources, **schedule}), encoding="utf-8")
            commands[name] = ["--config", str(page)]
        for _ in range(args.rounds):
            for name, command in commands.items():
                runs.setdefault(name, []).append(run(command, options))
    middle = {
        name: sorted(done, key=lambda r: r["frames_per_second"])[len(done) // 2]
        for name, done in runs.items()
    }
    kept = middle["many"]["frames_per_second"] / middle["one"]["frames_per_second"]
    real_time = {name: args.seconds / middle[name]["seconds"] for name in PACED}
    show(
        f"{args.width} × {args.height}, the median of {args.rounds}",
        ("", "streams", "frames/s in all", "ms of processor a frame", "peak MB"),
        [
            (name, *(r[k] for k in ("sources", "frames_per_second", "cpu_ms", "peak_mb")))
            for name, r in middle.items()
        ],
    )
    print(f"{args.streams} streams keep {kept:.0%} of the frames/s of one (wanted: 90 %)")
    for name, times in real_time.items():
        print(
            f"{args.streams} streams at {FPS} frames/s each, {name}: {times:.2f} times as fast as they must"
        )
    results = {
        "streams": args.streams,
        "size": size,
        "seconds": args.seconds,
        "kept": round(kept, 4),
        "real_time": {name: round(times, 3) for name, times in real_time.items()},
        "runs": runs,
    }
    print("wrote", save("stream_scaling", results))


if __name__ == "__main__":
    main()
