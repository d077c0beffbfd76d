"""Measures tcnet and lpdnet as they ship: exported, through the runtime's own decoding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from plateloop.data_preparation.label_repair import repaired
from plateloop.data_preparation.manifest import Record, read_manifest
from plateloop.errors import UserError
from plateloop.frame import Frame, read_image
from plateloop.geometry import box_array
from plateloop.runtime.card import Task, package_card
from plateloop.runtime.cascade import Cascade, CascadeConfig
from plateloop.runtime.session import Session
from plateloop.training.detection import metrics
from plateloop.training.detection.contact_sheet import spread, write_contact_sheet
from plateloop.training.detection.feed import dataset, frame_records
from plateloop.training.detection.find import batches, find_in_files, find_vehicles
from plateloop.training.detection.pasted_plates import pasted_pictures
from plateloop.training.detection.vehicle_checks import detector_report, empty_report, plate_report
from plateloop.training.detection.vehicle_metrics import vehicle_metrics
from plateloop.types import Detections, Image

Metrics = dict[str, dict[str, float]]

PLATE_HEIGHT = 12
"""Pixels of the stored picture from which a plate must be found."""
PLATE_FALSE = 10.0
"""False finds of plates per 100 pictures at which recall is stated."""


def plate_metrics(found: Sequence[Detections], records: Sequence[Record]) -> dict[str, float]:
    """Recall of plates of at least PLATE_HEIGHT pixels, false finds, average precision and corner errors.

    Lower plates count neither way, found or not.
    """
    parts, errors = [], []
    for seen, record in zip(found, records, strict=True):
        large = [plate for plate in record.plates if plate.box[3] - plate.box[1] >= PLATE_HEIGHT]
        small = [plate.box for plate in record.plates if plate.box[3] - plate.box[1] < PLATE_HEIGHT]
        hits = metrics.matches(
            seen.boxes,
            box_array([plate.box for plate in large]),
            box_array([*record.ignore_plates, *small]),
        )
        parts.append((seen.scores, hits, len(large)))
        known = [(row, large[hit].corners) for row, hit in enumerate(hits) if hit >= 0 and large[hit].corners]
        if known and seen.corners is not None:
            rows = np.array([row for row, _ in known])
            truth = np.array([corners for _, corners in known], np.float32)
            errors.append(metrics.corner_errors(seen.corners[rows], truth))
    findings = metrics.gather(parts)
    threshold = metrics.threshold_at(findings, PLATE_FALSE)
    results = {
        "pictures": float(findings.pictures),
        "plates": float(findings.objects),
        "ap50": metrics.average_precision(findings),
        "recall": metrics.recall(findings, 0.0),
        "false_per_100": metrics.false_per_100(findings, 0.0),
        "recall_at_10_false": metrics.recall(findings, threshold),
        "threshold_at_10_false": threshold,
        "best_threshold": metrics.best_threshold(findings),
    }
    if errors:
        joined = np.concatenate(errors)
        results |= {"corner_plates": float(len(joined)), "corner_error_median": float(np.median(joined))}
    return results


def find_plates(
    sessions: Mapping[str, Session],
    frames: Iterable[Frame],
    records: Sequence[Record],
    score: float | None = None,
) -> list[Detections]:
    """The plates of ``records``, whose pictures are ``frames``.

    Sought in the vehicles that ``sessions["tcnet"]`` finds, or, where there is no tcnet, in those that the
    records list; and in whole frames as the cascade does. ``score`` replaces lpdnet's threshold.
    """
    cascade = Cascade(cast(Mapping[Task, Session], sessions), CascadeConfig(plate_score=score))
    found: list[Detections] = []
    for chunk in batches(zip(frames, records, strict=True), 16):
        pictures = [frame for frame, _ in chunk]
        vehicles = (
            cascade.detect_vehicles(pictures)
            if "tcnet" in sessions
            else [_listed(record) for _, record in chunk]
        )
        found += [plates.detections for plates in cascade.find_plates(pictures, vehicles)]
    return found


def _listed(record: Record) -> Detections:
    boxes = box_array([vehicle.box for vehicle in record.vehicles])
    return Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64))


def _by_source(found: Sequence[Detections], records: Sequence[Record]) -> Metrics:
    """Plate metrics of all records and of each source."""
    results = {"all": plate_metrics(found, records)}
    for source in sorted({record.source for record in records}):
        chosen = [(f, r) for f, r in zip(found, records, strict=True) if r.source == source]
        results[source] = plate_metrics([f for f, _ in chosen], [r for _, r in chosen])
    return results


@dataclass(frozen=True, slots=True)
class Judgement:
    """Metrics by set, and the detections of each record that was judged."""

    report: Metrics
    found: list[Detections]


class Judge:
    """Measures a detector on those of ``records`` whose objects people listed.

    With ``vehicles``, a tcnet, plates are sought in the vehicles that it finds, else in the listed ones. The
    truth is `repaired`; the set "as labelled" is what it would be without.
    """

    what: Literal["vehicles", "plates"]

    def __init__(
        self, network: str, folder: Path, records: Sequence[Record], vehicles: Session | None = None
    ) -> None:
        self.folder, self.vehicles = folder, vehicles
        self.what = "vehicles" if network == "tcnet" else "plates"
        listed = [r.vehicles_annotated if network == "tcnet" else r.plates_annotated for r in records]
        self.labelled = [record for record, is_listed in zip(records, listed, strict=True) if is_listed]
        self.records = [repaired(record) for record in self.labelled]
        if not self.records:
            raise UserError(f"{folder}: no picture of this split has its {self.what} annotated")
        self._letterboxed: list[Image] = []

    def __call__(self, session: Session, score: float | None = None) -> Judgement:
        """Run ``session``; for plates ``score`` replaces its card's threshold, vehicles are taken down to
        `LOWEST` at any rate."""
        if self.what == "vehicles":
            if not self._letterboxed:
                size = (session.card.input.width, session.card.input.height)
                files = [self.folder / record.file for record in self.records]
                self._letterboxed = [read_image(file).letterboxed(size) for file in files]
            sizes = [(record.width, record.height) for record in self.records]
            found = find_vehicles(session, session.card, zip(self._letterboxed, sizes, strict=True))
            return Judgement(vehicle_metrics(found, self.records, session.card.labels), found)
        sessions = (
            {"lpdnet": session} if self.vehicles is None else {"tcnet": self.vehicles, "lpdnet": session}
        )
        frames = (read_image(self.folder / record.file) for record in self.records)
        found = find_plates(sessions, frames, self.records, score)
        report = _by_source(found, self.records)
        if self.records != self.labelled:
            report["as labelled"] = plate_metrics(found, self.labelled)
        return Judgement(report, found)


def corner_report(session: Session, folder: Path, records: Sequence[Record]) -> Metrics:
    """lpdnet's corner errors where the truth is known, in listed vehicles.

    "corners/pasted": synthetic plates pasted over those of up to 200 of ``records``; "corners/SOURCE":
    pictures of ``folder``, of any split, whose corners people marked and whose source the card's training
    did not use.
    """
    only = {"lpdnet": session}
    large = [r for r in records if any(p.box[3] - p.box[1] >= PLATE_HEIGHT for p in r.plates)]
    chosen = [large[index] for index in spread(len(large), 200)]
    made = list(pasted_pictures(folder, chosen, 1, 1, 0))
    pasted = [record for _, record in made]
    found = find_plates(only, (Frame.from_rgb(picture) for picture, _ in made), pasted)
    report = {"corners/pasted": plate_metrics(found, pasted)} if pasted else {}
    marked = [
        record
        for record in read_manifest(folder)
        if record.source not in session.card.training.sources and any(p.corners for p in record.plates)
    ]
    for source in sorted({record.source for record in marked}):
        of_source = [record for record in marked if record.source == source]
        found = find_plates(only, (read_image(folder / record.file) for record in of_source), of_source)
        report[f"corners/{source}"] = plate_metrics(found, of_source)
    return report


def summary(report: Metrics) -> dict[str, float]:
    """The few figures worth a look while training."""
    sets = ("all", "portraits", "streets")
    keys = ("ap50", "car_ap50", "wide_recall", "recall_at_10_false")
    return {f"{s}/{k}": round(report[s][k], 4) for s in sets for k in keys if k in report.get(s, {})}


def evaluate_detector(
    network: str, data: Path, card_path: Path | None, split: str, device: str, out: Path | None
) -> Metrics:
    """Measure ``network`` on ``split`` of the frames in ``data``; print, and with ``out`` write, the metrics.

    tcnet is measured on pictures that detectors listed, on parts without any vehicle, and by the plates
    inside its finds, too (`detector_report`, `empty_report`, `plate_report`). lpdnet is measured in the
    listed vehicles as "listed/…", and as "cascade/…" in those that a tcnet finds: ``tcnet.yaml`` beside its
    card, or else the packaged one; "corners/…" as `corner_report` says.
    """
    path = card_path or package_card(cast(Task, network))
    folder = dataset(data)
    records = frame_records(folder, split)
    session = Session(path, device)
    judge = Judge(network, folder, records)
    if network == "tcnet":
        card = session.card
        seen = find_in_files(session, folder, records)
        found = [finds for finds, record in zip(seen, records, strict=True) if record.vehicles_annotated]
        report = {
            f"{split}/{name}": values
            for name, values in vehicle_metrics(found, judge.records, card.labels).items()
        }
        report[f"{split}/by detectors"] = detector_report(seen, records, card.labels)
        report[f"{split}/empty"] = empty_report(session, folder, records)
        report[f"{split}/plates"] = plate_report(seen, records, card.score_threshold)
    else:
        beside = path.parent / "tcnet.yaml"
        vehicles = Session(beside if beside.is_file() else package_card("tcnet"), device)
        report = {f"{split}/listed/{name}": values for name, values in judge(session).report.items()}
        judge = Judge(network, folder, records, vehicles)
        judgement = judge(session)
        found = judgement.found
        report |= {f"{split}/cascade/{name}": values for name, values in judgement.report.items()}
        corners = corner_report(session, folder, judge.records)
        report |= {f"{split}/{name}": values for name, values in corners.items()}
    print_report(report)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        threshold = session.card.score_threshold
        write_contact_sheet(out / f"{split}.png", folder, judge.records, found, judge.what, threshold)
    return report


def print_report(report: Metrics) -> None:
    """One line a set."""
    for name, values in report.items():
        print(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in values.items()), flush=True)
