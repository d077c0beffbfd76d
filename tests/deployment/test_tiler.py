"""The picture of all streams side by side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateloop.deployment.capture import Shot
from plateloop.deployment.overlay import Mark
from plateloop.deployment.sinks.worker import Result
from plateloop.deployment.tiler import Tile, Tiler, TilerConfig, bar, grid
from plateloop.frame import Frame

SIZES = st.tuples(st.integers(80, 960), st.integers(45, 540)).map(lambda half: (2 * half[0], 2 * half[1]))


def result(size: tuple[int, int], colour: tuple[int, int, int], *marks: Mark) -> Result:
    width, height = size
    frame = Frame.from_rgb(np.full((height, width, 3), colour, np.uint8))
    return Result(0, Shot(0, 0.0, 0.0, frame), marks, ())


@given(st.integers(1, 60), SIZES, st.one_of(st.none(), st.integers(1, 16)))
def test_cells_lie_in_the_picture_in_order_and_do_not_overlap(
    count: int, size: tuple[int, int], columns: int | None
) -> None:
    cells = grid(count, size, columns)
    assert len(cells) == count
    covered = np.zeros((size[1], size[0]), np.uint8)
    for x, y, width, height in cells:
        assert min(x, y, width, height) >= 0 and x + width <= size[0] and y + height <= size[1]
        assert not any(value % 2 for value in (x, y, width, height))
        covered[y : y + height, x : x + width] += 1
    assert covered.max() <= 1
    assert cells == sorted(cells, key=lambda cell: (cell[1], cell[0]))


@given(st.integers(1, 30))
def test_as_many_columns_as_show_the_streams_largest(count: int) -> None:
    def shown(columns: int | None) -> float:
        _, _, width, height = grid(count, (1280, 720), columns)[0]
        return min(width / 16, (height - bar(height)) / 9)

    # The gap between neighbours is not weighed.
    assert shown(None) >= max(shown(columns) for columns in range(1, count + 1)) - 2 / 16


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (4, 2, 2), (6, 3, 2), (9, 3, 3)]
)
def test_the_usual_walls(count: int, columns: int, rows: int) -> None:
    cells = grid(count, (1920, 1080))
    assert (len({cell[0] for cell in cells}), len({cell[1] for cell in cells})) == (columns, rows)


def test_pictures_keep_their_shape_and_lie_in_the_middle_with_their_name_below() -> None:
    tiler = Tiler(TilerConfig(width=640, height=360))
    picture = tiler.lay([Tile("tall", result((100, 400), (200, 60, 60)))])
    assert picture.shape == (360, 640, 3)
    rows, columns = np.nonzero(np.abs(picture.astype(int) - (200, 60, 60)).max(2) < 5)
    assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == pytest.approx(0.25, abs=0.01)
    assert columns.min() + columns.max() == pytest.approx(639, abs=1)
    strip = picture[rows.max() + 1 : rows.max() + 1 + bar(360)]
    assert strip.max() > 180, "the name is written"


def test_marks_are_drawn_at_the_size_of_the_cell() -> None:
    tiler = Tiler(TilerConfig(width=1280, height=720))
    box = (480.0, 270.0, 1440.0, 810.0)
    plain = result((1920, 1080), (90, 90, 90))
    marked = result((1920, 1080), (90, 90, 90), Mark(0, box))
    before = tiler.lay([Tile("a", plain), Tile("b", plain)]).copy()
    after = tiler.lay([Tile("a", plain), Tile("b", marked)])
    rows, columns = np.nonzero((before != after).any(2))
    x, y, width, height = grid(2, (1280, 720))[1]
    middle = x + width / 2, y + (height - bar(height)) / 2
    assert (columns.min() + columns.max()) / 2 == pytest.approx(middle[0], abs=3)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(middle[1], abs=3)
    assert np.ptp(columns) == pytest.approx(width / 2, abs=6)


def test_only_what_changed_is_drawn_and_a_note_dims() -> None:
    tiler = Tiler(TilerConfig(width=640, height=360))
    one, other = result((160, 90), (200, 200, 200)), result((160, 90), (60, 160, 60))
    picture = tiler.lay([Tile("a", one), Tile("b", other)])
    x, y, width, height = grid(2, (640, 360))[1]
    centre = (y + (height - bar(height)) // 2, x + width // 2)
    assert picture[centre].tolist() == pytest.approx([60, 160, 60], abs=2)
    picture[:20] = 0
    tiler.lay([Tile("a", one), Tile("b", other, "ended")])
    assert picture[centre].max() < 70
    assert not picture[:20, : x - 2].any(), "the other cell is left alone"
    assert tiler.lay([Tile("b", other)])[180, 320].tolist() == pytest.approx([60, 160, 60], abs=2)
    assert tiler.lay([]).max() < 30


@pytest.mark.parametrize("name", ["", "x" * 3000, "кадр\n\x00zwei", "a\ud800b", "🚗" * 40, "مخيم"])
def test_any_name_is_written(name: str) -> None:
    tiler = Tiler(TilerConfig(width=160, height=90))
    for count in (1, 4, 40):
        tiler.lay([Tile(name, None, "no picture for 1234 s")] * count)
