"""Real clips through the networks that ship."""

import json
from pathlib import Path

import pytest

from plateloop.deployment.config import load_config
from plateloop.deployment.launch import launch
from plateloop.types import Event


def finals(folder: Path) -> dict[str, list[Event]]:
    lines = (folder / "events.jsonl").read_text().splitlines()
    last = {event.id: event for event in map(Event.model_validate_json, lines)}
    result: dict[str, list[Event]] = {}
    for event in last.values():
        assert event.phase == "end"
        result.setdefault(Path(event.source).name, []).append(event)
    return result


def test_vehicles_of_real_clips_are_read_once(
    shared_data: Path, package_weights: Path, tmp_path: Path
) -> None:
    truth = {}
    for line in (shared_data / "clips.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["split"] == "val":
            truth[Path(record["file"]).name] = record["texts"]
    clips = [str(shared_data / "clips" / name) for name in truth]
    overrides = {"output": {"folder": tmp_path, "overlay": False}, "networks": {"threads": 1}}
    with launch(load_config(None, clips, overrides)) as run:
        assert run.pipeline.run() == []
    events = finals(tmp_path)
    told = {name: [e.text for e in events.get(name, []) if e.text is not None] for name in truth}
    assert told == truth, "each vehicle once, and no other text"


@pytest.mark.parametrize("overlay", [False, True])
def test_every_frame_of_a_phone_clip_goes_through(
    shared_data: Path, package_weights: Path, tmp_path: Path, overlay: bool
) -> None:
    clip = shared_data / "clips" / "Hamza-Bubere-43.mov"
    overrides = {"output": {"folder": tmp_path, "overlay": overlay}, "networks": {"threads": 1}}
    with launch(load_config(None, [str(clip)], overrides)) as run:
        assert run.pipeline.run() == []
        report = run.pipeline.reports[0]
    assert (report.frames, report.dropped, report.error) == (212, 0, None)
    (car,) = (e for e in finals(tmp_path)[clip.name] if e.text is not None)
    assert car.text == "90043"
    assert car.frames > 190, "seen all the way"
    assert car.vehicle is not None
    assert (car.vehicle.label, car.vehicle.color) == ("car", "white")
    assert bool(list(tmp_path.glob("*.mp4"))) == overlay
