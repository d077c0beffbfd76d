"""Statistics: when pictures were taken, by whatever says so, and that the page shows it."""

from __future__ import annotations

import re
from pathlib import Path

import PIL.Image as Pillow
import pytest

from plateloop.data_preparation.manifest import Record
from plateloop.data_preparation.stats import count
from plateloop.data_preparation.stats_page import write_page
from plateloop.data_preparation.times import taken


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("images/gate_20240506-070809-123_000042.jpg", "2024-05-06 07:08:09"),
        ("IMG_20240506_070809.jpg", "2024-05-06 07:08:09"),
        ("20240506070809123.webp", "2024-05-06 07:08:09"),
        ("Screenshot 2024-05-06 07.08.09.png", "2024-05-06 07:08:09"),
        ("2024-05-06T07:08:09Z.png", "2024-05-06 07:08:09"),
        ("20240506-070809/a.jpg", None),
        ("20240506-250809.jpg", None),
        ("20241306-070809.jpg", None),
        ("120240506070809.jpg", None),
        ("2024050607080912.jpg", None),
        ("20240506.jpg", None),
    ],
)
def test_a_time_in_a_file_name(file: str, expected: str | None, tmp_path: Path) -> None:
    found = taken(tmp_path, Record(file=file, width=9, height=9))
    assert (found and str(found[1])) == expected


def test_hours_are_counted_by_what_says_them_first(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 23:59:59"
    for name in ("a.jpg", "b_20240506-070809.jpg", "c_20240506-070809.jpg"):
        Pillow.new("RGB", (9, 9)).save(tmp_path / name, exif=exif)
    Pillow.new("RGB", (9, 9)).save(tmp_path / "d.jpg")
    records = [Record(file=name, width=9, height=9) for name in ("a.jpg", "b_20240506-070809.jpg", "d.jpg")]
    said = {"time": "2024-05-06T07:30:00.000+00:00"}
    records.append(Record(file="c_20240506-070809.jpg", width=9, height=9, attributes=said))
    stats = count(records, tmp_path)
    assert stats.hours == {23: 1, 7: 2}
    assert stats.times == {"EXIF": 1, "file name": 1, "record": 1, "none": 1}
    write_page(tmp_path / "page.html", "streets", stats)
    (plot,) = re.findall("<h2>time of day</h2>.*?</section>", (tmp_path / "page.html").read_text("utf-8"))
    assert "none 1" in plot
    assert re.findall(r"<title>(\d+): ([1-9]\d*)</title>", plot) == [("7", "2"), ("23", "1")]
    write_page(tmp_path / "page.html", "streets", count(records[2:3], tmp_path))
    assert "1 records; none says when it was taken" in (tmp_path / "page.html").read_text("utf-8")
