"""How time and memory of manifests grow with their records: written, read, checked, counted, weighed, split.

python benchmarks/data_scale.py [--records 10000 100000 1000000]

The records are made up and have no pictures: what is measured is all but decoding. Each step runs in a
process of its own; its memory is the most that it held, Python and libraries counted.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from plateloop.data_preparation import split
from plateloop.data_preparation.balance import weigh
from plateloop.data_preparation.clean import duplicates
from plateloop.data_preparation.clean.examine import check_record
from plateloop.data_preparation.clean.inspect import Inspection
from plateloop.data_preparation.kinship import gather
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.data_preparation.report import Report
from plateloop.data_preparation.stats import count
from record import save, show

LIMIT = 500


def records(number: int) -> Iterator[Record]:
    """Photographs of one car with a plate; every fifth plate is seen twice, every hundredth box is wrong."""
    rng = random.Random(7)
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    for index in range(number):
        own = random.Random(index // 5 * 5 if index % 5 == 1 else index)
        word = "".join(own.choice(letters) for _ in range(2))
        tail = "".join(own.choice(letters) for _ in range(3))
        x, y = rng.uniform(100, 300), rng.uniform(100, 200)
        right = x + 60 if rng.random() > 0.01 else 1500
        plate = Plate(
            box=(round(x, 1), round(y, 1), round(right, 1), round(y + 14, 1)),
            text=f"{word}{own.randrange(100):02}{tail}",
            region="GB",
            vehicle=0,
            annotation="annotated",
        )
        yield Record(
            file=f"frames/{index // 1000:04}/{index:07}.jpg",
            width=640,
            height=384,
            source=f"camera {index % 40}",
            region="GB",
            split=("train", "train", "train", "val", "test")[index % 5],
            vehicles=(Vehicle(box=(40, 30, 600, 360), label="car"),),
            plates=(plate,),
            sequence=f"{index // 3}" if index % 4 == 0 else None,
        )


def make(folder: Path, number: int) -> None:
    write_manifest(folder, records(number))


def read(folder: Path, number: int) -> None:
    deque(read_manifest(folder), maxlen=0)


def check(folder: Path, number: int) -> None:
    found = Inspection()
    for row, record in enumerate(read_manifest(folder)):
        found.add(row, check_record(record, 10))


def compare(folder: Path, number: int) -> None:
    pictures = duplicates.Pictures()
    rng = random.Random(3)
    for record in read_manifest(folder):
        pictures.add(record, rng.getrandbits(63) + 1, rng.getrandbits(63) + 1)
    deque(duplicates.exact(pictures), maxlen=0)
    deque(duplicates.near(pictures), maxlen=0)


def stats(folder: Path, number: int) -> None:
    count(read_manifest(folder))


def balance(folder: Path, number: int) -> None:
    weigh(read_manifest(folder))


def divide(folder: Path, number: int) -> None:
    # Pictures that are empty files: looked for and opened, no more.
    split.assign(gather(folder, Report()), 0.1, 0.1, 0)


STEPS: dict[str, Callable[[Path, int], None]] = {
    "write": make,
    "read": read,
    "check structure": check,
    "find duplicates": compare,
    "stats": stats,
    "balance": balance,
    "split": divide,
}


def measure(step: str, folder: Path, number: int) -> dict[str, float]:
    """Seconds and most MB held of one step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--records", str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every step at every size, print a table, save the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--step", choices=STEPS, help="only this step, in this process")
    parser.add_argument("--folder", type=Path, help="of the manifest, with --step")
    options = parser.parse_args()
    if options.step:
        began = time.perf_counter()
        STEPS[options.step](options.folder, options.records[0])
        seconds = time.perf_counter() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": round(seconds, 3), "MB": round(most, 1)}))
        return
    results: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number in options.records:
            folder = Path(scratch) / str(number)
            folder.mkdir()
            for step in STEPS:
                if step == "split":
                    for record in read_manifest(folder):
                        path = folder / record.file
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.touch()
                results.setdefault(step, {})[str(number)] = measure(step, folder, number)
    sizes = [str(number) for number in options.records]
    head = ["step", *(f"{size} {unit}" for size in sizes for unit in ("s", "MB"))]
    rows = [
        [step, *(value for size in sizes for value in found[size].values())]
        for step, found in results.items()
    ]
    show("manifests by their number of records", head, rows)
    most = max(found[size]["MB"] for found in results.values() for size in sizes)
    print(f"most memory {most:.0f} MB, limit {LIMIT} MB")
    print(save("data_scale", {"most MB": most, "limit MB": LIMIT, "steps": results}))


if __name__ == "__main__":
    main()
