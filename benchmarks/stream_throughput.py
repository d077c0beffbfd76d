"""Streams: frames/s of the whole pipeline on a 1080p clip with a vehicle in every frame, overlay off.

In a process of its own, so that the peak memory is the pipeline's; the best of three runs counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from record import save, show, street_clip


def run(clip: Path, arguments: list[str]) -> dict[str, object]:
    """One ``plateloop test throughput`` of ``clip``."""
    command = [sys.executable, "-m", "plateloop", "test", "throughput", str(clip), "--json", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "clip", nargs="?", type=Path, help="a video; one is made of the shared clips otherwise"
    )
    parser.add_argument("--frames", type=int, default=600, help="length of the clip that is made")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of a network; 0: one a core")
    parser.add_argument("--weights", help="folder of cards; the package's otherwise")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    options = ["--threads", str(args.threads), *(["--weights", args.weights] if args.weights else [])]
    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or street_clip(Path(folder), args.frames)
        runs = [run(clip, options) for _ in range(args.runs)]
    best = max(runs, key=lambda result: result["frames_per_second"])
    whole = 1000 / best["frames_per_second"]
    stages = sorted(best["stage_ms"].items(), key=lambda item: -item[1])
    show(
        "Stages of the engine, a frame",
        ("stage", "ms", "share"),
        [(n, v, f"{v / whole:.0%}") for n, v in stages],
    )
    print(
        f"{best['frames_per_second']} frames/s over {best['frames']} frames of 1080p; "
        f"{best['cpu_ms']} ms of processor a frame on {os.cpu_count()} cores; "
        f"peak memory {best['peak_mb']} MB; {best['vehicles']} vehicles, {best['plates']} plates read"
    )
    print(
        "wrote",
        save(
            "stream_throughput", {"best": best, "frames_per_second": [r["frames_per_second"] for r in runs]}
        ),
    )


if __name__ == "__main__":
    main()
