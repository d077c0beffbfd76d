"""From a page to a pipeline that is ready to run: networks loaded, folder made, sinks open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TextIO

from plateloop.cores import cores
from plateloop.deployment.capture import probe_all
from plateloop.deployment.config import PipelineConfig
from plateloop.deployment.courier import Courier
from plateloop.deployment.encoder import check_encoder
from plateloop.deployment.keeping import check_delivery, keeping
from plateloop.deployment.latency import Latencies
from plateloop.deployment.operations import Operations
from plateloop.deployment.page.serve import open_address, serving_run
from plateloop.deployment.pipeline import Pipeline
from plateloop.deployment.sinks.mp4 import Mp4, Mp4Files
from plateloop.deployment.sinks.pictures import Pictures
from plateloop.deployment.sinks.probe import Probe, load_probes
from plateloop.deployment.sinks.rtsp import Rtsp
from plateloop.deployment.sinks.tiled import Outlet, Tiled
from plateloop.deployment.sinks.worker import Sink, Worker
from plateloop.deployment.sources import SourceConfig, is_remote
from plateloop.deployment.watch import Watch
from plateloop.runtime.cascade import Cascade, CascadeConfig


@dataclass(frozen=True, slots=True)
class Launch:
    """A pipeline, the folder that it writes to, and the number of pictures of each source where known.

    ``followers`` are told of events once these are stored; ``couriers`` deliver them; ``latencies`` say
    by the number of a source how long its events took.
    """

    pipeline: Pipeline
    folder: Path
    lengths: tuple[int | None, ...]
    cascade: Cascade
    followers: tuple[Worker, ...]
    couriers: tuple[Courier, ...]
    latencies: Latencies


def load_networks(page: PipelineConfig) -> Cascade:
    """The networks as a run of ``page`` uses them. Raises UserError where they cannot be had."""
    networks = page.networks
    return Cascade.load(
        networks.device,
        # Decoding wants a core too, and threads that wait for one another in turns are slower than none.
        networks.threads or max(1, cores() - 1),
        networks.weights,
        # The stream itself decides where plates are sought, and tracks live on by low-scored detections.
        CascadeConfig(direct="never", vehicle_score=page.tracker.low, plate_score=networks.plate_score),
    )


@contextmanager
def launch(config: PipelineConfig, events_to: TextIO | None = None) -> Iterator[Launch]:
    """Prepare a pipeline; its files are closed on leaving. ``events_to`` gets the events as well.

    Raises UserError, with nothing written yet, where no source can be read or the networks cannot be had.
    """
    lengths, _ = probe_all(config.sources)
    probes = load_probes(config.probe)
    cascade = load_networks(config)
    folder = run_folder(config)
    output = config.output
    if output.overlay or output.tiles:
        check_encoder(output.mp4)
    check_delivery(config)
    with ExitStack() as stack:
        # Taken before anything is written; answered on once all is ready.
        listening = stack.enter_context(open_address(config.http)) if config.http is not None else None
        outlets: list[Outlet] = []
        rtsp = None
        if output.rtsp is not None:
            rtsp = Rtsp(output.rtsp, output.mp4.codec, output.tiler.size)
            outlets.append(stack.enter_context(closing(rtsp)))
        kept = stack.enter_context(keeping(config, folder, probes, events_to))
        sinks: list[Sink] = [kept.keeper]
        if output.overlay and output.layout != "tiled":
            # Sources that are added while others run have a video too.
            sinks.append(Mp4(lambda n: video_path(folder, file_names(pipeline.sources)[n]), output.mp4))
        if output.overlay and output.layout != "streams":
            outlets.append(Mp4Files(folder / "tiled.mp4", output.tiler.size, output.mp4))
        tiled = None
        if outlets:
            wanted = rtsp.key_wanted if rtsp is not None else None
            tiled = Tiled(output.tiler, output.mp4, outlets, _by_clock(config), wanted)
            sinks.append(tiled)
        if output.pictures:
            sinks.append(Pictures(folder / "pictures", output.picture))
        alphabet = cascade.sessions["lprnet"].card.alphabet
        watch = Watch()
        if listening is not None:
            sinks.append(watch)
        if probes.frame is not None or probes.track is not None:
            sinks.append(Probe(replace(probes, event=None)))
        pipeline = Pipeline(config, cascade, alphabet, sinks)
        if tiled is not None:
            tiled.begin(pipeline.sources)
            stack.callback(tiled.close)
        if listening is not None and config.http is not None:
            control = config.http.control
            seen = (pipeline, kept.store, watch, kept.keeper.latencies)
            operations = Operations(*seen, kept.targets, kept.followers, control, rtsp)
            stack.enter_context(serving_run(listening, config.http, operations, str(folder)))
        latencies = kept.keeper.latencies
        yield Launch(pipeline, folder, tuple(lengths), cascade, kept.followers, kept.couriers, latencies)


def _by_clock(config: PipelineConfig) -> bool:
    # Files alone are shown at their own pace, however fast they are read; whoever watches sees what is now.
    controlled = config.http is not None and config.http.control
    return config.output.rtsp is not None or controlled or any(is_remote(s.url) for s in config.sources)


def run_folder(config: PipelineConfig) -> Path:
    """Where a run writes to: as the page says, or a folder named by the time."""
    return config.output.folder or Path("runs") / f"run-{datetime.now():%Y%m%d-%H%M%S}"


def video_path(folder: Path, name: str) -> Path:
    """The annotated video in ``folder`` of a source whose files are called ``name``."""
    return folder / f"{name}-annotated.mp4"


def file_names(sources: Sequence[SourceConfig]) -> list[str]:
    """A file name for each source, without suffix: safe on any system, no two alike, no password."""
    names: list[str] = []
    for source in sources:
        title = source.name or Path(re.sub(r"[?#].*", "", source.title)).stem
        name = re.sub(r"[^\w.-]+", "_", title, flags=re.ASCII).strip("._")[:80] or "source"
        taken = [other.lower() for other in names]
        number = 1
        while (name if number == 1 else f"{name}-{number}").lower() in taken:
            number += 1
        names.append(name if number == 1 else f"{name}-{number}")
    return names
