"""Reading stills: ms per 1080p picture with the share of each stage, and per plate crop beside RapidOCR.

RapidOCR (Apache-2.0, a general text reader whose PP-OCR networks come inside its package) reads the same
crops in the same run: its recogniser alone, which expects one line where lprnet expects one plate, and on
every twentieth crop its detector and recogniser together. Of its texts only A-Z and 0-9 are judged.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from plateloop import Cascade, Frame, read_image
from plateloop.data_preparation.manifest import read_manifest
from record import collection, save, show

# Sequences of plates a few pixels high, for fusion over frames: no single crop of them can be read.
LEFT_OUT = {"RLPR_KR_noHangul"}


def stills(folder: Path, count: int) -> list[Path]:
    """Photographs of the shared stills as 1920×1080 JPEGs in ``folder``."""
    source = collection() / "stills"
    paths = []
    for record in list(read_manifest(source))[:count]:
        picture = read_image(source / record.file).rgb()
        scale = max(1920 / picture.shape[1], 1080 / picture.shape[0])
        large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        top, left = (large.shape[0] - 1080) // 2, (large.shape[1] - 1920) // 2
        cut = cv2.cvtColor(large[top : top + 1080, left : left + 1920], cv2.COLOR_RGB2BGR)
        paths.append(folder / f"{len(paths)}.jpg")
        cv2.imwrite(str(paths[-1]), cut, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def measure_stills(cascade: Cascade, paths: list[Path]) -> dict[str, Any]:
    """ms per still in all, per stage, and how many plates were read."""
    cascade([read_image(paths[0])])
    cascade.seconds.clear()
    times, decoding, plates = [], 0.0, 0
    for path in paths:
        started = time.perf_counter()
        frame = read_image(path)
        decoding += time.perf_counter() - started
        (scene,) = cascade([frame])
        times.append(1000 * (time.perf_counter() - started))
        plates += sum(reading is not None and bool(reading.text) for reading in scene.plates.readings)
    stages = {"JPEG decoding": decoding} | dict(cascade.seconds)
    return {
        "stills": len(paths),
        "plates_read": plates,
        "ms_mean": round(float(np.mean(times)), 1),
        "ms_median": round(float(np.median(times)), 1),
        "ms_p95": round(float(np.quantile(times, 0.95)), 1),
        "stage_ms": {name: round(1000 * seconds / len(paths), 2) for name, seconds in stages.items()},
    }


def rapidocr(threads: int) -> tuple[Callable[[Any], str], Callable[[Any], str]]:
    """RapidOCR's recogniser alone, and its detector with the recogniser: BGR picture → text."""
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={
            "Global.log_level": "error",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads or -1,
        }
    )

    def reader(detect: bool) -> Callable[[Any], str]:
        def read(picture: Any) -> str:
            result = engine(picture, use_det=detect, use_cls=False, use_rec=True)
            return re.sub("[^A-Z0-9]", "", "".join(result.txts or ()).upper())

        return read

    return reader(False), reader(True)


def measure_crops(cascade: Cascade, threads: int, per_source: int) -> dict[str, Any]:
    """Exact texts and ms per crop of lprnet and RapidOCR, taking turns on each test crop."""
    folder = collection() / "crops"
    seen: Counter[str] = Counter()
    crops = []
    for record in read_manifest(folder):
        usable = record.split == "test" and record.plates[0].text and record.source not in LEFT_OUT
        if usable and seen[record.source] < per_source:
            seen[record.source] += 1
            crops.append(record)
    recognise, detect = rapidocr(threads)
    readers: dict[str, Callable[[Any], str]] = {
        "plateloop lprnet": lambda bgr: (
            cascade.read_crops([Frame.from_rgb(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))])[0].text
        ),
        "RapidOCR recogniser": recognise,
        "RapidOCR detector + recogniser": detect,
    }
    right = {name: Counter[str]() for name in readers}
    times: dict[str, list[float]] = {name: [] for name in readers}
    for number, record in enumerate(crops):
        picture = cv2.imread(str(folder / record.file))
        for name, read in readers.items():
            if read is detect and number % 20:
                continue
            started = time.perf_counter()
            text = read(picture)
            times[name].append(1000 * (time.perf_counter() - started))
            right[name][record.source] += text == record.plates[0].text
    return {
        name: {
            "crops": len(times[name]),
            "right": right[name].total(),
            "share": round(right[name].total() / len(times[name]), 4),
            "ms_mean": round(float(np.mean(times[name][1:])), 2),
            **({} if read is detect else {"by_source": {s: [right[name][s], seen[s]] for s in sorted(seen)}}),
        }
        for name, read in readers.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of a network; 0: one a core")
    parser.add_argument("--weights", type=Path, help="folder of cards; the package's otherwise")
    parser.add_argument("--stills", type=int, default=52, help="number of stills")
    parser.add_argument("--crops", type=int, default=40, help="most test crops of one source")
    args = parser.parse_args()
    cascade = Cascade.load(threads=args.threads, weights=args.weights)
    with tempfile.TemporaryDirectory() as folder:
        read = measure_stills(cascade, stills(Path(folder), args.stills))
    print(f"One 1080p still: {read['ms_mean']} ms, median {read['ms_median']}, 95 % below {read['ms_p95']}")
    whole = sum(read["stage_ms"].values())
    rows = sorted(read["stage_ms"].items(), key=lambda item: -item[1])
    show("Stages of one still", ("stage", "ms", "share"), [(n, ms, f"{ms / whole:.0%}") for n, ms in rows])
    crops = measure_crops(cascade, args.threads, args.crops)
    head = ("reader", "crops", "right", "share", "ms/crop")
    show(
        "The same test crops, one at a time",
        head,
        [(n, c["crops"], c["right"], f"{c['share']:.1%}", c["ms_mean"]) for n, c in crops.items()],
    )
    ours, peer = crops["plateloop lprnet"], crops["RapidOCR recogniser"]
    show(
        "By source",
        ("source", "crops", "plateloop", "RapidOCR"),
        [(s, n, right, peer["by_source"][s][0]) for s, (right, n) in ours["by_source"].items()],
    )
    print("wrote", save("read_latency", {"threads": args.threads, "still_1080p": read, "crops": crops}))


if __name__ == "__main__":
    main()
