"""A rolling pool of synthetic plates: worker processes render into shared files, the GPU holds a copy.

Rendering a plate costs far more than augmenting it on the GPU, so each is used many times, every time with
fresh augmentation, until a new one takes its slot. Workers fill the files once as fast as they can, and from
then on render only what is taken: no plate is written over before it was copied.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plateloop.data_preparation.synthetic.plate import PlateImage
from plateloop.errors import UserError
from plateloop.geometry import homography, project
from plateloop.networks.ctc import MAX_LENGTH, encode
from plateloop.networks.lprnet import HEIGHT, WIDTH
from plateloop.training.detection.augment import on_device

Render = Callable[[np.random.Generator], PlateImage]

# One record a slot: what training needs of a PlateImage, the plate filling the network's whole input.
SLOT = np.dtype(
    [
        ("image", np.uint8, (HEIGHT, WIDTH, 3)),
        ("classes", np.uint8, MAX_LENGTH),
        ("char_rows", np.uint8, MAX_LENGTH),
        # Middle of each character's left and right side, in units of the plate (0 to 1).
        ("char_sides", np.float32, (MAX_LENGTH, 2, 2)),
        ("aspect", np.float32),
        ("rows", np.uint8),
        ("region", "U3"),
    ]
)


def slot_of(plate: PlateImage) -> NDArray[np.void]:
    """``plate`` as a pool record (0-dimensional, dtype ``SLOT``): its four corners fill the picture."""
    target = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    corners = plate.corners
    width = float(np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])) / 2
    height = float(np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])) / 2
    image, shrink = plate.image, min(width / WIDTH, height / HEIGHT)
    if shrink > 1.2:
        size = (round(image.shape[1] / shrink), round(image.shape[0] / shrink))
        scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        corners = corners * scale
    # Points are continuous and a pixel's middle lies at its half, OpenCV's pixels are their middles.
    matrix = homography(corners - np.float32(0.5), target - np.float32(0.5))
    slot = np.zeros((), SLOT)
    slot["image"] = cv2.warpPerspective(
        image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    count = len(plate.text)
    classes, _ = encode([plate.text])
    slot["classes"] = classes[0].numpy()
    slot["char_rows"][:count] = plate.char_rows
    quads = plate.char_corners
    sides = np.stack([quads[:, [0, 3]].mean(1), quads[:, [1, 2]].mean(1)], 1).astype(np.float32)
    unit = homography(plate.corners, np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32))
    slot["char_sides"][:count] = project(unit, sides)
    slot["aspect"], slot["rows"], slot["region"] = width / height, plate.rows, plate.region or ""
    return slot


def _produce(
    folder: Path,
    render: Render,
    worker: int,
    workers: int,
    seed: int,
    stop: Event,
    done: int,
    rounds: int | None,
) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    # Training's own process must never wait for a core.
    os.nice(10)
    trainer = multiprocessing.parent_process()
    slots = np.load(folder / "slots.npy", mmap_mode="r+")
    written = np.load(folder / "written.npy", mmap_mode="r+")
    taken = np.load(folder / "taken.npy", mmap_mode="r")
    mine = range(worker, len(slots), workers)
    serial = done
    while not stop.is_set() and (rounds is None or serial < rounds * len(mine)):
        if trainer is not None and not trainer.is_alive():
            # A killed trainer cannot say stop.
            return
        if serial - taken[worker] >= len(mine):
            stop.wait(0.05)
            continue
        # The content depends on seed, worker and serial number only.
        rng = np.random.default_rng([seed, worker, serial])
        plate = render(rng)
        while not 1 <= len(plate.text) <= MAX_LENGTH:
            plate = render(rng)
        slots[mine[serial % len(mine)]] = slot_of(plate)
        serial += 1
        written[worker] = serial


class PlatePool:
    """Worker processes that render plates, and a copy of their plates on ``device``.

    The files in ``folder`` outlive the pool: a later pool with the same ``slots``, ``workers`` and ``seed``
    continues where an earlier one ended. Use as a context manager; ``render`` must be a function that a new
    process can import. With ``rounds`` the workers stop after filling all slots that many times. Workers end
    when this process does, killed or not.

    Raises UserError where another run uses ``folder``, or there are fewer slots than workers.
    """

    def __init__(
        self,
        folder: Path,
        render: Render,
        slots: int,
        workers: int,
        seed: int,
        device: torch.device,
        regions: tuple[str, ...],
        rounds: int | None = None,
    ) -> None:
        if not 1 <= workers <= slots:
            raise UserError(
                f"{workers} workers for {slots} slots: give at least one worker and one slot each"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise UserError(f"{folder}: another run renders here; give each run its own pool") from None
        self._counts = self._open(folder, slots, workers)
        self._taken = np.load(folder / "taken.npy", mmap_mode="r+")
        self._slots = np.load(folder / "slots.npy", mmap_mode="r")
        self._copied = np.zeros(workers, np.int64)
        self._region_index = {region: index for index, region in enumerate(regions)}
        self._workers = workers
        self._by_rows: dict[int, Tensor] = {}
        self.images = torch.zeros(slots, 3, HEIGHT, WIDTH, dtype=torch.uint8, device=device)
        self.classes = torch.zeros(slots, MAX_LENGTH, dtype=torch.int64, device=device)
        self.char_rows = torch.zeros(slots, MAX_LENGTH, dtype=torch.int64, device=device)
        self.char_sides = torch.zeros(slots, MAX_LENGTH, 2, 2, device=device)
        self.aspects = torch.ones(slots, device=device)
        self.rows = torch.zeros(slots, dtype=torch.int64, device=device)
        self._known_rows = np.zeros(slots, np.uint8)
        self.regions = torch.full((slots,), -1, dtype=torch.int64, device=device)
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._processes = [
            context.Process(
                target=_produce,
                args=(folder, render, worker, workers, seed, self._stop, int(self._counts[worker]), rounds),
                daemon=True,
            )
            for worker in range(workers)
        ]

    @staticmethod
    def _open(folder: Path, slots: int, workers: int) -> NDArray[np.int64]:
        # This process holds no plate yet, whatever an earlier one took.
        np.lib.format.open_memmap(folder / "taken.npy", "w+", np.int64, (workers,))
        files = folder / "slots.npy", folder / "written.npy"
        if all(file.is_file() for file in files):
            old, counts = np.load(files[0], mmap_mode="r"), np.load(files[1], mmap_mode="r")
            if len(old) == slots and len(counts) == workers and old.dtype == SLOT:
                return np.asarray(counts)
        np.lib.format.open_memmap(files[0], "w+", SLOT, (slots,))
        np.lib.format.open_memmap(files[1], "w+", np.int64, (workers,))
        return np.asarray(np.load(files[1], mmap_mode="r"))

    def __enter__(self) -> PlatePool:
        for process in self._processes:
            process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.terminate()
        self._lock.close()

    @property
    def rendered(self) -> int:
        """How many plates the workers have made, earlier pools of the folder included."""
        return int(self._counts.sum())

    @property
    def alive(self) -> int:
        """How many workers run. One that met an error has printed it; the others go on without it."""
        return sum(process.is_alive() for process in self._processes)

    def wait_for(self, plates: int, timeout: float = 300) -> None:
        """Wait until ``plates`` slots are filled, and copy them.

        Raises RuntimeError where the workers died or are too slow for ``timeout`` seconds.
        """
        start = told = time.monotonic()
        while self.rendered < plates:
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"{self.rendered} of {plates} plates after {told - start:.0f} s", flush=True)
            if not self.alive or time.monotonic() - start > timeout:
                state = f"{self.alive} of {self._workers} workers alive"
                raise RuntimeError(f"{self.rendered} of {plates} synthetic plates made, {state}")
            time.sleep(0.05)
        # What is there now, not what comes meanwhile: workers may be as fast as this copies.
        there = min(self.rendered, len(self._slots))
        while there > 0 and (copied := self.refresh()):
            there -= copied

    @property
    def filled(self) -> bool:
        """Whether every slot has held a plate."""
        return int(self._copied.sum()) >= len(self._slots)

    def refresh(self, most: int = 8192) -> int:
        """Copy at most about ``most`` newly rendered plates to the device; returns how many."""
        counts = np.array(self._counts)
        parts = []
        for worker, (old, new) in enumerate(zip(self._copied, counts, strict=True)):
            own = len(range(worker, len(self._slots), self._workers))
            start = max(int(old), int(new) - own)
            end = min(int(new), start + -(-most // self._workers))
            parts.append(worker + self._workers * (np.arange(start, end) % own))
            self._copied[worker] = end
        index = np.concatenate(parts)
        if not len(index):
            return 0
        device = self.images.device
        where = on_device(index, device)

        def put(target: Tensor, values: NDArray[np.generic]) -> None:
            # A copy: a field of one record passes for contiguous, yet its strides are the record's.
            target[where] = on_device(values.copy(), device).to(target.dtype)

        slots = self._slots[index]
        self.images[where] = on_device(slots["image"].copy(), device).permute(0, 3, 1, 2)
        put(self.classes, slots["classes"])
        put(self.char_rows, slots["char_rows"])
        put(self.char_sides, slots["char_sides"])
        put(self.aspects, slots["aspect"])
        put(self.regions, np.array([self._region_index.get(r, -1) for r in slots["region"]], np.int64))
        put(self.rows, slots["rows"])
        self._known_rows[index] = slots["rows"]
        self._by_rows = {rows: on_device(np.flatnonzero(self._known_rows == rows), device) for rows in (1, 2)}
        # Only now may the workers write over them.
        self._taken[:] = self._copied
        return len(index)

    def two_rowed(self, count: int, share: float) -> int:
        """How many of ``count`` drawn plates have two rows, at a wanted ``share`` of them."""
        one, two = self._by_rows[1], self._by_rows[2]
        return round(count * share) if len(two) and len(one) else count * (len(two) > 0)

    def draw(self, count: int, two_rows: float) -> Tensor:
        """Indices (``count``,) of filled slots, first a share ``two_rows`` of plates of two rows (as far as
        there are any), then plates of one."""
        number = self.two_rowed(count, two_rows)
        parts = [
            there[torch.randint(len(there), (share,), device=there.device)]
            for there, share in ((self._by_rows[2], number), (self._by_rows[1], count - number))
            if share
        ]
        return torch.cat(parts)
