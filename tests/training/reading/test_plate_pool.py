"""The pool of synthetic plates: same seed, same plates; records keep the characters' places."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.errors import UserError
from plateloop.networks.ctc import encode
from plateloop.training.reading.plate_pool import PlatePool, slot_of

CPU = torch.device("cpu")


def square_plate(rng: np.random.Generator) -> PlateImage:
    """A plate whose characters are squares of known place, in a picture with a margin; quick to make."""
    rows = int(rng.integers(1, 3))
    image = np.full((120, 260, 3), 30, np.uint8)
    image[10:110, 30:230] = 220
    quads, char_rows = [], []
    for row in range(rows):
        for column in range(3):
            x, y = 50 + 60 * column, 20 + 45 * row
            cv2.rectangle(image, (x, y), (x + 29, y + 29), (200, 0, 0), -1)
            quads.append([[x, y], [x + 30, y], [x + 30, y + 30], [x, y + 30]])
            char_rows.append(row)
    return PlateImage(
        image=image,
        corners=np.array([[30, 10], [230, 10], [230, 110], [30, 110]], np.float32),
        text="".join(rng.choice(list("ABC123"), 3 * rows)),
        region="NL",
        rows=rows,
        char_corners=np.array(quads, np.float32),
        char_rows=tuple(char_rows),
    )


def test_record_holds_the_plate_alone_with_its_characters() -> None:
    plate = square_plate(np.random.default_rng(0))
    slot = slot_of(plate)
    assert slot["aspect"] == pytest.approx(2.0) and slot["region"] == "NL"
    assert (
        slot["classes"][: len(plate.text)].tolist() == encode([plate.text])[0][0, : len(plate.text)].tolist()
    )
    # The margin is cut away: no dark pixel is left.
    assert slot["image"].min(axis=2)[1:-1, 1:-1].max() == 220 and slot["image"][..., 0].min() > 150
    red = (slot["image"][..., 1] < 100).nonzero()
    left = slot["char_sides"][0, 0]
    assert left[0] * 160 == pytest.approx(red[1].min(), abs=1)
    assert left[0] == pytest.approx((50 - 30) / 200, abs=1e-3)


def test_same_seed_gives_the_same_plates(tmp_path: Path) -> None:
    pools = []
    for name in ("a", "b"):
        with PlatePool(tmp_path / name, square_plate, 12, 2, 5, CPU, ("NL", "US"), rounds=1) as pool:
            pool.wait_for(12, timeout=60)
            pools.append(pool)
    first, second = pools
    assert first.rendered == 12
    assert torch.equal(first.images, second.images) and torch.equal(first.classes, second.classes)
    assert (first.regions == 0).all() and (first.rows > 0).all()
    assert len(first.classes.unique(dim=0)) > 4

    drawn = first.draw(400, two_rows=0.25)
    assert (first.rows[drawn] == 2).sum() == 100


def test_pool_continues_from_its_folder(tmp_path: Path) -> None:
    with PlatePool(tmp_path, square_plate, 6, 1, 1, CPU, ("NL",), rounds=1) as pool:
        pool.wait_for(6, timeout=60)
    with PlatePool(tmp_path, square_plate, 6, 1, 1, CPU, ("NL",), rounds=1) as again:
        again.refresh()
    assert torch.equal(pool.images, again.images)


def test_pool_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="workers"):
        PlatePool(tmp_path, square_plate, 2, 3, 0, CPU, ())


class Racing(PlatePool):
    """Workers as fast as the copying: there is always something new."""

    copies = 0

    def refresh(self, most: int = 8192) -> int:
        self.copies += 1
        assert self.copies < 50, "copies for ever"
        return max(super().refresh(most), 1)


def test_waiting_ends_however_fast_the_workers_are(tmp_path: Path) -> None:
    with Racing(tmp_path, square_plate, 8, 2, 5, CPU, ()) as pool:
        pool.wait_for(8, timeout=60)
    assert (pool.rows > 0).all()


def test_workers_wait_until_their_plates_are_taken(tmp_path: Path) -> None:
    with PlatePool(tmp_path, square_plate, 8, 2, 5, CPU, ()) as pool:
        pool.wait_for(8, timeout=60)
        assert pool.filled
        deadline = time.monotonic() + 30
        while pool.rendered < 16 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        # One round was taken, one more lies ready, and nothing is rendered beyond.
        assert pool.rendered == 16
        assert pool.refresh(most=4) == 4


def test_workers_end_with_a_killed_trainer(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; import torch;"
        "sys.path.insert(0, sys.argv[1]); from test_plate_pool import square_plate;"
        "from plateloop.training.reading.plate_pool import PlatePool;"
        "pool = PlatePool(Path(sys.argv[2]), square_plate, 8, 2, 5, torch.device('cpu'), ());"
        "pool.__enter__(); pool.wait_for(8);"
        "print('workers', *(p.pid for p in pool._processes), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        line = next(line for line in trainer.stdout if line.startswith("workers"))
        workers = [int(pid) for pid in line.split()[1:]]
        assert len(workers) == 2
        with pytest.raises(UserError, match="another run"):
            PlatePool(tmp_path, square_plate, 8, 2, 5, CPU, ())
        trainer.kill()
    deadline = time.monotonic() + 20
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, workers))


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
