"""Labels that went out to Label Studio or CVAT come back into the open dataset; nothing is written over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plateloop.data_preparation.labeler.exchange import Import, export, settle, take_over
from plateloop.data_preparation.labeler.journal import NAME as JOURNAL
from plateloop.data_preparation.labeler.journal import version
from plateloop.data_preparation.labeler.store import Store
from plateloop.data_preparation.manifest import NAME, Plate, Record, Vehicle, read_manifest, write_manifest
from plateloop.errors import UserError

CORNERS = ((60.13, 100.5), (119.4, 101.27), (120.0, 120.0), (60.0, 119.9))


def sample(number: int) -> Record:
    """A picture whose labels are all that there can be; every third has none."""
    labels: dict[str, Any] = {
        "vehicles": (
            Vehicle(box=(10, 20, 200.123456, 150), label="car", color="red", annotation="auto", score=0.7),
            Vehicle(box=(300, 20, 400, 150), label="bus", attributes={"make": "MAN"}),
        ),
        "plates": (
            Plate(
                box=(60, 100.5, 120, 120), corners=CORNERS, text=f"AB{number}", vehicle=0, annotation="auto"
            ),
            Plate(
                box=(310, 100, 350, 120), text="B1", attributes={"raw_text": "b-1", "label": "number plate"}
            ),
        ),
        "ignore_plates": ((500.0, 10.0, 600.0, 40.0),),
    }
    return Record(
        file=f"street {number % 2}/{number:04d}.jpg",
        width=640,
        height=360,
        source="gate",
        attributes={"camera": "3"},
        tags=("night",),
        vehicles_annotated=number % 3 > 0,
        **(labels if number % 3 else {}),
    )


@pytest.fixture
def store(tmp_path: Path) -> Any:
    folder = tmp_path / "data"
    write_manifest(folder, map(sample, range(6)))
    store = Store(folder)
    yield store
    store.close()


@pytest.fixture(params=["cvat", "labelstudio"])
def sent(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Path:
    """All labels in a file of either kind."""
    path = tmp_path / {"cvat": "annotations.xml", "labelstudio": "tasks.json"}[request.param]
    with path.open("w", encoding="utf-8") as out:
        export(store, range(len(store)), request.param, out)
    return path


def counts(done: Import) -> tuple[int, int, int, int]:
    return done.taken, done.same, len(done.conflicts), len(done.report.skipped)


def put(store: Store, row: int, **change: Any) -> Record:
    record = store.record(row)
    return store.put(row, version(record), record.model_copy(update=change))


def test_what_comes_back_as_it_went_out_changes_nothing(store: Store, sent: Path) -> None:
    before = (store.folder / NAME).read_bytes()
    assert counts(take_over(store, sent, sent.name)) == (0, 6, 0, 0)
    assert store.unfolded == 0
    store.fold()
    assert (store.folder / NAME).read_bytes() == before


def test_the_rounding_of_a_tool_is_no_edit(store: Store, sent: Path) -> None:
    text = sent.read_text(encoding="utf-8")
    digits = 2 if sent.suffix == ".xml" else 4
    text = re.sub(r"(\d+\.\d{3,})", lambda found: f"{float(found[1]):.{digits}f}", text)
    sent.write_text(text, encoding="utf-8")
    assert counts(take_over(store, sent, sent.name)) == (0, 6, 0, 0)


def test_corrections_are_taken_over_and_count_as_peoples(store: Store, sent: Path) -> None:
    sent.write_text(sent.read_text(encoding="utf-8").replace("AB4", "XY4"), encoding="utf-8")
    archive = sent.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as out:
        out.write(sent, f"export/{sent.name}")
        out.writestr("images/1.jpg", b"")
    before = store.record(4)
    assert counts(take_over(store, archive, archive.name)) == (1, 5, 0, 0)
    after = store.record(4)
    assert (after.plates[0].text, after.plates[0].annotation) == ("XY4", "annotated")
    text = {"text": before.plates[0].text, "annotation": "auto"}
    restored = (after.plates[0].model_copy(update=text), *after.plates[1:])
    assert after.model_copy(update={"plates": restored}) == before
    # The history has the edit, and what it replaced.
    (line,) = (store.folder / JOURNAL).read_text(encoding="utf-8").splitlines()
    assert Record.model_validate(json.loads(line)["before"]) == before
    assert counts(take_over(store, archive, archive.name)) == (0, 6, 0, 0)


def test_what_both_sides_changed_is_a_conflict_and_not_overwritten(store: Store, sent: Path) -> None:
    put(store, 1, tags=("night", "reviewed"))  # came back unchanged: no conflict
    here = put(store, 4, plates=(Plate(box=(1, 1, 50, 20), text="HERE"),))
    both = put(store, 5, vehicles=(), plates=())
    text = sent.read_text(encoding="utf-8").replace("AB4", "XY4").replace("AB5", "XY5")
    sent.write_text(text, encoding="utf-8")
    done = take_over(store, sent, sent.name)
    assert counts(done) == (0, 4, 2, 0)
    assert [store.record(row) for row in (4, 5)] == [here, both]
    # Who edits a picture once more has not seen what would be written over it.
    newer = put(store, 5, tags=("night", "rain"))
    settle(store, done, [4, 5], take=True)
    assert [plate.text for plate in store.record(4).plates] == ["XY4", "B1"]
    assert store.record(5) == newer
    assert list(done.conflicts) == [5]
    settle(store, done, [5], take=False)
    assert store.record(5) == newer
    assert counts(done) == (1, 4, 0, 0)


def _unversioned(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'\s*<attribute name="plateloop_version">\w+</attribute>', "", text)
    path.write_text(re.sub(r', "plateloop_version": "\w+"', "", text), encoding="utf-8")


def test_labels_of_a_file_that_never_went_out_fill_what_is_empty(store: Store, sent: Path) -> None:
    _unversioned(sent)
    labelled = store.record(1)
    for row in (1, 2):
        put(store, row, vehicles=(), plates=(), ignore_plates=(), vehicles_annotated=False)
    put(store, 4, plates=(Plate(box=(1, 1, 50, 20), text="HERE"),))
    done = take_over(store, sent, sent.name)
    assert counts(done) == (2, 3, 1, 0)
    found = store.record(1)
    assert found.vehicles_annotated
    assert [v.box for v in found.vehicles] == [v.box for v in labelled.vehicles]
    assert [p.text for p in found.plates] == [p.text for p in labelled.plates]
    assert done.conflicts.keys() == {4}


def test_a_file_of_plates_alone_leaves_the_vehicles(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "plates.xml"
    points = ";".join(f"{x},{y}" for x, y in CORNERS)
    path.write_text(
        f"""<annotations><image id="0" name="C:\\cvat\\0001.jpg" width="640" height="360">
        <polygon label="plate" points="{points}"><attribute name="text">NEW 1</attribute></polygon>
        <tag label="picture"><attribute name="plateloop_version">{version(store.record(1))}</attribute></tag>
        </image><image id="1" name="street 0/0000.jpg" width="640" height="360"></image>
        <image id="2" name="elsewhere.jpg" width="640" height="360"></image>
        <image id="3" name="0002.jpg" width="64" height="36"></image></annotations>""",
        encoding="utf-8",
    )
    before = store.record(1)
    done = take_over(store, path, path.name)
    assert counts(done) == (1, 1, 0, 2)
    assert store.record(1).vehicles == before.vehicles
    assert store.record(1).plates[0].text == "NEW1"
    # An empty list says nothing of a picture that nobody has labelled.
    assert store.record(0) == sample(0)
    assert "no picture elsewhere.jpg in this dataset" in done.report.skipped["plates.xml: elsewhere.jpg"]
    assert "says 64×36" in done.report.skipped["plates.xml: 0002.jpg"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "neither Label Studio's JSON nor CVAT's XML"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n"), "neither Label Studio's JSON nor CVAT's XML"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "has 0 XML or JSON files"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    store: Store, tmp_path: Path, make: Callable[[Path], Any], message: str
) -> None:
    path = tmp_path / "odd"
    make(path)
    with pytest.raises(UserError, match=message):
        take_over(store, path, "odd")


@pytest.mark.parametrize("text", ["[{", "<annotations><image", "{}", '[{"data": 1}]', "<a/>"])
def test_a_damaged_file_is_told_in_a_line(store: Store, tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd"
    path.write_text(text)
    done = take_over(store, path, "odd")
    assert counts(done) == (0, 0, 0, 1)
    assert store.unfolded == 0


IMPORTER = """
import sys
from pathlib import Path
from plateloop.data_preparation.labeler import store as module
from plateloop.data_preparation.labeler.exchange import take_over
put_all = module.Store.put_all
def told(self, records):
    put_all(self, records)
    print(len(records), flush=True)
module.Store.put_all = told
take_over(module.Store(Path(sys.argv[1])), Path(sys.argv[2]), "tasks.json")
"""


def test_an_import_cut_off_by_kill_9_goes_on(tmp_path: Path) -> None:
    folder, path, count = tmp_path / "data", tmp_path / "tasks.json", 3000
    write_manifest(folder, (Record(file=f"{n}.jpg", width=640, height=360) for n in range(count)))
    store = Store(folder)
    with path.open("w") as out:
        export(store, range(count), "labelstudio", out)
    store.close()
    tasks = json.loads(path.read_text())
    for task in tasks:
        value = {"x": 1, "y": 2, "width": 10, "height": 20, "rotation": 0, "rectanglelabels": ["car"]}
        task["annotations"][0]["result"] = [{"id": "a", "type": "rectanglelabels", "value": value}]
    path.write_text(json.dumps(tasks))
    command = [sys.executable, "-c", IMPORTER, str(folder), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as importer:
        assert importer.stdout is not None
        kept = [int(importer.stdout.readline()) for _ in range(3)]
        importer.kill()
        kept += [int(line) for line in importer.stdout if line.endswith("\n")]
    store = Store(folder)
    assert sum(kept) <= store.recovered < count
    done = take_over(store, path, path.name)
    assert done.taken + done.same == count
    assert done.same == store.recovered
    store.close()
    assert all(record.vehicles and record.vehicles_annotated for record in read_manifest(folder))
