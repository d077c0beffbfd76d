"""From a page to a run over a cluster that is ready: sources looked at, pipelines begun, the store open."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from plateloop.cluster import connected
from plateloop.deployment.capture import probe_all
from plateloop.deployment.cluster.config import RayConfig
from plateloop.deployment.cluster.driver import ClusterRun
from plateloop.deployment.cluster.recordings import (
    anywhere,
    event_ids,
    is_recording,
    job,
    settings_digest,
    singles,
)
from plateloop.deployment.cluster.task import PlacedReport, Task
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.courier import Courier
from plateloop.deployment.keeping import check_delivery, keeping
from plateloop.deployment.latency import Latencies
from plateloop.deployment.launch import file_names, run_folder
from plateloop.deployment.sinks.probe import load_probes
from plateloop.deployment.sinks.worker import Worker
from plateloop.deployment.sources import SourceConfig
from plateloop.deployment.store import Store, holds_one
from plateloop.errors import UserError

log = logging.getLogger(__name__)

# Of this many tracks at the beginning of a recording one made an event, if any did.
FIRST_TRACKS = 200


@dataclass(frozen=True, slots=True)
class ClusterLaunch:
    """What a `Launch` is, over a cluster."""

    pipeline: ClusterRun
    folder: Path
    lengths: tuple[int | None, ...]
    followers: tuple[Worker, ...]
    couriers: tuple[Courier, ...]
    latencies: Latencies


@contextmanager
def launch_over_cluster(config: PipelineConfig, events_to: TextIO | None = None) -> Iterator[ClusterLaunch]:
    """Prepare a run of ``config.ray``; all ends on leaving. ``events_to`` gets the events as well.

    Recordings that the store holds already, read with the same settings, are passed over. Raises UserError,
    with nothing written yet, where no source can be read, the cluster cannot be had, or has no room.
    """
    settings = config.ray
    assert settings is not None
    _check(config, settings)
    sources = singles(config.sources)
    tasks, lengths = _tasks(sources, settings_digest(config))
    probes = load_probes(config.probe)
    check_delivery(config)
    folder = run_folder(config)
    with ExitStack() as stack:
        ray = stack.enter_context(connected(settings.address))
        run = ClusterRun(ray, settings, config, _share(config, settings, folder), tasks)
        stack.callback(run.close)
        if config.output.overlay or config.output.pictures:
            run.mark = stack.enter_context(_marked(folder.absolute()))
        run.open()
        named = config.model_copy(update={"sources": tuple(sources)})
        kept = stack.enter_context(keeping(named, folder, probes, events_to))
        run.keeper = kept.keeper
        _pass_over(tasks, kept.store)
        yield ClusterLaunch(run, folder, tuple(lengths), kept.followers, kept.couriers, kept.keeper.latencies)


def _check(config: PipelineConfig, settings: RayConfig) -> None:
    if config.http is not None:
        raise UserError("http: a run over a cluster serves no page; leave it out")
    if config.output.tiles:
        raise UserError(
            "output: streams side by side (tiled, rtsp) are on one machine; leave them out with ray"
        )
    device = config.networks.device
    if (settings.gpus and device == "cpu") or (not settings.gpus and device.startswith(("cuda", "tensorrt"))):
        raise UserError(f"ray.gpus is {settings.gpus:g}, but networks.device is {device}: give both or none")


def _tasks(sources: Sequence[SourceConfig], settings: str) -> tuple[list[Task], list[int | None]]:
    named = enumerate(zip(sources, file_names(sources), strict=True))
    tasks = [Task(n, anywhere(source), file, None, PlacedReport(source.title)) for n, (source, file) in named]
    lengths, problems = probe_all(sources)
    for task in tasks:
        if task.number in problems:
            task.report.error, task.over = problems[task.number], True
        elif is_recording(task.source):
            task.job = job(task.source, settings)
    return tasks, lengths


def _share(config: PipelineConfig, settings: RayConfig, folder: Path) -> PipelineConfig:
    # What each pipeline gets of the page: no sources yet, no store, nobody to deliver to (and no passwords).
    networks, output, probes = config.networks, config.output, config.probe
    probes = probes.model_copy(update={"event": None}) if probes is not None else None
    return config.model_copy(
        update={
            "sources": (),
            "networks": networks.model_copy(
                update={
                    "threads": networks.threads or max(1, settings.cores - 1),
                    "weights": networks.weights.absolute() if networks.weights is not None else None,
                }
            ),
            "output": output.model_copy(update={"folder": folder.absolute(), "store": None}),
            "probe": probes if probes is not None and (probes.frame or probes.track) else None,
            **dict.fromkeys(("kafka", "mqtt", "webhook", "ray")),
        }
    )


@contextmanager
def _marked(folder: Path) -> Iterator[Path]:
    # A file by which other machines know that they see the same folder.
    made = not folder.exists()
    mark = folder / f".plateloop-{uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror})") from None
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _pass_over(tasks: Sequence[Task], store: Store) -> None:
    # A recording is stored as a whole, so one of its first ids tells of it.
    count = 0
    with store.reading() as connection:
        for task in tasks:
            if task.job is not None:
                name = event_ids(task.job)
                if holds_one(connection, [name(track) for track in range(1, FIRST_TRACKS + 1)]):
                    task.over = task.report.ended = True
                    count += 1
    if count:
        log.warning("%d recordings are in the store already, read with these settings: passed over", count)
