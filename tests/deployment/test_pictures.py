"""Pictures of plates and vehicles: what is on them, how they are named, and how long they stay."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from commands import Call
from plateloop.deployment.capture import Shot
from plateloop.deployment.sinks.pictures import Pictures, PicturesConfig, addressed, safe_name, tidy
from plateloop.deployment.sinks.worker import Result
from plateloop.frame import Frame
from plateloop.types import Corners, Event

CORNERS: Corners = ((40, 60), (80, 60), (80, 70), (40, 70))


def frame(color: tuple[int, int, int]) -> Frame:
    picture = np.full((120, 160, 3), 30, np.uint8)
    picture[20:100, 20:120] = (20, 20, 200)
    picture[60:70, 40:80] = color
    return Frame.from_rgb(picture)


def seen(color: tuple[int, int, int], identity: str, *events: Event) -> Result:
    best = ((identity, CORNERS, (20.0, 20.0, 120.0, 100.0)),)
    return Result(0, Shot(0, 0.0, 0.0, frame(color)), (), events, best=best)


def test_the_best_pictures_are_written_when_an_event_ends(
    tmp_path: Path, passage: Callable[..., Event]
) -> None:
    sink = Pictures(tmp_path / "pictures", PicturesConfig(quality=95))
    sink.write(seen((200, 200, 0), "a-1"))
    sink.write(seen((0, 220, 0), "a-1", passage("a-1", "begin")))
    assert not list(tmp_path.rglob("*.jpg"))
    end = addressed(passage("a-1", "end"))
    sink.write(Result(0, None, (), (end, addressed(passage("never-read", "end")))))
    sink.close()
    plate, vehicle = sorted(tmp_path.rglob("*.*"))
    assert end.pictures is not None
    assert (plate, vehicle) == (tmp_path / str(end.pictures.plate), tmp_path / str(end.pictures.vehicle))
    assert plate.parent.parent == tmp_path / "pictures/gate" and len(plate.parent.name) == 10
    assert plate.name.endswith("_a-1_plate.jpg") and vehicle.name.endswith("_a-1_vehicle.jpg")
    picture, car = cv2.imread(str(plate)), cv2.imread(str(vehicle))
    assert picture.shape == (64, 256, 3) and np.abs(picture.mean((0, 1)) - (0, 220, 0)).max() < 8
    assert car.shape == (80, 100, 3) and np.abs(car[5, 5].astype(int) - (200, 20, 20)).max() < 12


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "", "a/b", "C:\\x", "\0", "ümlaut", "x" * 5000])
def test_no_name_leads_elsewhere(name: str, tmp_path: Path, passage: Callable[..., Event]) -> None:
    assert safe_name(name) not in ("", ".", "..") and "/" not in safe_name(name)
    sink = Pictures(tmp_path / "pictures", PicturesConfig())
    sink.write(seen((9, 9, 9), name, addressed(passage(name, "end", source=name))))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2 and all(path.parents[2] == tmp_path / "pictures" for path in files)
    assert sink.dropped == 0


def test_names_that_look_alike_stay_apart() -> None:
    assert safe_name("gate-1") == "gate-1" and len({safe_name(n) for n in ("a/b", "a\\b", "a b", "a_b")}) == 4


def test_the_oldest_go_first(tmp_path: Path) -> None:
    now = time.time()
    for number in range(10):
        path = tmp_path / "gate" / f"2026-01-{number // 5 + 1:02}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100_000))
        os.utime(path, (now - 86_400 * (10 - number) - 60, now - 86_400 * (10 - number) - 60))
    assert tidy(tmp_path, None, None) == 0 and tidy(tmp_path, 8.5, None) == 2
    assert tidy(tmp_path, None, 0.45) == 4
    left = sorted(path.name for path in tmp_path.rglob("*.jpg"))
    assert left == ["6.jpg", "7.jpg", "8.jpg", "9.jpg"] and not (tmp_path / "gate" / "2026-01-01").exists()


def test_a_disk_that_takes_nothing_is_told_once_and_counted(
    tmp_path: Path, passage: Callable[..., Event], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pictures").write_text("a file")
    sink = Pictures(tmp_path / "pictures", PicturesConfig())
    for identity in "abc":
        sink.write(seen((9, 9, 9), identity, addressed(passage(identity, "end"))))
    sink.close()
    assert sink.dropped == 3 and len(caplog.records) == 2


def test_what_never_ends_takes_no_memory(tmp_path: Path) -> None:
    sink = Pictures(tmp_path, PicturesConfig())
    for number in range(1000):
        sink.write(seen((9, 9, 9), str(number)))
    assert len(sink._best) <= 256


def test_a_run_writes_them(
    write_video: Callable[..., Path],
    toy_scene: Callable,
    toy_weights: Path,
    tmp_path: Path,
    plateloop: Call,
) -> None:
    pictures = [toy_scene(10 + 10 * number) for number in range(30)]
    clip = write_video("cars.mp4", pictures, fps=10)
    options = ("--no-overlay", "--pictures", "--set", "fusion.min_length=1", "--json")
    ran = plateloop("run", clip, "--weights", toy_weights, "--out", tmp_path / "out", *options)
    assert ran.returncode == 0, ran.stderr
    plate, vehicle = sorted((tmp_path / "out" / "pictures").rglob("*.jpg"))
    bgr = cv2.imread(str(plate))[10:-10, 10:-10].mean((0, 1))
    assert bgr[2] > 200 and bgr[0] < 60, "the plate's red"
    assert cv2.imread(str(vehicle))[8:60].mean((0, 1))[0] > 150, "the car's blue"
    # Whoever has the event finds its pictures, and hears of none that is there no more.
    phases = [json.loads(line) for line in ran.stdout.splitlines()]
    paths = {
        "plate": str(plate.relative_to(tmp_path / "out")),
        "vehicle": str(vehicle.relative_to(tmp_path / "out")),
    }
    assert [event["pictures"] for event in phases] == [None] * (len(phases) - 1) + [paths]
    store, table = tmp_path / "out" / "plateloop.db", tmp_path / "events.csv"

    def stored() -> object:
        found = plateloop("store", "search", store, "*", "--json")
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)["pictures"]

    assert stored() == paths
    vehicle.unlink()
    assert stored() == {**paths, "vehicle": None}
    assert plateloop("store", "export", store, table).returncode == 0
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["plate_picture"], row["vehicle_picture"]) == (paths["plate"], "")
