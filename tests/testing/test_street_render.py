"""The rendered street: its geometry, its truth, and the film."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateloop.errors import UserError
from plateloop.frame import Frame
from plateloop.testing.street import Street, read_truth, render_clip
from plateloop.testing.street.bodies import SHAPES, mesh
from plateloop.testing.street.camera import Camera, floats
from plateloop.testing.street.plates import plate_art
from plateloop.testing.street.raster import Pose, rasterize

SIZE = (640, 360)


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(seed=1, size=SIZE)


@given(
    pitch=st.floats(-0.5, 0.5),
    yaw=st.floats(-0.5, 0.5),
    x=st.floats(0, 640),
    y=st.floats(0, 360),
    depth=st.floats(1, 100),
)
def test_a_point_on_a_pixels_ray_is_seen_in_that_pixel(
    pitch: float, yaw: float, x: float, y: float, depth: float
) -> None:
    camera = Camera((1.0, -2.0, 3.5), pitch, yaw, 500.0, SIZE)
    point = floats(camera.position) + camera.rays(floats([x, y])) * np.float32(depth)
    assert np.allclose(camera.project(point), [x, y], atol=0.05)


@given(heading=st.floats(-4, 4), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_a_pose_there_and_back(heading: float, x: float, y: float) -> None:
    points = floats([[1, 2, 0.5], [-3, 0, 2]])
    pose = Pose(x, y, heading)
    assert np.allclose(pose.to_local(pose.to_world(points)), points, atol=1e-4)


@pytest.mark.parametrize("kind", SHAPES)
def test_bodies_are_whole_and_of_their_size(kind: str) -> None:
    body, shape = mesh(kind), SHAPES[kind]
    assert np.allclose(np.linalg.norm(body.normals, axis=1), 1, atol=1e-3)
    low, high = body.points.min(0), body.points.max(0)
    assert low[2] == pytest.approx(0, abs=0.02) and high[2] == pytest.approx(shape.height, abs=0.12)
    assert high[0] == pytest.approx(shape.nose, abs=0.15) and low[0] == pytest.approx(shape.tail, abs=0.15)
    assert 2 * shape.half - 0.1 < high[1] - low[1] < 2 * shape.half + 0.6  # with mirrors
    p, q, r = (body.points[body.triangles[:, k]] for k in range(3))
    volume = float(np.einsum("ij,ij->", p, np.cross(q, r))) / 6
    assert 0.3 < volume / float(np.prod(high - low)) < 1.0  # outside out, and no hole worth speaking of


def test_pixels_see_the_surface_where_the_camera_sees_it() -> None:
    camera = Camera((0.0, 0.0, 3.0), 0.15, 0.0, 600.0, SIZE)
    pose = Pose(0.5, 14.0, -1.4)
    seen = rasterize(mesh("sedan"), pose, camera)
    assert seen is not None
    rows, columns = np.nonzero(seen.mask)
    pixels = camera.project(pose.to_world(seen.points))
    error = np.abs(pixels - np.stack([columns + seen.left + 0.5, rows + seen.top + 0.5], -1)).max(1)
    assert np.median(error) < 0.01 and error.mean() < 0.2
    assert (np.einsum("ij,ij->i", seen.normals, seen.towards) > -0.3).all()


def test_nothing_is_seen_behind_the_camera() -> None:
    camera = Camera((0.0, 0.0, 3.0), 0.15, 0.0, 600.0, SIZE)
    assert rasterize(mesh("bus"), Pose(0.0, -20.0, 0.0), camera) is None


def test_plates_lie_where_the_truth_says(street: Street) -> None:
    seen = 0
    for number in (30, 90, 180):
        picture, truth = street.frame(number)
        frame = Frame.from_rgb(picture)
        for vehicle in truth.vehicles:
            if vehicle.corners is None or vehicle.corners[1][0] - vehicle.corners[0][0] < 22:
                continue
            x, y = np.array(vehicle.corners).T
            x1, y1, x2, y2 = vehicle.box
            assert x1 <= x.min() and x.max() <= x2 and y1 <= y.min() and y.max() <= y2
            found = frame.rectified(floats([vehicle.corners]), (52, 11))[0].mean(-1)
            art = street.traffic[vehicle.id][1].plate
            assert vehicle.text == art.text
            wanted = cv2.resize(art.image, (52, 11), interpolation=cv2.INTER_AREA).mean(-1)
            assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.6
            seen += 1
    assert seen >= 5


def test_every_vehicle_shows_its_plate_whole_and_large(street: Street) -> None:
    widest = dict.fromkeys(range(len(street.traffic)), 0.0)
    for number in range(0, 265, 12):
        for seen in street.frame(number)[1].vehicles:
            assert 0 <= seen.visible <= 1
            if seen.corners:
                width = seen.corners[1][0] - seen.corners[0][0]
                widest[seen.id] = max(widest[seen.id], width)
    assert min(widest.values()) > 18  # of a picture 640 wide


def test_hidden_plates_have_no_corners(street: Street) -> None:
    for seen in street.frame(20)[1].vehicles:
        if seen.visible < 0.3:
            assert seen.corners is None


def test_a_frame_is_the_same_whenever_it_is_drawn(street: Street) -> None:
    first, truth = street.frame(40)
    street.frame(7)
    again, truth_again = street.frame(40)
    assert np.array_equal(first, again) and truth == truth_again
    assert not np.array_equal(first, street.frame(41)[0])


def test_plates_depend_on_nothing_but_their_seed() -> None:
    a, b = (plate_art(np.random.default_rng(3), "de") for _ in range(2))
    assert a.text == b.text and np.array_equal(a.image, b.image)
    assert a.region == "DE" and a.size == (0.52, 0.11)


def test_a_clip_and_its_truth(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    clip = render_clip(
        tmp_path / "a.mp4", size=(320, 180), seconds=0.4, progress=lambda n, of: told.append((n, of))
    )
    assert clip.frames == 10 and told[-1] == (10, 10)
    with av.open(str(clip.video)) as video:
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(pictures) == 10 and pictures[0].shape == (180, 320, 3)
    truth = read_truth(clip.truth)
    assert [frame.frame for frame in truth] == list(range(10))
    assert {v.id: v.text for frame in truth for v in frame.vehicles} == clip.texts
    drawn, known = Street(1, (320, 180)).frame(9)
    assert known == truth[9]
    assert np.abs(pictures[9].astype(int) - drawn).mean() < 8


def test_what_is_no_truth_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such truth file"):
        read_truth(tmp_path / "absent.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"frame": "no"}\n')
    with pytest.raises(UserError, match=r"bad\.jsonl: not a truth file"):
        read_truth(tmp_path / "bad.jsonl")
