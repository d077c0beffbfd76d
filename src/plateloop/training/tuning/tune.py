"""Searches for a network's settings: trials are trainings of a few minutes, judged on val.

Optuna proposes (tree-structured Parzen estimators, Bergstra et al. 2011) and stops trials that fall behind
the median of the others at the same time. Each trial is a process of ``plateloop train`` with a folder of its
own, followed through its ``evaluations.jsonl``.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from plateloop.errors import UserError, one_line
from plateloop.training.together import _CHILD, last_line, require

if TYPE_CHECKING:
    import optuna

OBJECTIVES = {"tcnet": "all/ap50", "lpdnet": "all/ap50", "lprnet": "all", "colornet": "common"}
"""The figure of ``evaluations.jsonl`` that each network's trials are judged by."""

STAGES = 10
"""Parts of a trial's time; trials are compared at the end of the same part."""


class TrialError(Exception):
    """A trial's process failed; the study goes on without it."""


class Range(BaseModel):
    """Numbers to choose from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    log: bool = Field(False, description="by their logarithm")


Space = dict[str, Range | list[str | float | int]]


def load_space(network: str, path: Path | None) -> Space:
    """The keys that are searched, each with its range or its choices: from ``path`` or the package's own.

    Raises UserError where the file is missing or says something else.
    """
    place: Any = path or files("plateloop.training.tuning") / "spaces" / f"{network}.yaml"
    try:
        return TypeAdapter(Space).validate_python(yaml.safe_load(place.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path}: no such search space") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
        said = one_line(error)
        raise UserError(f"{path}: not a search space (key: {{low, high}} or a list): {said}") from None


class Search:
    """The trials of ``network``: ``data`` and ``out`` as for ``train``, ``minutes`` a trial, ``assignments``
    for all of them."""

    def __init__(
        self,
        network: str,
        data: Path,
        out: Path,
        devices: Sequence[str],
        minutes: float,
        space: Space,
        assignments: Sequence[str] = (),
    ) -> None:
        self.network, self.data, self.out, self.minutes = network, data, out, minutes
        self.space, self.assignments = space, assignments
        self._devices: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in devices:
            self._devices.put(device)

    def __call__(self, trial: optuna.Trial) -> float:
        """Train with what ``trial`` proposes; the figure at the end.

        Raises TrialPruned where it falls behind, TrialError where training fails.
        """
        chosen = [f"{key}={_propose(trial, key, law)}" for key, law in self.space.items()]
        folder = self.out / f"trial-{trial.number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        device = self._devices.get()
        try:
            with (folder / "log").open("wb") as log:
                running = subprocess.Popen(self._command(folder, device, chosen), stdout=log, stderr=log)
            try:
                figure = self._follow(trial, running, folder)
            finally:
                if running.poll() is None:
                    running.terminate()
                    running.wait()
        finally:
            self._devices.put(device)
        if figure is None:
            raise TrialError(f"{folder / 'log'}: {last_line(folder / 'log')}")
        return figure

    def _command(self, folder: Path, device: str, chosen: Sequence[str]) -> list[str]:
        settings = [f"loop.minutes={self.minutes}", *self.assignments, *chosen]
        places = ["--data", str(self.data), "--out", str(folder), "--device", device]
        given = [part for setting in settings for part in ("--set", setting)]
        return [sys.executable, "-c", _CHILD, "train", self.network, *places, *given]

    def _follow(self, trial: optuna.Trial, running: subprocess.Popen[bytes], folder: Path) -> float | None:
        """The last figure once the process has ended; None where it failed."""
        import optuna

        figures: list[float] = []
        told = -1
        while True:
            ended = running.poll() is not None
            lines = _lines(folder / "evaluations.jsonl")
            for line in lines[len(figures) :]:
                figures.append(float(line[OBJECTIVES[self.network]]))
                stage = min(STAGES, int(STAGES * line["minutes"] / self.minutes))
                if stage > told and not ended:
                    told = stage
                    trial.report(figures[-1], stage)
                    if trial.should_prune():
                        raise optuna.TrialPruned
            if ended:
                return figures[-1] if figures and running.returncode == 0 else None
            time.sleep(0.2)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that is being written."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def _propose(trial: optuna.Trial, key: str, law: Range | list[Any]) -> Any:
    if isinstance(law, Range):
        return trial.suggest_float(key, law.low, law.high, log=law.log)
    return trial.suggest_categorical(key, law)


def tune(search: Search, trials: int, jobs: int) -> optuna.Study:
    """Run trials until ``trials`` of the study in ``search.out`` are done; a study that exists goes on.

    Leaves ``best.yaml`` (for ``train --config``), ``trials.csv`` and ``report.png``. Raises UserError where
    Optuna or the data are missing, or no trial succeeded.
    """
    require([search.network], search.data)
    try:
        import optuna
    except ImportError:
        raise UserError("tune needs Optuna: pip install 'plateloop[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search.out.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{search.out / 'study.db'}",
        study_name=search.network,
        sampler=optuna.samplers.TPESampler(n_startup_trials=5),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3),
        direction="maximize",
        load_if_exists=True,
    )
    done = [
        t
        for t in study.trials
        if t.state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    ]

    def tell(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        value = trial.state.name.lower() if trial.value is None else f"{trial.value:.4f}"
        print(f"trial {trial.number}: {value} {trial.params}", flush=True)

    if trials > len(done):
        study.optimize(
            search, n_trials=trials - len(done), n_jobs=jobs, callbacks=[tell], catch=(TrialError,)
        )
    finished = [t for t in study.trials if t.value is not None]
    if not finished:
        raise UserError(f"{search.out}: no trial succeeded; see the log in each trial's folder")
    _write(study, search.out)
    return study


def _write(study: optuna.Study, out: Path) -> None:
    nested: dict[str, Any] = {}
    for key, value in study.best_params.items():
        *path, name = key.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[name] = value
    (out / "best.yaml").write_text(yaml.safe_dump(nested, sort_keys=False), encoding="utf-8")
    keys = sorted({key for trial in study.trials for key in trial.params})
    rows = [",".join(["trial", "state", "value", *keys])]
    rows += [
        ",".join(map(str, [t.number, t.state.name, t.value, *(t.params.get(key, "") for key in keys)]))
        for t in study.trials
    ]
    (out / "trials.csv").write_text("\n".join(rows) + os.linesep, encoding="utf-8")
    _draw(study, out / "report.png")


def _draw(study: optuna.Study, path: Path) -> None:
    """History, stopped trials as crosses, and how much each key matters (PED-ANOVA, Watanabe et al. 2023)."""
    import optuna
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    whole = [t for t in study.trials if t.value is not None]
    values = [float(t.value or 0) for t in whole]
    left.plot([t.number for t in whole], values, "o", label="finished")
    best = [max(values[: row + 1]) for row in range(len(values))]
    left.step([t.number for t in whole], best, where="post", label="best so far")
    stopped = [t for t in study.trials if t.value is None and t.intermediate_values]
    if stopped:
        left.plot(
            [t.number for t in stopped],
            [max(t.intermediate_values.values()) for t in stopped],
            "x",
            label="stopped",
        )
    left.set(xlabel="trial", ylabel="figure on val")
    left.legend(frameon=False)
    if len(whole) >= 4 and len(set(values)) > 1:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
        right.barh(list(shares)[::-1], list(shares.values())[::-1])
        right.set(xlabel="importance")
    else:
        right.text(0.5, 0.5, "importance: after four finished trials", ha="center")
        right.axis("off")
    figure.savefig(path, dpi=120)
