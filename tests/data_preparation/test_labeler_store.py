"""What is labelled stays: edits survive kill -9, two writers, other programs and full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plateloop.data_preparation.labeler import journal as journal_module
from plateloop.data_preparation.labeler.index import REVIEWED
from plateloop.data_preparation.labeler.journal import NAME as JOURNAL
from plateloop.data_preparation.labeler.journal import version
from plateloop.data_preparation.labeler.store import ConflictError, Store
from plateloop.data_preparation.manifest import NAME, Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.errors import UserError


def sample(number: int) -> Record:
    return Record(
        file=f"images/{number:06d}.jpg",
        width=640,
        height=360,
        vehicles=(Vehicle(box=(10, 20, 200, 150), label="car"),),
        plates=(Plate(box=(60, 100, 120, 120), text=f"AB{number}", vehicle=0),),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_manifest(tmp_path, map(sample, range(5)))
    return tmp_path


def colored(record: Record, color: str) -> Record:
    return record.model_copy(
        update={"vehicles": (record.vehicles[0].model_copy(update={"color": color}), *record.vehicles[1:])}
    )


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def colors(folder: Path) -> list[str | None]:
    return [record.vehicles[0].color for record in read_manifest(folder)]


def paint(store: Store, row: int, color: str) -> Record:
    record = store.record(row)
    return store.put(row, version(record), colored(record, color))


def test_edits_reach_the_manifest_on_save_and_the_journal_at_once(folder: Path) -> None:
    before = (folder / NAME).read_bytes().splitlines()
    store = Store(folder)
    paint(store, 2, "red")
    paint(store, 2, "blue")
    assert (folder / NAME).read_bytes().splitlines() == before
    assert [json.loads(line)["record"]["vehicles"][0]["color"] for line in lines(folder / JOURNAL)] == [
        "red",
        "blue",
    ]
    assert store.unfolded == 1
    assert store.fold() == 1
    after = (folder / NAME).read_bytes().splitlines()
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, True, False, True, True]
    assert store.record(2).vehicles[0].color == "blue"
    assert paint(store, 4, "green").vehicles[0].color == "green"
    store.close()
    assert colors(folder) == [None, None, "blue", None, "green"]
    history = [json.loads(line) for line in lines(folder / JOURNAL)]
    assert [line.get("folded") for line in history] == [None, None, 1, None, 1]


def test_a_stale_write_is_refused_and_told_what_is_there(folder: Path) -> None:
    store = Store(folder)
    seen = store.record(1)
    paint(store, 1, "red")
    with pytest.raises(ConflictError) as caught:
        store.put(1, version(seen), colored(seen, "blue"))
    assert caught.value.record == store.record(1)
    # One plate can be read while somebody else paints the car.
    read = seen.plates[0].model_copy(update={"text": "XY1", "annotation": "annotated"})
    assert store.put_plate(1, 0, seen.plates[0], read).vehicles[0].color == "red"
    with pytest.raises(ConflictError):
        store.put_plate(1, 0, seen.plates[0], read.model_copy(update={"text": "ZZ9"}))
    store.close()
    assert colors(folder)[1] == "red"
    assert [r.plates[0].text for r in read_manifest(folder)] == ["AB0", "XY1", "AB2", "AB3", "AB4"]


EDITOR = """
import sys, time
from pathlib import Path
from plateloop.data_preparation.labeler.journal import version
from plateloop.data_preparation.labeler.store import Store
store = Store(Path(sys.argv[1]))
for number in range(10_000):
    record = store.record(number % 5)
    vehicle = record.vehicles[0].model_copy(update={"color": f"color-{number}"})
    store.put(number % 5, version(record), record.model_copy(update={"vehicles": (vehicle,)}))
    print(number, flush=True)
"""


def test_nothing_acknowledged_is_lost_by_kill_9(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", EDITOR, str(folder)], stdout=subprocess.PIPE, text=True
    ) as editor:
        assert editor.stdout is not None
        acknowledged = [int(editor.stdout.readline()) for _ in range(40)]
        editor.kill()
        acknowledged += [int(line) for line in editor.stdout if line.endswith("\n")]
    assert colors(folder) == [None] * 5
    store = Store(folder)
    assert store.recovered == 5
    store.close()
    last = acknowledged[-1]
    for row, color in enumerate(colors(folder)):
        # The last edit may have been written, but not yet acknowledged.
        expected = [f"color-{n}" for n in range(last - 4, last + 2) if n % 5 == row]
        assert color in expected


def test_a_line_cut_off_by_a_crash_hurts_no_other(folder: Path) -> None:
    store = Store(folder)
    paint(store, 0, "red")
    paint(store, 1, "blue")
    os.truncate(folder / JOURNAL, (folder / JOURNAL).stat().st_size - 30)
    # As after a crash: no fold, the lock gone.
    store._journal.close()
    again = Store(folder)
    paint(again, 3, "green")
    again.close()
    assert colors(folder) == ["red", None, None, "green", None]


def test_a_crash_between_manifest_and_mark_is_harmless(folder: Path) -> None:
    store = Store(folder)
    paint(store, 0, "red")
    journal = (folder / JOURNAL).read_bytes()
    store.close()
    (folder / JOURNAL).write_bytes(journal)
    again = Store(folder)
    assert again.recovered == 1
    assert again.conflicts == []
    again.close()
    assert colors(folder) == ["red", None, None, None, None]


def test_what_another_program_wrote_meanwhile_is_not_overwritten(folder: Path) -> None:
    store = Store(folder)
    paint(store, 0, "red")
    paint(store, 1, "blue")
    write_manifest(
        folder, (colored(r, "pink") if r.file.endswith("1.jpg") else r for r in map(sample, range(5)))
    )
    store.fold()
    assert store.conflicts == ["images/000001.jpg"]
    assert store.record(1).vehicles[0].color == "pink"
    store.close()
    assert colors(folder) == ["red", "pink", None, None, None]
    assert '"blue"' in (folder / JOURNAL).read_text()


def test_lines_that_are_no_records_stay_as_they_are(folder: Path) -> None:
    before = lines(folder / NAME)
    odd = ['{"file": "images/odd.jpg"}', "not JSON", before[0]]
    (folder / NAME).write_text("\n".join([before[0], *odd, *before[1:]]))
    store = Store(folder)
    assert len(store) == 5
    assert sorted(store.index.skipped) == [2, 3, 4]
    assert store.index.skipped[4] == "images/000000.jpg is listed before"
    paint(store, 1, "red")
    store.close()
    after = lines(folder / NAME)
    assert after[1:4] == odd
    assert after[0] == before[0]
    assert json.loads(after[4])["vehicles"][0]["color"] == "red"


def test_one_labeler_a_folder(folder: Path, tmp_path: Path) -> None:
    store = Store(folder)
    with pytest.raises(UserError, match="another `plateloop label` has it open"):
        Store(folder)
    store.close()
    Store(folder).close()
    with pytest.raises(UserError, match="make one with"):
        Store(tmp_path / "elsewhere")


def test_nothing_is_left_behind_where_there_is_nothing_to_label(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("not JSON\n")
    with pytest.raises(UserError, match="no picture to label"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_full_disk_is_told_and_leaves_no_half_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(folder)
    paint(store, 0, "red")
    whole = (folder / JOURNAL).read_bytes()
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if len(data) > 20:
            return write(handle, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        paint(store, 1, "blue")
    monkeypatch.undo()
    assert (folder / JOURNAL).read_bytes() == whole
    assert store.record(1).vehicles[0].color is None
    paint(store, 1, "green")
    store.close()
    assert colors(folder)[:2] == ["red", "green"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "other.jpg"}, "file and size"),
        ({"vehicles": (Vehicle(box=(10, 20, 700, 90), label="car"),)}, "does not lie in the picture"),
        ({"vehicles": (Vehicle(box=(10, 20, 10, 90), label="car"),)}, "does not lie in the picture"),
        ({"plates": (Plate(box=(1, 1, 9, 9), vehicle=1),)}, "names vehicle 1, of 1"),
        ({"plates": (Plate(box=(1, 1, 9, 9), text="AB-1"),)}, "'AB-1' is not"),
    ],
)
def test_labels_that_cannot_be_are_refused(folder: Path, change: dict[str, object], message: str) -> None:
    store = Store(folder)
    record = store.record(0)
    with pytest.raises(ValueError, match=message):
        store.put(0, version(record), record.model_copy(update=change))
    store.close()
    assert (folder / JOURNAL).read_bytes() == b""


def test_plates_are_followed_through_edits(folder: Path) -> None:
    store = Store(folder)
    record = store.record(0)
    store.index.certainty[0] = 0.5
    second = Plate(box=(300, 100, 340, 120), annotation="annotated")
    record = store.put(
        0,
        version(record),
        record.model_copy(update={"plates": (*record.plates, second), "tags": (REVIEWED,)}),
    )
    assert [len(store.index.plates_in(state)) for state in ("all", "todo", "done")] == [6, 5, 1]
    assert [len(store.index.rows(state)) for state in ("all", "todo", "done")] == [5, 4, 1]
    assert store.index.certainty[0] == 0.5
    record = store.put(0, version(record), record.model_copy(update={"plates": (second,)}))
    assert [len(store.index.plates_in(state)) for state in ("all", "todo", "done")] == [5, 4, 1]
    assert store.index.certainty[0] != store.index.certainty[0]
    store.close()


def test_a_hundred_thousand_pictures(tmp_path: Path) -> None:
    line = json.dumps(sample(0).model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    with (tmp_path / NAME).open("w") as out:
        for number in range(100_000):
            out.write(line.replace("images/000000", f"images/{number:06d}") + "\n")
    start = time.perf_counter()
    store = Store(tmp_path)
    opened = time.perf_counter() - start
    assert len(store) == 100_000
    assert store.record(99_999).file == "images/099999.jpg"
    start = time.perf_counter()
    for row in range(0, 100_000, 5_000):
        paint(store, row, "red")
    edited = (time.perf_counter() - start) / 20
    assert len(store.index.plates_in("todo")) == 100_000
    start = time.perf_counter()
    assert store.fold() == 20
    folded = time.perf_counter() - start
    assert store.record(5_000).vehicles[0].color == "red"
    assert store.record(5_001).file == "images/005001.jpg"
    store.close()
    assert sum('"red"' in text for text in lines(tmp_path / NAME)) == 20
    # Generous: a busy machine of two cores.
    assert opened < 20
    assert edited < 0.5
    assert folded < 5
