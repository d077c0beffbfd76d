"""From videos to a folder of data: look at everything once, then write the frames that are worth it."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from plateloop.data_preparation.convert import convert
from plateloop.data_preparation.crop import crop_plates
from plateloop.data_preparation.manifest import Record, read_manifest, write_manifest
from plateloop.deployment.capture import frames
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.overlay import Mark, draw
from plateloop.deployment.pipeline import Networks
from plateloop.deployment.video2data import hard
from plateloop.deployment.video2data.config import HarvestConfig
from plateloop.deployment.video2data.history import History, Round
from plateloop.deployment.video2data.inputs import histories
from plateloop.deployment.video2data.labels import Labeler
from plateloop.deployment.video2data.mining import Cause, causes
from plateloop.deployment.video2data.observe import Observer, observe, save, spooled
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image


@dataclass(slots=True)
class Yield:
    """What a source gave: frames looked at and kept, and what is labelled in the kept ones."""

    source: str
    frames: int = 0
    kept: int = 0
    vehicles: int = 0
    plates: int = 0
    texts: int = 0
    error: str | None = None


@dataclass(slots=True)
class Harvest:
    """What was written: of each source, and the reasons of the hard examples."""

    sources: list[Yield] = field(default_factory=list)
    hard: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def harvest(
    page: PipelineConfig,
    config: HarvestConfig,
    networks: Networks,
    alphabet: str,
    out: Path,
    stop: threading.Event,
    tick: Callable[[], None] = lambda: None,
) -> Harvest:
    """Label the sources of ``page`` and write the dataset ``out``, whole or not at all.

    Live sources run side by side, then files one after the other; ``stop`` ends the looking, and what was
    seen by then is written. ``tick`` is called for each frame.

    Raises UserError where ``out`` holds something already, and where no source gave a picture.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already; name a new folder, or remove it")
    seen = histories(page.sources, config.duration_s)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror})") from None
    try:
        result = _Writer(page, config, networks, alphabet, stage).run(seen, stop, tick)
        if out.exists():
            out.rmdir()
        (stage / "data").replace(out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return result


def choose(history: History, records: Sequence[Record], config: HarvestConfig) -> list[int]:
    """The rounds to keep: of each period the first that shows something, at most ``limit``, spread evenly."""
    kept: list[int] = []
    period = -1
    for number, (seen, record) in enumerate(zip(history.rounds, records, strict=True)):
        now = int(seen.time_s / config.period_s) if config.period_s else number
        if now > period and (config.empty or record.vehicles or record.plates):
            kept.append(number)
            period = now
    if config.limit is not None and len(kept) > config.limit:
        places = np.linspace(0, len(kept) - 1, config.limit).round().astype(int)
        kept = [kept[place] for place in places.tolist()]
    return kept


class _Writer:
    # Writes into ``stage``: "data" becomes the dataset, "hard" holds pictures of candidates, "spool" those
    # of sources that cannot be read twice.

    def __init__(
        self, page: PipelineConfig, config: HarvestConfig, networks: Networks, alphabet: str, stage: Path
    ) -> None:
        self._page, self._config = page, config
        self._networks, self._alphabet = networks, alphabet
        self._stage, self._data = stage, stage / "data"
        self._records: list[Record] = []
        self._candidates: list[hard.Candidate] = []
        (self._data / "images").mkdir(parents=True)
        (stage / "hard" / "images").mkdir(parents=True)

    def run(self, seen: list[History], stop: threading.Event, tick: Callable[[], None]) -> Harvest:
        result = Harvest([Yield(history.source.title, error=history.error) for history in seen])
        readable = [number for number, history in enumerate(seen) if history.error is None]
        live = [number for number in readable if seen[number].start is None]
        for group in ([live] if live else []) + [[n] for n in readable if n not in live]:
            if not stop.is_set():
                self._look([seen[number] for number in group], stop, tick)
            for number in group:
                self._keep(seen[number], result.sources[number])
                # Hours of video leave nothing behind in memory but the records.
                seen[number] = History(seen[number].source, seen[number].name)
        if not any(source.frames for source in result.sources):
            raise UserError("; ".join(s.error or f"{s.source}: no picture came" for s in result.sources))
        write_manifest(self._data, self._records)
        if self._config.hard:
            chosen = hard.select(self._candidates, self._config.hard, self._config.alike)
            result.hard = len(chosen)
            self._annotate_hard(chosen)
            result.reasons = hard.write(chosen, self._stage / "hard", self._data / "hard")
        if self._config.crops:
            self._crop()
        for name in self._config.formats:
            convert(self._data, self._stage / name, "manifest", name)
        for name in self._config.formats:
            (self._stage / name).replace(self._data / name)
        return result

    def _look(self, seen: Sequence[History], stop: threading.Event, tick: Callable[[], None]) -> None:
        observers = []
        for history in seen:
            spool = None if history.start is not None else self._stage / "spool" / history.name
            if spool is not None:
                spool.mkdir(parents=True)
            observers.append(Observer(history, self._networks, self._alphabet, self._page, spool))
        config = self._config
        observe(observers, self._networks, self._page, stop, config.duration_s, config.quality, tick)

    def _keep(self, history: History, given: Yield) -> None:
        labeler = Labeler(history, self._config)
        names = [self._name(history, seen) for seen in history.rounds]
        records = [labeler.record(number, name) for number, name in enumerate(names)]
        kept = set(choose(history, records, self._config))
        found: dict[int, list[Cause]] = {}
        for cause in causes(history) if self._config.hard else []:
            found.setdefault(cause.round, []).append(cause)
        for number, frame in self._pictures(history, kept | found.keys()):
            name = names[number]
            if number in kept:
                self._save(history, number, frame, self._data / name)
                self._records.append(records[number])
                if self._config.annotated:
                    self._annotate(frame, records[number], self._data)
            if number in found:
                self._save(history, number, frame, self._stage / "hard" / name)
                hashes = tuple(hard.look(frame, cause.focus) for cause in found[number])
                draft = labeler.record(number, name, draft=True)
                self._candidates.append(hard.Candidate(draft, tuple(found[number]), hashes))
        written = [records[number] for number in kept]
        plates = [plate for record in written for plate in record.plates]
        given.frames, given.kept, given.error = history.frames, len(kept), history.error
        given.vehicles, given.plates = sum(len(record.vehicles) for record in written), len(plates)
        given.texts = sum(plate.text is not None for plate in plates)

    def _name(self, history: History, seen: Round) -> str:
        time = f"{history.time(seen):%Y%m%d-%H%M%S-%f}"[:-3]
        return f"images/{history.name}_{time}_{seen.index:06d}.{self._config.pictures}"

    def _pictures(self, history: History, wanted: set[int]) -> Iterator[tuple[int, Frame]]:
        """The second pass: the frames of the ``wanted`` rounds alone."""
        number_of = {history.rounds[number].index: number for number in sorted(wanted)}
        if not number_of:
            return
        if history.start is None:
            for index, number in number_of.items():
                yield number, read_image(spooled(self._stage / "spool" / history.name, index))
            return
        last = max(number_of)
        for shot in frames(history.source, threading.Event()):
            if shot.index in number_of:
                yield number_of[shot.index], shot.frame
            if shot.index >= last:
                break

    def _save(self, history: History, number: int, frame: Frame, path: Path) -> None:
        if history.start is None and path.suffix == ".jpg":
            # As it was spooled: compressed once.
            shutil.copyfile(spooled(self._stage / "spool" / history.name, history.rounds[number].index), path)
        else:
            save(frame, path, self._config.quality)

    def _annotate(self, frame: Frame, record: Record, folder: Path, causes: Sequence[Cause] = ()) -> None:
        marks = [
            Mark(
                _track(vehicle.attributes),
                vehicle.box,
                None,
                f"{vehicle.color or ''} {vehicle.label}".strip(),
            )
            for vehicle in record.vehicles
        ]
        for plate in record.plates:
            corners = None if plate.corners is None else np.array(plate.corners, np.float32)
            confidence = float(plate.attributes.get("confidence", 0))
            number = _track(plate.attributes)
            marks.append(Mark(number, None, corners, "", plate.text or "", confidence))
        marks += [Mark(cause.track + 3, cause.focus, None, cause.reason) for cause in causes]
        path = folder / "annotated" / Path(record.file).name
        path.parent.mkdir(exist_ok=True)
        save(Frame.from_rgb(draw(frame.rgb().copy(), marks)), path, self._config.quality)

    def _annotate_hard(self, chosen: Sequence[hard.Candidate]) -> None:
        if self._config.annotated:
            (self._data / "hard").mkdir()
            for candidate in chosen:
                frame = read_image(self._stage / "hard" / candidate.record.file)
                self._annotate(frame, candidate.record, self._data / "hard", candidate.causes)

    def _crop(self) -> None:
        """The plates with a text, rectified, their text before the rest of the name."""
        cut = self._stage / "cut"
        crop_plates(self._data, cut, rectify=True)
        target = self._data / "plates"
        target.mkdir()
        records = []
        for record in read_manifest(cut):
            if record.plates[0].text is not None:
                file = f"{record.plates[0].text}_{Path(record.file).name}"
                (cut / record.file).replace(target / file)
                records.append(record.model_copy(update={"file": file}))
        write_manifest(target, records)


def _track(attributes: dict[str, str]) -> int:
    return int(attributes.get("track", 0))
