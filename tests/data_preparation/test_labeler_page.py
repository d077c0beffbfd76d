"""The labeler as a person uses it: Chromium, a mouse and a keyboard. What was done ends in the manifest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plateloop.data_preparation.labeler.journal import version
from plateloop.data_preparation.manifest import Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.data_preparation.synthetic.dataset import synthesize

httpx = pytest.importorskip("httpx")
playwright = pytest.importorskip("playwright.sync_api")

SIZE = (640, 360)
STREET = 3
PLATES = 6


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of two cars each, the first without labels, a picture that the toy networks see a
    car in, and six synthetic plates whose texts no person has confirmed."""
    folder = tmp_path_factory.mktemp("template")
    for _ in synthesize(folder, PLATES, seed=5, clean=True):
        pass
    plates = list(read_manifest(folder))
    (folder / "street").mkdir()
    records = []
    for number in range(STREET):
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        vehicles = []
        for left in (60 + 20 * number, 380 - 20 * number):
            box = (left, 180, left + 140, 290)
            cv2.rectangle(image, box[:2], box[2:], (40, 60, 70), -1)
            vehicles.append(Vehicle(box=box, label="car", color="gray"))
        cv2.imwrite(str(folder / f"street/{number}.jpg"), image)
        records.append(
            Record(
                file=f"street/{number}.jpg",
                width=SIZE[0],
                height=SIZE[1],
                vehicles=vehicles if number else (),
                vehicles_annotated=bool(number),
                plates_annotated=bool(number),
            )
        )
    # The toy network takes what is blue for a car.
    blue = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    blue[100:200, 50:250] = (255, 0, 0)
    cv2.imwrite(str(folder / "street/draft.png"), blue)
    records.append(Record(file="street/draft.png", width=SIZE[0], height=SIZE[1]))
    unread = [
        record.model_copy(update={"plates": (record.plates[0].model_copy(update={"annotation": None}),)})
        for record in plates
    ]
    write_manifest(folder, [*records, *unread])
    return folder


@dataclass
class Labeler:
    """The running command with a browser on its page."""

    folder: Path
    url: str
    process: subprocess.Popen[str]
    page: Any

    def picture_to_screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the street's pictures is shown while the picture fits its place."""
        box = self.page.locator("#canvas").bounding_box()
        scale = min((box["width"] - 28) / SIZE[0], (box["height"] - 28) / SIZE[1])
        left = box["x"] + (box["width"] - scale * SIZE[0]) / 2
        top = box["y"] + (box["height"] - scale * SIZE[1]) / 2
        return left + scale * x, top + scale * y

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.picture_to_screen(*start))
        mouse.down()
        mouse.move(*self.picture_to_screen(*end), steps=4)
        mouse.up()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def record(self, row: int) -> Record:
        """What the server holds, once all edits are kept."""
        self.page.locator("#saved", has_text="All edits kept").wait_for()
        answer = httpx.get(f"{self.url}api/records/{row}").json()
        return Record.model_validate(answer["record"])

    def stop(self) -> list[Record]:
        """End the command; what the manifest then says."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0
        return list(read_manifest(self.folder))


@pytest.fixture
def labeler(browser: Any, template: Path, toy_weights: Path, tmp_path: Path) -> Iterator[Labeler]:
    folder = tmp_path / "data"
    shutil.copytree(template, folder)
    options = ["--port", "0", "--no-browser", "--threads", "1", "--weights", str(toy_weights)]
    command = [sys.executable, "-m", "plateloop", "label", str(folder), *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" at ")[1].split()[0]
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        # Only what this server serves is ever asked for.
        page.on(
            "request",
            lambda request: (
                request.url.startswith((url, "data:", f"blob:{url}")) or faults.append(request.url)
            ),
        )
        page.goto(url)
        page.locator("#list .entry.current").wait_for()
        page.locator("#zoom", has_text=f"{SIZE[0]}×{SIZE[1]}").wait_for()
        yield Labeler(folder, url, process, page)
        page.close()
        process.kill()
    assert faults == []


def test_boxes_and_corners_with_the_mouse(labeler: Labeler) -> None:
    labeler.keys("v")
    labeler.drag((100, 100), (300, 250))
    (vehicle,) = labeler.record(0).vehicles
    np.testing.assert_allclose(vehicle.box, (100, 100, 300, 250), atol=1)
    assert (vehicle.label, vehicle.annotation) == ("car", "annotated")
    labeler.keys("3", "k")
    assert labeler.record(0).vehicles[0].label == "truck"
    assert labeler.record(0).vehicles[0].color == "black"
    labeler.keys("p")
    labeler.drag((150, 200), (210, 220))
    labeler.keys("g")
    (plate,) = labeler.record(0).plates
    assert plate.vehicle == 0
    assert plate.corners is not None
    labeler.drag(plate.corners[2], (225, 232))
    moved = labeler.record(0).plates[0]
    assert moved.corners is not None
    np.testing.assert_allclose(moved.corners[2], (225, 232), atol=1)
    np.testing.assert_allclose(moved.box, (150, 200, 225, 232), atol=1)
    labeler.keys("Control+z")
    assert labeler.record(0).plates == (plate,)
    labeler.keys("Control+y")
    assert labeler.record(0).plates == (moved,)
    # Away from all objects a drag pans, and the wheel zooms: neither changes a label.
    labeler.keys("Escape")
    labeler.drag((500, 60), (520, 90))
    labeler.page.mouse.wheel(0, -300)
    labeler.keys("0")
    assert labeler.record(0).plates == (moved,)
    record = labeler.stop()[0]
    assert record.vehicles[0].color == "black"
    assert record.plates == (moved,)


def test_boxes_from_the_keyboard_alone(labeler: Labeler) -> None:
    labeler.keys("n")
    labeler.page.locator("#file", has_text="street/1.jpg").wait_for()
    before = len(httpx.get(f"{labeler.url}api/records/1").json()["record"]["vehicles"])
    labeler.keys("v", "Enter", *["Shift+ArrowRight"] * 2, *["Shift+ArrowDown"] * 2, "Enter", "2")
    record = labeler.record(1)
    assert len(record.vehicles) == before + 1
    assert record.vehicles[-1].label == "bus"
    box = record.vehicles[-1].box
    labeler.keys("ArrowRight", "Shift+ArrowDown", "c", "ArrowLeft")
    x1, y1, x2, y2 = labeler.record(1).vehicles[-1].box
    np.testing.assert_allclose((x1, y1, x2, y2), np.add(box, (0, 10, 1, 10)), atol=0.11)
    labeler.keys("Escape", "q")
    for step in (
        "Enter",
        "Shift+ArrowRight",
        "Enter",
        "Shift+ArrowDown",
        "Enter",
        "Shift+ArrowLeft",
        "Enter",
    ):
        labeler.keys(step)
    labeler.keys("t")
    labeler.page.keyboard.type("ab 12-c")
    labeler.keys("Enter")
    (plate,) = labeler.record(1).plates
    assert (plate.text, plate.annotation) == ("AB12C", "annotated")
    assert plate.corners is not None
    labeler.keys(".", "Enter")
    labeler.page.locator("#file", has_text="street/2.jpg").wait_for()
    labeler.keys("Tab", "x", "e")
    labeler.page.locator(".toast", has_text="Copied").wait_for()
    copied = labeler.record(2)
    labeler.keys("?")
    assert labeler.page.locator("#help").is_visible()
    labeler.keys("?")
    assert not labeler.page.locator("#help").is_visible()
    records = labeler.stop()
    assert records[1].tags == ("reviewed",)
    assert records[1].plates[0].corners == (*plate.corners[1:], plate.corners[0])
    assert records[2] == copied
    assert records[2].plates[0].text == "AB12C"
    linked, original = records[2].plates[0].vehicle, records[1].plates[0].vehicle
    assert linked == (None if original is None else original + len(copied.vehicles) - before - 1)


def test_the_networks_draft_is_shown_and_accepted(labeler: Labeler) -> None:
    labeler.keys("n", "n", "n")
    labeler.page.locator("#file", has_text="street/draft.png").wait_for()
    labeler.page.locator("#panel .is-draft", has_text="car").wait_for()
    labeler.keys("Shift+A")
    (vehicle,) = labeler.record(3).vehicles
    np.testing.assert_allclose(vehicle.box, (50, 100, 250, 200), atol=3)
    labeler.keys("z")
    labeler.record(3)
    assert labeler.stop()[3].vehicles == ()


def test_a_conflict_is_shown_and_not_overwritten(labeler: Labeler) -> None:
    row = f"{labeler.url}api/records/0"
    theirs = httpx.get(row).json()
    theirs["record"]["plates"] = [Plate(box=(1, 1, 50, 20), text="THEIRS").model_dump(mode="json")]
    assert httpx.put(row, json={"base": theirs["version"], "record": theirs["record"]}).is_success
    labeler.keys("v")
    labeler.drag((100, 100), (300, 250))
    dialog = labeler.page.locator("#conflict")
    dialog.get_by_text("This picture was changed elsewhere").wait_for()
    assert httpx.get(row).json()["record"]["plates"][0]["text"] == "THEIRS"
    dialog.get_by_text("Take theirs").click()
    labeler.page.locator("#panel .object", has_text="THEIRS").wait_for()
    labeler.keys("z")
    ours = labeler.record(0)
    assert (len(ours.vehicles), len(ours.plates)) == (1, 0)
    assert labeler.stop()[0] == ours
    assert version(ours) != theirs["version"]


def test_texts_are_confirmed_from_the_keyboard_alone(labeler: Labeler) -> None:
    page = labeler.page
    labeler.keys("m")
    page.locator("#wall .tile.current").wait_for()
    assert page.locator("#wall .tile").count() == PLATES
    texts = [page.locator("#wall input").nth(index).input_value() for index in range(PLATES)]
    files = [page.evaluate("document.querySelector('#inspector dd').textContent")]
    start = time.perf_counter()
    labeler.keys("Enter")  # 0: as it is
    page.keyboard.type("X")  # 1: corrected
    labeler.keys("Enter", "-")  # 2: not readable
    labeler.keys("=", "Enter")  # 3: as the network reads it
    labeler.keys("Tab", "Enter")  # 4 is left, 5 confirmed
    page.locator("#progress", has_text=f"5 / {PLATES} plates").wait_for()
    seconds = time.perf_counter() - start
    assert 5 / seconds * 60 > 20, f"{5 / seconds * 60:.0f} plates a minute"
    assert files[0].endswith(".webp")
    labeler.keys("Control+z")  # 5 taken back
    page.locator("#progress", has_text=f"4 / {PLATES} plates").wait_for()
    labeler.keys("Control+s")
    page.locator(".toast", has_text="All edits are in the manifest").wait_for()
    saved = [record.plates[0] for record in read_manifest(labeler.folder) if record.plates]
    by_people = [plate.text for plate in saved if plate.annotation == "annotated"]
    assert len(by_people) == 4
    assert texts[0] in by_people
    assert f"{texts[1]}X" in by_people
    assert None in by_people
    assert sorted(str(plate.text) for plate in saved if plate.annotation is None) == sorted(texts[4:])
    labeler.stop()


def test_labels_go_to_another_tool_and_come_back(labeler: Labeler, tmp_path: Path) -> None:
    page, dialog = labeler.page, labeler.page.locator("#exchange")
    labeler.keys("v")
    labeler.drag((100, 100), (300, 250))
    (drawn,) = labeler.record(0).vehicles
    labeler.keys("Control+o")
    with page.expect_download() as download:
        dialog.locator("[data-format=cvat]").click()
    dialog.get_by_text("was handed to the browser").wait_for()
    assert download.value.suggested_filename.startswith("data-")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    labeler.keys("Escape")
    # There, cars become vans; here, picture 1 gets a plate meanwhile.
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('label="car"', 'label="van"'), encoding="utf-8")
    labeler.keys("n")
    page.locator("#file", has_text="street/1.jpg").wait_for()
    labeler.keys("p")
    labeler.drag((400, 230), (460, 250))
    here = labeler.record(1)
    labeler.keys("Control+o")
    dialog.locator("#import-file").set_input_files(path)
    dialog.get_by_text("2 pictures taken over").wait_for()
    conflict = dialog.locator("[data-file='street/1.jpg']")
    assert "here: 2 vehicles, 1 plate: –" in conflict.inner_text()
    assert "file: 2 vehicles, 0 plates" in conflict.inner_text()
    assert labeler.record(1) == here
    conflict.get_by_text("Take the file's").click()
    dialog.get_by_text("3 pictures taken over").wait_for()
    assert conflict.count() == 0
    dialog.locator("#import-file").set_input_files({"name": "x.txt", "mimeType": "", "buffer": b"hello"})
    dialog.get_by_text("x.txt: neither Label Studio's JSON nor CVAT's XML").wait_for()
    labeler.keys("Escape")
    page.locator("#panel .object", has_text="van").first.wait_for()
    records = labeler.stop()
    assert [vehicle.label for record in records[:3] for vehicle in record.vehicles] == ["van"] * 5
    assert records[0].vehicles == (drawn.model_copy(update={"label": "van"}),)
    assert records[1].plates == ()
