"""Where the time of ``plateloop run`` goes: by stage of the engine and by network, for several intervals."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from plateloop.deployment.capture import frames
from plateloop.deployment.config import load_config
from plateloop.deployment.launch import launch
from plateloop.deployment.sources import SourceConfig
from record import save, show, street_clip


def decoding(clip: Path) -> float:
    """Processor milliseconds of decoding a frame, by itself."""
    begun = time.process_time()
    count = sum(1 for _ in frames(SourceConfig(url=str(clip)), threading.Event()))
    return 1e3 * (time.process_time() - begun) / max(1, count)


def profile(clip: Path, options: dict[str, dict[str, object]]) -> dict[str, float]:
    """Milliseconds a frame of wall clock by stage, the whole and the processor's; frames/s; plates read."""
    with launch(load_config(None, [str(clip)], options)) as run:
        begun, busy = time.perf_counter(), time.process_time()
        run.pipeline.run()
        wall, processor = time.perf_counter() - begun, time.process_time() - busy
        report = run.pipeline.reports[0]
        stages = {**run.pipeline.seconds, **{f"  {k}": v for k, v in run.cascade.seconds.items()}}
    result = {name: 1e3 * seconds / report.frames for name, seconds in sorted(stages.items())}
    result |= {"whole": 1e3 * wall / report.frames, "processor": 1e3 * processor / report.frames}
    return result | {"frames/s": report.frames / wall, "plates read": report.plates}


def main() -> None:
    """Print a column for each interval."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "clip", nargs="?", type=Path, help="a video; one is made of the shared clips otherwise"
    )
    parser.add_argument("--intervals", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--overlay", action="store_true", help="also draw and encode")
    parser.add_argument("--weights", type=Path, help="folder of cards; the package's otherwise")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or street_clip(Path(folder))
        columns = {
            f"every {interval}": profile(
                clip,
                {
                    "networks": {"threads": args.threads, "weights": args.weights},
                    "schedule": {"interval": interval},
                    "output": {"overlay": args.overlay, "folder": Path(folder) / "out"},
                },
            )
            for interval in args.intervals
        }
        print(f"decoding alone: {decoding(clip):.1f} ms of processor a frame")
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = [(name, *(column.get(name, 0.0) for column in columns.values())) for name in names]
    show("Milliseconds a frame", ("stage", *columns), rows)
    print("wrote", save("run_profile", {"columns": columns}))


if __name__ == "__main__":
    main()
