"""``plateloop test soak / faults / compare / drift``: a deployment in production terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.testing import show_progress

_Weights = Annotated[Path | None, typer.Option(help="folder of cards; what it lacks comes from the package")]


def soak(
    sources: Annotated[
        list[str] | None, typer.Argument(help="live sources; a street of plateloop's own unless given")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.2, help="how long")] = 30,
    warm_up: Annotated[
        float | None, typer.Option(help="minutes that do not count; a sixth, at most 5, unless given")
    ] = None,
    streams: Annotated[int, typer.Option(min=1, help="streams of plateloop's own street")] = 2,
    limit: Annotated[float, typer.Option(help="MB/min that memory may grow by")] = 1.0,
    config: Annotated[Path | None, typer.Option(help="page to run as it is, in place of SOURCES")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where soak.json and soak.png go")] = Path("soak"),
    weights: _Weights = None,
) -> None:
    """Run a deployment for long and watch memory, frames/s, threads and open files, each second.

    Exit 1 where memory grows faster than --limit after the warm-up.
    """
    from contextlib import ExitStack
    from datetime import datetime

    from plateloop.errors import UserError
    from plateloop.testing.faults.feed import Feed
    from plateloop.testing.faults.subject import write_page
    from plateloop.testing.soak import plot
    from plateloop.testing.soak import soak as measure
    from plateloop.testing.street import render_clip

    if config is not None and sources:
        raise UserError("soak takes SOURCES or a page (--config) with its own, not both")
    run = out / f"run-{datetime.now():%Y%m%d-%H%M%S}"
    seconds = 60 * minutes
    with ExitStack() as stack, show_progress() as begin:
        page = config
        if page is None:
            urls = sources or []
            if not urls:
                feed = stack.enter_context(Feed(render_clip(out / "street.mp4", seconds=8.0).video))
                urls = [feed.url(number) for number in range(streams)]
            page = write_page(out / "page.yaml", urls, weights)
        warm_up_s = 60 * (min(5.0, minutes / 6) if warm_up is None else warm_up)
        result = measure(page, run, seconds, warm_up_s, limit, begin("seconds", round(seconds)))
    plot(result, out / "soak.png")
    (out / "soak.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    waits = result.latency_s
    told = f"latency {waits[0]:.2f} s (95 %: {waits[1]:.2f} s)" if waits else "no event"
    print(
        f"memory {result.slope_mb_min:+.3f} MB/min (95 %: {result.low:+.3f} to {result.high:+.3f}), "
        f"limit {limit:g}: {'flat' if result.passed else 'GROWS' if result.exit_code == 0 else 'FAILED'}\n"
        f"{result.frames_per_second:.1f} frames/s of {result.streams} streams, {result.dropped} dropped, "
        f"{result.events} event lines, {told}\n{out / 'soak.png'}"
    )
    if not result.passed:
        raise typer.Exit(1)
