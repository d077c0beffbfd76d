"""``plateloop store``: what is found, printed, exported and deleted."""

import csv
import json
import time
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import Call
from plateloop.deployment.search import matching
from plateloop.deployment.store import Store
from plateloop.types import Event, EventVehicle

HOSTILE = '=HYPERLINK("http://x";"[red]gate[/]")'


def passage(identity: str, phase: str, text: str | None, source: str = "gate") -> Event:
    vehicle = EventVehicle(label="car", color="blue", box=(1, 2, 30, 40), confidence=0.9)
    return Event(
        id=identity, phase=phase, source=source, track=1, text=text, confidence=0.9 if text else 0.0,
        first_s=0, last_s=1, frames=9, readings=3, vehicle=vehicle, plate=None,
    )  # fmt: skip


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Three vehicles: the first one's text changes, the second has a hostile camera, the third no text."""
    store = Store.open(tmp_path / "events.db")
    now = time.time()
    store.append([passage("a", "begin", "7ABC12O")], now - 10 * 86_400, owed_to=["kafka:h:1/t"])
    store.append([passage("a", "end", "7ABC120")], now - 10 * 86_400)
    store.append([passage("b", "end", "B1OO", HOSTILE)], now - 5 * 86_400)
    store.append([passage("c", "end", None)], now)
    store.close()
    return tmp_path / "events.db"


@pytest.fixture
def call(plateloop: Call) -> Call:
    return partial(plateloop, "store")


def test_list_shows_each_vehicle_once(filled: Path, call: Call) -> None:
    lines = [json.loads(line) for line in call("list", filled, "--json").stdout.splitlines()]
    assert [(line["id"], line["text"], line["sequence"]) for line in lines] == [
        ("a", "7ABC120", 2), ("b", "B1OO", 1), ("c", None, 3),
    ]  # fmt: skip
    assert len(call("list", filled, "--json", "--phases").stdout.splitlines()) == 4
    shown = call("list", filled).stdout
    assert "7ABC120" in shown and "[red]" in shown and "1 events wait for kafka:h:1/t" in shown
    recent = call("list", filled, "--json", "--since", "2020-01-01", "--source", "gate", "--last", "1").stdout
    assert json.loads(recent)["id"] == "c"


def test_a_terminal_obeys_no_name(filled: Path, call: Call) -> None:
    store = Store.open(filled)
    store.append([passage("d", "end", "X", "gate\x1b]0;owned\x07\n\x9b2J")], time.time())
    store.close()
    for done in (call("list", filled), call("list", filled, "--json")):
        assert not {"\x1b", "\x07", "\x9b"} & set(done.stdout) and "\\u001b]0;owned" in done.stdout
    last = json.loads(call("list", filled, "--json", "--last", "1").stdout)
    assert last["source"] == "gate\x1b]0;owned\x07\n\x9b2J"


def test_search_finds_by_parts_and_mistakes(filled: Path, call: Call) -> None:
    found = call("search", filled, "7abc*2o", "--json")
    assert found.returncode == 0 and json.loads(found.stdout)["id"] == "a"
    assert json.loads(call("search", filled, "8I00", "--edits", "1", "--json").stdout)["id"] == "b"
    nothing = call("search", filled, "8100", "--edits", "1", "--exact", "--json")
    assert nothing.returncode == 1 and nothing.stdout == ""


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_export(filled: Path, tmp_path: Path, form: str, call: Call) -> None:
    if form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    file = tmp_path / f"out.{form}"
    assert call("export", filled, file).returncode == 0
    if form == "csv":
        rows = list(csv.DictReader(StringIO(file.read_text())))
        assert rows[1]["source"] == f"'{HOSTILE}" and rows[2]["text"] == ""
        assert float(rows[0]["vehicle_y2"]) == 40
    elif form == "jsonl":
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert rows[1]["source"] == HOSTILE
    else:
        rows = parquet.read_table(file).to_pylist()
        assert rows[1]["source"] == HOSTILE and rows[2]["text"] is None
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert not list(tmp_path.glob(".*"))


def test_prune_keeps_what_is_owed(filled: Path, call: Call) -> None:
    assert call("prune", filled, "--days", 3).stdout == "1 phases deleted, 3 kept\n"
    assert call("prune", filled, "--days", 3, "--owed-too").stdout == "2 phases deleted, 1 kept\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "absent.db"], "no such store"),
        (["export", "{}", "x.xlsx"], "must end in one of"),
        (["list", "{}", "--since", "yesterday"], "not a time"),
        (["list", "postgresql://u:hunter2@127.0.0.1:1/x"], "127.0.0.1"),
        (["list", "postgresql://127.0.0.1:1/x?user=u&password=hunter2"], "127.0.0.1"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, filled: Path, call: Call) -> None:
    done = call(*(argument.replace("{}", str(filled)) for argument in arguments))
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("wanted", "edits", "found"),
    [
        ("AB*", 0, ["ABC1"]), ("?BC1", 0, ["ABC1"]), ("ABCI", 0, ["ABC1"]), ("abc-1", 0, ["ABC1"]),
        ("ABC", 1, ["ABC1"]), ("ABBC1", 1, ["ABC1"]), ("XXC1", 1, []), ("*", 0, ["ABC1", "0D"]),
        ("", 0, []), ("OD", 0, ["0D"]), ("*C*", 0, ["ABC1"]), ("X*1", 1, ["ABC1"]), ("[AB]*", 0, ["ABC1"]),
    ],
)  # fmt: skip
def test_matching(wanted: str, edits: int, found: list[str]) -> None:
    assert matching(["ABC1", "0D"], wanted, edits) == found


_TEXTS = st.text("AB01", max_size=6)


@given(_TEXTS, _TEXTS)
def test_a_star_on_both_sides_finds_parts(text: str, part: str) -> None:
    assert (matching([text], f"*{part}*") == [text]) == (part in text)


@given(_TEXTS, _TEXTS, st.integers(0, 3))
def test_edits_are_levenshtein_s(text: str, wanted: str, edits: int) -> None:
    def distance(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        swap = distance(a[1:], b[1:]) + (a[0] != b[0])
        return swap if a[0] == b[0] else min(swap, distance(a[1:], b) + 1, distance(a, b[1:]) + 1)

    assert (matching([text], wanted, edits) == [text]) == (distance(text, wanted) <= edits)
