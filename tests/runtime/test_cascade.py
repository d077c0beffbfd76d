"""The cascade on pictures that the toy networks understand: blue cars, red plates whose green is the text."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import ValidationError

from plateloop.errors import UserError
from plateloop.frame import Frame
from plateloop.runtime.card import load_card, save_card
from plateloop.runtime.cascade import TASKS, Cascade, CascadeConfig, Scene
from plateloop.types import Detections, Image

CAR = (0, 0, 255)


def plate(digit: int) -> tuple[int, int, int]:
    return 255, round(digit * 255 / 9), 0


def picture(*boxes: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> Image:
    rgb = np.zeros((720, 1280, 3), np.uint8)
    for (x1, y1, x2, y2), color in boxes:
        rgb[y1:y2, x1:x2] = color
    return rgb


@pytest.fixture(scope="module")
def cascade(toy_weights: Path) -> Cascade:
    # In a frame with several plates the toy would see a large one around them all.
    return Cascade.load(weights=toy_weights, threads=1, config=CascadeConfig(direct="never"))


def test_two_cars_in_one_frame_keep_their_plates(cascade: Cascade) -> None:
    frame = Frame.from_rgb(
        picture(
            ((100, 300, 500, 600), CAR),
            ((260, 500, 340, 520), plate(7)),
            ((800, 200, 1200, 480), CAR),
            ((960, 400, 1060, 426), plate(3)),
        )
    )
    (scene,) = cascade([frame])
    order = np.argsort(scene.vehicles.boxes[:, 0])
    np.testing.assert_allclose(
        scene.vehicles.boxes[order], [[100, 300, 500, 600], [800, 200, 1200, 480]], atol=3
    )
    assert [color and color.label for color in scene.colors] == ["blue", "blue"]
    plates = scene.plates
    found = {reading.text: row for row, reading in enumerate(plates.readings) if reading}
    assert set(found) == {"7", "3"}
    for text, box, side in (("7", [260, 500, 340, 520], 0), ("3", [960, 400, 1060, 426], 1)):
        row = found[text]
        np.testing.assert_allclose(plates.detections.boxes[row], box, atol=2)
        assert plates.vehicle[row] == order[side]


def one_car(left: int, digit: int) -> Frame:
    return Frame.from_rgb(
        picture(((left, 300, left + 400, 600), CAR), ((left + 160, 500, left + 240, 520), plate(digit)))
    )


def texts(scene: Scene) -> list[str | None]:
    return [reading and reading.text for reading in scene.plates.readings]


def test_frames_of_a_batch_stay_apart(cascade: Cascade) -> None:
    empty = Frame.from_rgb(picture())
    frames = [one_car(100, 4), empty, one_car(700, 5), one_car(20, 6), empty]
    scenes = cascade(frames)
    assert [texts(scene) for scene in scenes] == [["4"], [], ["5"], ["6"], []]
    assert [len(scene.vehicles) for scene in scenes] == [1, 0, 1, 1, 0]
    for frame, scene in zip(frames, scenes, strict=True):
        (alone,) = cascade([frame])
        np.testing.assert_allclose(alone.vehicles.boxes, scene.vehicles.boxes)
        np.testing.assert_allclose(alone.plates.detections.boxes, scene.plates.detections.boxes)
        assert alone.colors == scene.colors


def test_no_frames_no_scenes(cascade: Cascade) -> None:
    assert cascade([]) == []
    assert cascade.read_crops([]) == []


def test_planes_give_what_rgb_gives(cascade: Cascade) -> None:
    frame = one_car(100, 7)
    planes = av.VideoFrame.from_ndarray(frame.rgb(), "rgb24").reformat(
        format="yuv420p", dst_colorspace=av.video.reformatter.Colorspace.ITU709
    )
    y, u, v = (np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[:, : p.width] for p in planes.planes)
    (expected,), (scene,) = cascade([frame]), cascade([Frame.from_planes(y, u, v, matrix="bt709")])
    np.testing.assert_allclose(scene.vehicles.boxes, expected.vehicles.boxes, atol=3)
    np.testing.assert_allclose(scene.plates.detections.boxes, expected.plates.detections.boxes, atol=3)
    assert texts(scene) == ["7"]


LONE_PLATE = Frame.from_rgb(picture(((600, 300, 700, 330), plate(2))))


@pytest.mark.parametrize(("direct", "expected"), [("auto", ["2"]), ("always", ["2"]), ("never", [])])
def test_a_plate_without_a_vehicle(toy_weights: Path, direct: str, expected: list[str]) -> None:
    config = CascadeConfig.model_validate({"direct": direct})
    (scene,) = Cascade.load(weights=toy_weights, threads=1, config=config)([LONE_PLATE])
    assert texts(scene) == expected
    assert scene.plates.vehicle.tolist() == [-1] * len(expected)


def test_the_frame_itself_is_searched_unless_never(toy_weights: Path) -> None:
    beside = (1100, 600, 1180, 620)
    frame = Frame.from_rgb(
        picture(((40, 100, 340, 300), CAR), ((150, 250, 230, 270), plate(1)), (beside, plate(8)))
    )
    never, auto = (
        Cascade.load(weights=toy_weights, threads=1, config=CascadeConfig.model_validate({"direct": direct}))
        for direct in ("never", "auto")
    )

    def boxes(cascade: Cascade) -> list[list[int]]:
        (scene,) = cascade([frame])
        return sorted(np.round(scene.plates.detections.boxes, -1).astype(int).tolist())

    at_vehicle, around_both = [150, 250, 230, 270], [150, 250, 1180, 620]
    assert boxes(never) == [at_vehicle]
    assert boxes(auto) == [at_vehicle, around_both]  # the toy sees one plate a view


def test_unsure_plates_are_read_again_by_their_box(toy_weights: Path) -> None:
    once, twice = (
        Cascade.load(weights=toy_weights, threads=1, config=CascadeConfig(reread_below=below))
        for below in (0.0, 1.0)
    )
    frame = Frame.from_rgb(picture(((600, 300, 700, 330), (255, 120, 0))))  # green between two digits
    box = np.array([[600, 300, 700, 330]], np.float32)
    # The corners' lower half is beside the plate, the box is true.
    corners = np.array([[[600, 300], [700, 300], [700, 345], [600, 345]]], np.float32)
    found = [Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64), corners)]
    (((first,),), ((second,),)) = once.read_plates([frame], found), twice.read_plates([frame], found)
    assert second.confidence >= first.confidence
    assert second.text == "4"
    assert first.text != "4"


def test_unsure_crops_are_read_with_less_and_more_around(toy_weights: Path) -> None:
    once, thrice = (
        Cascade.load(weights=toy_weights, threads=1, tasks=("lprnet",), config=CascadeConfig(reread_below=b))
        for b in (0.0, 1.0)
    )
    rgb = np.zeros((64, 160, 3), np.uint8)
    rgb[4:60, 10:150] = plate(6)  # the black rim lowers the toy's mean green
    frames = [Frame.from_rgb(rgb), LONE_PLATE, Frame.from_rgb(rgb)]
    first, best = once.read_crops(frames), thrice.read_crops(frames)
    assert first[0].text == "5"
    assert best[0].text == best[2].text == "6"
    assert all(b.confidence >= a.confidence for a, b in zip(first, best, strict=True))


def test_small_things_are_left_alone(toy_weights: Path) -> None:
    config = CascadeConfig(direct="never", min_plate=24, min_vehicle=300)
    cascade = Cascade.load(weights=toy_weights, threads=1, config=config)
    (scene,) = cascade([one_car(100, 4)])
    assert scene.plates.readings == (None,)
    small = Frame.from_rgb(picture(((100, 300, 300, 500), CAR), ((160, 450, 240, 480), plate(4))))
    (scene,) = cascade([small])
    assert len(scene.vehicles) == 1
    assert len(scene.plates) == 0


def test_stages_can_be_left_out(toy_weights: Path) -> None:
    config = CascadeConfig(read=False, color=False)
    cascade = Cascade.load(weights=toy_weights, threads=1, config=config)
    assert set(cascade.sessions) == {"tcnet", "lpdnet"}
    (scene,) = cascade([one_car(100, 4)])
    assert scene.colors == (None,)
    assert scene.plates.readings == (None,)


def test_thresholds_replace_the_cards(toy_weights: Path) -> None:
    config = CascadeConfig(vehicle_score=0.95, plate_score=0.85)
    (scene,) = Cascade.load(weights=toy_weights, threads=1, config=config)([one_car(100, 4)])
    assert len(scene.vehicles) == len(scene.plates) == 0


@pytest.mark.parametrize(
    ("doubtful", "surely", "expected"), [(0.3, 0.5, ["4"]), (0.3, 1.0, []), (0.9, 0.5, [])]
)
def test_a_doubtful_plate_counts_if_it_is_read_surely(
    toy_weights: Path, tmp_path: Path, doubtful: float, surely: float, expected: list[str]
) -> None:
    for task in TASKS:
        card = load_card(toy_weights / f"{task}.yaml")
        if task == "lpdnet":
            card = card.model_copy(update={"score_threshold": 0.85})
        (tmp_path / card.onnx).write_bytes((toy_weights / card.onnx).read_bytes())
        save_card(card, tmp_path / f"{task}.yaml")
    config = CascadeConfig(direct="never", doubtful_plate=doubtful, read_surely=surely)
    (scene,) = Cascade.load(weights=tmp_path, threads=1, config=config)([one_car(100, 4)])
    assert texts(scene) == expected
    (unread,) = Cascade.load(weights=tmp_path, threads=1, config=CascadeConfig(read=False))([one_car(100, 4)])
    assert len(unread.plates) == 0


def test_stages_by_themselves_make_the_whole(cascade: Cascade) -> None:
    frames = [one_car(100, 3), one_car(500, 9)]
    scenes = cascade(frames)
    vehicles = cascade.detect_vehicles(frames)
    plates = cascade.find_plates(frames, vehicles)
    readings = cascade.read_plates(frames, [found.detections for found in plates])
    colors = cascade.name_colors(frames, vehicles)
    assert all(found.readings == (None,) for found in plates)
    assert [[reading.text for reading in row] for row in readings] == [["3"], ["9"]]
    assert colors == [scene.colors for scene in scenes]


def test_crops_are_read_whole(toy_weights: Path) -> None:
    cascade = Cascade.load(weights=toy_weights, threads=1, tasks=("lprnet",))
    crops = [Frame.from_rgb(np.full((20 + n, 90, 3), plate(n), np.uint8)) for n in range(10)]
    assert "".join(reading.text for reading in cascade.read_crops(crops)) == "0123456789"


def test_time_is_accounted_for(toy_weights: Path) -> None:
    cascade = Cascade.load(weights=toy_weights, threads=1)
    cascade([one_car(100, 3)])
    stages = ("pixels", "network", "decode")
    assert set(cascade.seconds) == {f"{task}.{stage}" for task in TASKS for stage in stages}
    assert min(cascade.seconds.values()) > 0


def test_a_folder_of_some_networks_is_completed_from_the_package(toy_weights: Path, tmp_path: Path) -> None:
    for suffix in ("onnx", "yaml"):
        (tmp_path / f"lprnet.{suffix}").symlink_to(toy_weights / f"lprnet.{suffix}")
    cascade = Cascade.load(weights=tmp_path, threads=1, tasks=("lprnet",))
    assert cascade.sessions["lprnet"].card.description == "a toy for tests"
    with pytest.raises(UserError, match=r"none of tcnet\.yaml there"):
        Cascade.load(weights=tmp_path, tasks=("tcnet",))


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError):
        CascadeConfig.model_validate({"direkt": "always"})
    with pytest.raises(ValidationError):
        CascadeConfig(plate_score=1.5)
