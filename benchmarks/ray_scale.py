"""Steps that read pictures: on one core, on all, and over a Ray cluster of one and two nodes on this machine.

python benchmarks/ray_scale.py [--records 10000 30000] [--steps hash crop clean]

The records show a hundred made-up pictures of 320 × 240 over and over, as files of their own. A node of the
cluster has one core; what a network between machines costs does not show. Each step runs in a process of its
own, which is none of the workers. "CPU seconds" are those of it and of the workers: on a machine with other
work they tell more than those on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cv2
import numpy as np

from plateloop.data_preparation.clean.examine import CleanConfig
from plateloop.data_preparation.clean.inspect import inspect
from plateloop.data_preparation.crop import crop_plates
from plateloop.data_preparation.kinship import gather
from plateloop.data_preparation.manifest import Plate, Record, write_manifest
from plateloop.data_preparation.report import Report
from record import save, show

DISTINCT = 100
WIDTH, HEIGHT = 320, 240
WAYS = {"one core": 0, "all cores": 0, "1 node": 1, "2 nodes": 2}
"""By the nodes of the cluster, 0 for none."""

Tick = Callable[[], None]
STEPS: dict[str, Callable[[Path, Tick, str | None], object]] = {
    "hash": lambda folder, tick, ray: gather(folder, Report(), tick, ray),
    "crop": lambda folder, tick, ray: crop_plates(folder, folder.with_name("crops"), tick=tick, ray=ray),
    "clean": lambda folder, tick, ray: inspect(folder, CleanConfig(), None, None, tick, ray),
}


def make(folder: Path, number: int) -> None:
    """``number`` records with a picture and a plate each."""
    rng = np.random.default_rng(7)
    (folder / "distinct").mkdir(parents=True)
    for index in range(DISTINCT):
        coarse = rng.integers(0, 255, (24, 32, 3), np.uint8)
        picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"distinct/{index}.jpg"), picture)

    def records() -> Iterator[Record]:
        for index in range(number):
            file = f"{index // 1000:04}/{index:07}.jpg"
            (folder / file).parent.mkdir(exist_ok=True)
            os.link(folder / f"distinct/{index % DISTINCT}.jpg", folder / file)
            x, y = 20 + index % 150, 30 + index % 130
            plate = Plate(box=(x, y, x + 90, y + 24), text=f"AB{index:07}")
            yield Record(file=file, width=WIDTH, height=HEIGHT, plates=(plate,))

    write_manifest(folder, records())


def run(step: str, folder: Path, address: str | None, number: int) -> dict[str, float]:
    """Seconds on the clock, seconds that cores worked (workers counted), and the most MB that this process
    and a worker held."""
    done, seen = 0, dict[str, tuple[float, float]]()

    def tick() -> None:
        nonlocal done
        done += 1
        if address is not None and (done % 2000 == 0 or done == number):
            seen.update(workers())

    began = time.perf_counter()
    STEPS[step](folder, tick, address)
    seconds = time.perf_counter() - began
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round(seconds, 2),
        "CPU seconds": round(own.ru_utime + own.ru_stime + sum(cpu for cpu, _ in seen.values()), 2),
        "MB": round(most_mb(Path("/proc/self"))),
        "worker MB": round(max((held for _, held in seen.values()), default=0)),
    }


def most_mb(process: Path) -> float:
    """The most MB that a process held; getrusage would count what its parent held as it was made."""
    lines = (process / "status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def workers() -> Iterator[tuple[str, tuple[float, float]]]:
    """Of each of Ray's workers the seconds that it worked so far, and the most MB that it held."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith((b"ray::_work", b"ray::IDLE")):
                # The name, in brackets, may hold blanks.
                fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                yield process.name, (cpu, most_mb(process))
        except (OSError, StopIteration):
            continue


@contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """The address of a cluster on this machine, of nodes with one core each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    for _ in range(nodes - 1):
        made.add_node(**size)
    try:
        yield made.address
    finally:
        made.shutdown()


def measure(step: str, folder: Path, number: int, way: str, address: str | None) -> dict[str, float]:
    """One step in a process of its own."""
    shutil.rmtree(folder.with_name("crops"), ignore_errors=True)
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--records", str(number)]
    command += ["--address", address] if address else []
    one = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
    command = one + command if way == "one core" else command
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every step at every size in every way, print a table, save the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 30_000])
    parser.add_argument("--steps", choices=STEPS, nargs="+", default=list(STEPS))
    parser.add_argument("--step", choices=STEPS, help="only this step, in this process")
    parser.add_argument("--folder", type=Path, help="of the manifest, with --step")
    parser.add_argument("--address", help="of the cluster, with --step")
    options = parser.parse_args()
    if options.step:
        print(json.dumps(run(options.step, options.folder, options.address, options.records[0])))
        return
    results: dict[str, dict[str, dict[str, dict[str, float]]]] = {step: {} for step in options.steps}
    with tempfile.TemporaryDirectory() as scratch:
        for number in options.records:
            folder = Path(scratch) / str(number) / "pictures"
            make(folder, number)
            for way, nodes in WAYS.items():
                with cluster(nodes) if nodes else nullcontext() as address:
                    for step in options.steps:
                        found = measure(step, folder, number, way, address)
                        results[step].setdefault(str(number), {})[way] = found
            shutil.rmtree(folder.parent)
    rows = [
        [f"{step} {number}, {way}", *found.values()]
        for step, sizes in results.items()
        for number, ways in sizes.items()
        for way, found in ways.items()
    ]
    show("steps by records and way", ["step", "s", "CPU s", "MB", "worker MB"], rows)
    print(save("ray_scale", {"steps": results}))


if __name__ == "__main__":
    main()
