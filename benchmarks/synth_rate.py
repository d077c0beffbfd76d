"""Plates per second and core that `render`, `degrade` and `paste` make, in CPU time of this process.

python benchmarks/synth_rate.py [--count 1000] [--glyphs ATLAS]
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from plateloop.data_preparation.synthetic.degrade import degrade
from plateloop.data_preparation.synthetic.glyphs import DRAWN, FAMILIES, LOCAL_FAMILIES, drawn_face, glyph_set
from plateloop.data_preparation.synthetic.paste import paste, quad_in_box
from plateloop.data_preparation.synthetic.render import render


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--glyphs", help="glyph atlas; drawn letterforms alone without")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    glyphs = glyph_set(options.glyphs)
    start = time.process_time()
    for family in (*FAMILIES, *LOCAL_FAMILIES):
        for number in range(DRAWN):
            drawn_face(family, number)
    seconds = {"letterforms drawn, once a process": time.process_time() - start}
    rng = np.random.default_rng(0)
    for _ in range(100):
        render(rng, glyphs=glyphs)
    start = time.process_time()
    plates = [render(rng, glyphs=glyphs) for _ in range(options.count)]
    seconds["render"] = time.process_time() - start
    start = time.process_time()
    for plate in plates:
        degrade(rng, plate)
    seconds["degrade"] = time.process_time() - start
    picture = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    start = time.process_time()
    for plate in plates[:200]:
        box = (200.0, 300.0, 300.0, 330.0)
        paste(rng, picture, quad_in_box(rng, box, 4.0), plate, erase=box)
    seconds["paste"] = (time.process_time() - start) * options.count / len(plates[:200])
    rates = {name: round(options.count / seconds[name]) for name in ("render", "degrade", "paste")}
    rates["render + degrade"] = round(options.count / (seconds["render"] + seconds["degrade"]))
    drawn = round(seconds["letterforms drawn, once a process"], 2)
    print(json.dumps({"plates per second and core": rates, "letterforms drawn once, s": drawn}, indent=2))


if __name__ == "__main__":
    main()
