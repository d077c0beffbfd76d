"""Filters of what is read back, and folders of Parquet that take each event once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plateloop.deployment.kafka.wanted import Wanted
from plateloop.deployment.lines import as_line, simulate
from plateloop.deployment.store import Stored
from plateloop.errors import UserError
from plateloop.types import Event

pa = pytest.importorskip("pyarrow", reason="needs the extra parquet")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
from plateloop.deployment.parquet import ParquetFolder  # noqa: E402

LOADER = """
import sys
from pathlib import Path
from plateloop.deployment.lines import LineReader
from plateloop.deployment.parquet import ParquetFolder
with open(sys.argv[2]) as lines:
    items = list(LineReader().read(lines))
folder = ParquetFolder(Path(sys.argv[1]), rows=97)
print("open", flush=True)
for start in range(0, len(items), 10):
    folder.load(items[start : start + 10])
folder.close()
"""


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ({}, True),
        ({"plate": "3O47*"}, True),
        ({"plate": "3O47*", "exact": True}, False),
        ({"plate": "??47002"}, True),
        ({"plate": "304"}, False),
        ({"source": "gate"}, True),
        ({"source": "gat"}, False),
        ({"confidence": 0.97}, True),
        ({"confidence": 0.98}, False),
        ({"phase": "end"}, True),
        ({"phase": "begin"}, False),
        ({"label": "car", "color": "blue"}, True),
        ({"label": "car", "color": "red"}, False),
    ],
)
def test_filters(asked: dict[str, Any], taken: bool, passage: Callable[..., Event]) -> None:
    assert Wanted(**asked).takes(passage("a", "end")) is taken


def test_an_unread_event_without_a_vehicle_has_nothing_to_match(passage: Callable[..., Event]) -> None:
    bare = passage("a", "end", text=None, confidence=0.0, vehicle=None)
    assert Wanted(phase="end").takes(bare)
    for asked in ({"plate": "*A*"}, {"confidence": 0.0}, {"label": "car"}, {"color": "blue"}):
        assert not Wanted(**asked).takes(bare)


def made(count: int) -> list[Stored]:
    source = simulate(1e9)
    return [next(source) for _ in range(count)]


def keys(folder: Path) -> list[tuple[str, int]]:
    table = pa.concat_tables([pq.read_table(part) for part in sorted(folder.glob("part-*.parquet"))])
    return list(zip(table["id"].to_pylist(), table["sequence"].to_pylist(), strict=True))


def test_parts_rotate_and_take_each_event_once_over_restarts(tmp_path: Path) -> None:
    items, folder = made(250), tmp_path / "events.parquet"
    with ParquetFolder(folder, rows=100) as opened:
        assert opened.load(items[:120]) == 120 and opened.load(items[:130]) == 10
    with ParquetFolder(folder, rows=100) as opened:
        assert opened.load(items) == 120
    assert sorted(path.name for path in folder.iterdir()) == [f"part-{n:06}.parquet" for n in (1, 2, 3)]
    assert keys(folder) == [(item.event.id, item.sequence) for item in items]
    assert pq.read_table(folder).num_rows == 250


def test_a_writer_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    items, folder = made(3000), tmp_path / "events.parquet"
    (tmp_path / "lines").write_text("".join(as_line(item) + "\n" for item in items))
    load = [sys.executable, "-c", LOADER, str(folder), str(tmp_path / "lines")]
    for pause in (0.03, 0.11, 0.23):
        with subprocess.Popen(load, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            os.kill(process.pid, signal.SIGKILL)
    subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
    assert sorted(keys(folder)) == sorted((item.event.id, item.sequence) for item in items)


def test_killed_between_a_part_and_the_journal_s_end(tmp_path: Path) -> None:
    items, folder = made(20), tmp_path / "events.parquet"
    opened = ParquetFolder(folder)
    opened.load(items)
    journal = (folder / "_journal.jsonl").read_bytes()
    opened.close()
    (folder / "_journal.jsonl").write_bytes(journal + b'{"id": "cut o')
    with ParquetFolder(folder) as again:
        assert again.load(items) == 0
    assert len(keys(folder)) == 20 and not (folder / "_journal.jsonl").exists()


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "part-1.parquet")
    with pytest.raises(UserError, match="not a part of events"):
        ParquetFolder(tmp_path)
