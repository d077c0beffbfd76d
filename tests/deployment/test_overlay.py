from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from plateloop.deployment.overlay import Mark, draw

QUAD = np.array([[40, 60], [90, 62], [90, 78], [40, 76]], np.float32)


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.any(before != after, axis=-1)


def test_a_mark_leaves_ink_where_it_belongs() -> None:
    picture = np.full((200, 300, 3), 90, np.uint8)
    after = draw(picture.copy(), [Mark(1, (20, 30, 140, 150), QUAD, "car #1", "AB12CD", 0.95)])
    ink = changed(picture, after)
    assert ink[150, 30:130].all(), "the box's lower edge"
    assert ink[59:79, 39:92].any(), "the plate's outline"
    assert not ink[:, 200:].any() and not ink[170:].any(), "nothing far away"


@pytest.mark.parametrize(
    "box", [(-50.0, -40.0, 900.0, 700.0), (290.0, 190.0, 310.0, 220.0), (5.0, 5.0, 5.0, 5.0)]
)
@pytest.mark.parametrize("size", [(1, 1), (8, 300), (200, 300)])
def test_marks_outside_the_picture_or_in_tiny_ones_do_no_harm(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    out = draw(picture, [Mark(9, box, QUAD + 1000, "white truck #123456", "WWWWWWWWWW", 0.4, QUAD)])
    assert out is picture


def test_nothing_to_draw_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    assert np.array_equal(draw(picture.copy(), []), picture)


def test_titles_make_room_for_one_another() -> None:
    alone, both = (np.full((200, 300, 3), 90, np.uint8) for _ in range(2))
    first = Mark(0, (0.0, 0.0, 280.0, 190.0), title="white car #1")
    draw(alone, [first])
    draw(both, [first, Mark(0, (2.0, 0.0, 200.0, 150.0), title="gray car #2")])
    title = alone[:16, 4:60]  # inside the boxes' lines
    np.testing.assert_array_equal(both[4:16, 8:60], title[4:, 4:])
    assert (both[18:32, 8:60] != alone[18:32, 8:60]).mean() > 0.5


def test_a_parked_vehicle_has_no_trail() -> None:
    def drawn(way: float) -> np.ndarray:
        rgb = np.full((200, 300, 3), 90, np.uint8)
        trail = np.linspace([100, 100], [100 + way, 100], 20).astype(np.float32)
        return draw(rgb, [Mark(0, (50.0, 50.0, 150.0, 150.0), trail=trail)])

    np.testing.assert_array_equal(drawn(5), drawn(0))
    assert (drawn(40) != drawn(0)).any()


def test_threads_do_not_write_with_one_anothers_font() -> None:
    def written(size: int) -> bytes:
        # Of another text each time: widths are remembered.
        marks = [Mark(1, (20, 30, 140, 150), QUAD, f"car #{n}", f"AB{n}", 0.95) for n in range(30)]
        return draw(np.zeros((size, size, 3), np.uint8), marks).tobytes()

    sizes = [300, 900, 1500, 2100] * 3
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(written, sizes))
    assert together == [written(size) for size in sizes]
