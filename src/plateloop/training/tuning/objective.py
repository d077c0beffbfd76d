"""How good a network is on val, as one figure: what quantizing, pruning and tuning go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plateloop.networks.colornet import SIDE
from plateloop.runtime.session import Session
from plateloop.training.color import evaluate as evaluate_color
from plateloop.training.color.data import load_colors
from plateloop.training.detection.evaluate import Judge
from plateloop.training.detection.feed import dataset, frame_records
from plateloop.training.reading import evaluate as evaluate_reader
from plateloop.training.reading.data import load_real

Metrics = dict[str, dict[str, float]]

FIGURES = {"tcnet": "ap50", "lpdnet": "ap50", "lprnet": "exact", "colornet": "right"}
"""Each network's figure, of the set "all"; all are shares, the higher the better."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ``figure`` of a network on val, 0 to 1, and the whole ``report`` by set."""

    figure: float
    report: Metrics


def val_judge(network: str, data: Path, limit: int | None = None) -> Callable[[Session], Verdict]:
    """A function that measures ``network``'s session on val of the manifest datasets in ``data``.

    The pictures are loaded now, once; ``limit`` takes about that many of each dataset, spread evenly, for
    trials. Raises UserError where there is none.
    """
    measure: Callable[[Session], Metrics]
    if network in ("tcnet", "lpdnet"):
        folder = dataset(data)
        records = frame_records(folder, "val")
        judge = Judge(network, folder, records[:: max(1, len(records) // limit) if limit else 1])

        def measure(session: Session) -> Metrics:
            return {f"val/{name}": values for name, values in judge(session).report.items()}

    elif network == "lprnet":
        plates = load_real([data / "crops", data / "frames"], "val", limit)

        def measure(session: Session) -> Metrics:
            return evaluate_reader.evaluate(session, plates, session.card, "val").metrics

    else:
        vehicles = load_colors(data / "colors", "val", SIDE, limit)

        def measure(session: Session) -> Metrics:
            return evaluate_color.evaluate(session, vehicles, session.card, "val")[0]

    def verdict(session: Session) -> Verdict:
        report = measure(session)
        return Verdict(report["val/all"][FIGURES[network]], report)

    return verdict
