"""Accuracy per vehicle: clips whose plates are known through the whole pipeline, judged by their events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plateloop.deployment.config import NetworksConfig, OutputConfig, PipelineConfig
from plateloop.deployment.launch import launch
from plateloop.deployment.sources import SourceConfig
from plateloop.errors import UserError, one_line
from plateloop.testing.judge import Item, Outcome
from plateloop.testing.metrics import match_texts
from plateloop.text import edit_distance
from plateloop.types import Event

NAME = "clips.jsonl"
AT_ONCE = 8
"""Clips that run through one pipeline together."""


class Clip(BaseModel):
    """A video and the texts of the plates that appear in it. Other keys of its line are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    file: str = Field(description="the video, relative to the list's folder")
    texts: tuple[str, ...] = Field((), description="A-Z 0-9; empty where the truth is not known")
    source: str = ""
    region: str | None = None
    split: str | None = None


def read_clips(folder: Path, split: str | None) -> list[Clip]:
    """The clips with known texts that ``folder``'s ``clips.jsonl`` lists in ``split`` (None: all).

    Raises UserError where a line is no clip, or none is left.
    """
    clips = []
    for number, line in enumerate((folder / NAME).read_text(encoding="utf-8").splitlines(), 1):
        try:
            clips.append(Clip.model_validate_json(line))
        except ValidationError as error:
            raise UserError(f"{folder / NAME}:{number}: {one_line(error)}") from None
    known = [clip for clip in clips if clip.texts]
    chosen = [clip for clip in known if split is None or clip.split == split]
    if not chosen:
        splits = ", ".join(sorted({clip.split or "none" for clip in known})) or "no clip with texts"
        raise UserError(f"{folder / NAME}: no clip with texts in split {split}; there are: {splits}")
    return chosen


def judge_clip(clip: Clip, events: Sequence[Event], dataset: str = "") -> list[Item]:
    """What became of each vehicle of ``clip`` whose text is known, given the last event of each passage.

    The truth's texts are a set: a vehicle is read right once; what is told of it twice, or of no truth, is
    ``extra``. A truth that no text comes near is put down to the first stage that failed in the whole clip.
    """
    told = sorted((event for event in events if event.text), key=lambda event: -event.confidence)
    texts = match_texts(sorted(set(clip.texts)), [event.text or "" for event in told])
    missed: Outcome = "vehicle not found"
    if events:
        missed = "not read" if any(event.plate for event in events) else "plate not found"
    rows: list[tuple[str | None, str | None, Outcome]] = [(text, text, "right") for text in texts.right]
    for true, near in texts.wrong:
        rows.append((true, near, "misread by one" if edit_distance(true, near) == 1 else "misread"))
    rows += [(text, None, missed) for text in texts.missing]
    rows += [(None, text, "extra") for text in texts.extra]
    items = []
    for truth, found, outcome in rows:
        event = next((event for event in told if event.text == found), None)
        if event is not None:
            told.remove(event)
        items.append(
            Item(
                dataset=dataset,
                file=clip.file,
                source=clip.source,
                region=clip.region or "-",
                annotation="annotated",
                truth=truth,
                found=found,
                confidence=event.confidence if event else None,
                outcome=outcome,
                box=event.plate.box if event and event.plate else None,
            )
        )
    return items


def evaluate_clips(
    folder: Path,
    clips: Sequence[Clip],
    networks: NetworksConfig,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[Item]:
    """Put ``clips`` in ``folder`` through the pipeline as ``plateloop run`` does, and judge each vehicle.

    Several clips run at a time; ``advance`` is told of those done. Raises UserError where one cannot be read.
    """
    for start in range(0, len(clips), AT_ONCE):
        part = clips[start : start + AT_ONCE]
        sources = tuple(SourceConfig(url=str(folder / clip.file), name=clip.file) for clip in part)
        final = _final_events(sources, networks)
        for clip in part:
            events = [event for event in final if event.source == clip.file]
            yield from judge_clip(clip, events, f"{folder.name}/clips")
        advance(len(part))


def _final_events(sources: tuple[SourceConfig, ...], networks: NetworksConfig) -> list[Event]:
    """The last event of each passage in ``sources``."""
    lines = StringIO()
    with TemporaryDirectory() as thrown_away:
        output = OutputConfig(folder=Path(thrown_away), overlay=False)
        with launch(PipelineConfig(sources=sources, networks=networks, output=output), lines) as run:
            for failure in run.pipeline.run():
                raise failure
        for report in run.pipeline.reports:
            if report.error:
                raise UserError(report.error)
    events = map(Event.model_validate_json, lines.getvalue().splitlines())
    return list({event.id: event for event in events}.values())
