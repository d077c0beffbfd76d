"""Events as lines, in files that take each once, and made up."""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from plateloop.deployment.lines import LineFile, LineReader, as_line, gathered, simulate
from plateloop.errors import UserError
from plateloop.types import Event


def test_lines_come_back_as_they_were() -> None:
    made = list(islice(simulate(1e9), 20))
    reader = LineReader()
    back = list(reader.read(as_line(item) + "\n" for item in made))
    assert [(i.event, i.sequence, i.time, i.frame) for i in back] == [
        (i.event, i.sequence, i.time, i.frame) for i in made
    ]
    assert reader.bad == 0


def test_a_run_s_lines_are_numbered_by_source(passage: Callable[..., Event]) -> None:
    events = [
        passage("1", "begin", source="a"),
        passage("2", "end", source="b"),
        passage("1", "end", source="a"),
    ]
    back = list(LineReader().read(event.model_dump_json() + "\n" for event in events))
    assert [(i.sequence, i.position) for i in back] == [(1, 0), (1, 1), (2, 0)]


def test_bad_lines_are_told_and_an_unfinished_one_waits(
    passage: Callable[..., Event], caplog: pytest.LogCaptureFixture
) -> None:
    good = passage("1", "end").model_dump_json()
    reader = LineReader()
    lines = ["{}\n", "no JSON\n", "[]\n", "3\n", "\n", good + "\n", good[:40]]
    assert [item.event.id for item in reader.read(lines)] == ["1"]
    assert reader.bad == 4 and len(caplog.records) == 5
    # A text that holds no event at all was not cut off.
    other = LineReader()
    assert list(other.read(["hello"])) == [] and other.bad == 1


def test_a_file_takes_each_once_also_after_a_crash(tmp_path: Path) -> None:
    made = list(islice(simulate(1e9), 10))
    path = tmp_path / "x.jsonl"
    with LineFile(path) as file:
        assert file.load(made[:6]) == 6
    path.write_bytes(path.read_bytes()[:-20])
    with LineFile(path) as file:
        assert file.load(made) == 5
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [i.event.id for i in made]


def test_a_file_of_other_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(UserError, match="use another file"):
        LineFile(tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text() == '{"a": 1}\n'


def test_gathering_keeps_order_and_ends() -> None:
    made = list(islice(simulate(1e9), 1001))
    batches = list(gathered(iter(made), most=100))
    assert [item for batch in batches for item in batch] == made
    assert max(map(len, batches)) <= 100
