"""The labeler's wall of texts: plates a minute and keys a plate of a modelled person, in a real browser.

The model: a plate whose shown text is right takes a look (0.8 s) and Enter; one that is wrong takes 3 s,
and then every key 0.2 s, by the shortest way of Backspace, arrows and letters. The plates are real crops of
val with their texts taken away, the shown texts the package's networks' own, the truth the data's annotation.
It measures the page (what it asks of hands, how long it makes one wait), not people.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from plateloop.data_preparation.manifest import read_manifest, write_manifest
from record import collection, save

LOOK, THINK, KEY = 0.8, 3.0, 0.2

CURRENT = """(() => {
  const image = document.querySelector('.tile.current img');
  return image && image.complete && !document.querySelector('#wall.loading') ? image.src : '';
})()"""


def dataset(folder: Path, count: int, seed: int) -> list[str]:
    """A dataset of ``count`` val crops in ``folder`` whose texts nobody has read; returns the truths."""
    source = collection() / "crops"
    known = [r for r in read_manifest(source) if r.split == "val" and r.plates and r.plates[0].text]
    chosen = random.Random(seed).sample(known, count)
    for record in chosen:
        (folder / record.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / record.file, folder / record.file)
    unread = {"text": None, "annotation": None}
    write_manifest(
        folder,
        (r.model_copy(update={"plates": (r.plates[0].model_copy(update=unread),)}) for r in chosen),
    )
    return [str(record.plates[0].text) for record in chosen]


def keys(shown: str, wanted: str) -> list[str]:
    """The keys that turn ``shown``, with the caret behind it, into ``wanted``."""
    head = _alike(shown, wanted)
    tail = _alike(shown[head:][::-1], wanted[head:][::-1])
    middle = len(shown) - head - tail
    arrows = ["ArrowLeft"] * tail + ["Backspace"] * middle + list(wanted[head : len(wanted) - tail])
    again = ["Backspace"] * (len(shown) - head) + list(wanted[head:])
    return min(arrows, again, key=len)


def _alike(a: str, b: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def work(page: Any, truths: list[str]) -> dict[str, Any]:
    """Confirm or correct every plate; what that took."""
    pressed, waited, corrected, done = Counter[str](), [], 0, set[int]()
    begin = time.perf_counter()
    while len(done) < len(truths):
        asked = time.perf_counter()
        row = _next(page, done)
        waited.append(time.perf_counter() - asked)
        shown = page.locator(".tile.current input").input_value()
        needed = [] if shown == truths[row] else keys(shown, truths[row])
        time.sleep(THINK if needed else LOOK)
        for key in needed:
            page.keyboard.press(key)
            time.sleep(KEY)
        page.keyboard.press("Enter")
        pressed["keys"] += len(needed) + 1
        corrected += bool(needed)
        done.add(row)
    seconds = time.perf_counter() - begin
    waited.sort()
    return {
        "plates": len(done),
        "corrected": corrected,
        "seconds": round(seconds, 1),
        "plates_a_minute": round(60 * len(done) / seconds, 1),
        "keys_a_plate": round(pressed["keys"] / len(done), 3),
        "keys_a_correction": round((pressed["keys"] - len(done)) / max(corrected, 1), 2),
        "wait_s": {"median": round(waited[len(waited) // 2], 3), "longest": round(waited[-1], 2)},
        "wait_share": round(sum(waited) / seconds, 3),
    }


def _next(page: Any, done: set[int]) -> int:
    """The row of the plate that is to be read now, once its picture is there."""
    while True:
        source = page.evaluate(CURRENT)
        found = re.search(r"/records/(\d+)/", source)
        if found and int(found[1]) not in done:
            return int(found[1])
        time.sleep(0.005)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "crops"
        truths = dataset(folder, args.plates, args.seed)
        command = [sys.executable, "-m", "plateloop", "label", str(folder), "--port", "0", "--no-browser"]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server,
            sync_playwright() as driver,
        ):
            assert server.stdout is not None
            url = server.stdout.readline().split(" at ")[1].split()[0]
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{url}#text")
            page.locator(".tile.current").wait_for()
            found = work(page, truths)
            page.locator("#progress", has_text=f"{args.plates} / {args.plates} plates").wait_for()
            browser.close()
            server.terminate()
            server.wait()
        kept = [record.plates[0].text for record in read_manifest(folder)]
        found["wrong_in_manifest"] = sum(a != b for a, b in zip(kept, truths, strict=True))
    print(found)
    print(
        "wrote",
        save("labeling_pace", {"seed": args.seed, "look_s": LOOK, "think_s": THINK, "key_s": KEY, **found}),
    )


if __name__ == "__main__":
    main()
