"""``plateloop data clean``, ``balance``, ``augment``: what is wrong, how often to draw what, more of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.dataset import Lenient, Link, Ray, Source, Target, check_skipped, tell, tell_skipped
from plateloop.cli.options import Device, Split, Threads, Weights


def clean(
    source: Annotated[
        Path | None, typer.Argument(metavar="SRC", help="The folder to read; it is never changed.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for index.html (with pictures) and findings.jsonl."),
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for a copy with what is safe to mend mended.")
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --fix: folder for what is left out of the copy.")
    ] = None,
    kind: Annotated[
        list[str],
        typer.Option("--kind", metavar="KIND", help="A kind of finding to put into quarantine. Repeatable."),
    ] = [],  # noqa: B006
    undo: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Take this quarantine back into the copy; nothing else is done."),
    ] = None,
    networks: Annotated[
        bool, typer.Option("--networks/--no-networks", help="Compare the labels with the networks.")
    ] = True,
    split: Annotated[Split, typer.Option(help="Compare only these records with the networks.")] = Split.ALL,
    weights: Weights = None,
    device: Device = "cpu",
    threads: Threads = 0,
    sure: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Score from which a network's word counts.")
    ] = 0.6,
    least_height: Annotated[float, typer.Option(min=1, help="Pixels below which no plate can be read.")] = 10,
    show: Annotated[int, typer.Option(min=1, help="Findings of each kind on the page.")] = 60,
    link: Link = False,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Use the cores of this Ray cluster, networks too."),
    ] = None,
) -> None:
    """Find damaged pictures, duplicates, wrong boxes, corners and texts, and likely label errors.

    --fix writes a mended copy without unreadable pictures and repeated files; with --quarantine these, and
    the more doubtful, are put there, and --undo takes them back. With --report or --fix no picture is looked
    at twice: broken off, or asked for more, it goes on with what it found.
    """
    from contextlib import ExitStack

    from plateloop.cli.progress import counting
    from plateloop.data_preparation.clean import fix as mending
    from plateloop.data_preparation.clean.examine import CleanConfig, Networks
    from plateloop.data_preparation.clean.finding import KINDS
    from plateloop.data_preparation.clean.inspect import JOURNAL, inspect
    from plateloop.data_preparation.clean.page import write_page
    from plateloop.data_preparation.manifest import manifest_of
    from plateloop.errors import UserError
    from plateloop.files import atomic

    if undo is not None:
        typer.echo(f"{undo}: {mending.undo(undo)} records put back")
        return
    if source is None:
        raise UserError("clean needs a folder to read, or --undo with a quarantine")
    if quarantine is not None and fix is None:
        raise UserError("--quarantine needs --fix: the source is never changed, only its copy")
    for name in kind:
        if name not in KINDS:
            raise UserError(f"--kind {name}: unknown; one of {', '.join(KINDS)}")
    if ray is not None and networks and (device != "cpu" or threads):
        raise UserError("--ray: each core of the cluster asks its own networks; leave --device and --threads")
    asked = Networks(weights, device, threads, split.chosen) if networks else None
    config = CleanConfig(least_height=least_height, sure=sure, shown=show)
    manifest_of(source)
    if fix is not None:
        mending.check(source, fix, quarantine)
    kept = report or fix
    with ExitStack() as stack:
        out = None
        if report is not None:
            report.mkdir(parents=True, exist_ok=True)
            path = stack.enter_context(atomic(report / "findings.jsonl"))
            out = stack.enter_context(path.open("w", encoding="utf-8"))
        tick = stack.enter_context(counting("looking"))
        found = inspect(source, config, asked, out, tick, ray, kept and kept / JOURNAL)
    for name, worst in found.worst():
        typer.echo(
            f"{found.counts[name]:7} {name}: {KINDS[name].title}, such as {worst[0].file}: {worst[0].reason}"
        )
    typer.echo(f"{source}: {found.records} records, {sum(found.counts.values())} findings")
    if report is not None:
        write_page(report / "index.html", source, found)
        typer.echo(f"{report / 'index.html'}: the report")
    if not found.records:
        raise UserError(f"{source}: no record that can be read; mend its manifest, or import it again")
    if fix is not None:
        done = mending.fix(source, fix, found, quarantine, kind or None, link)
        typer.echo(f"{fix}: {done.written} records written, {done.mended} mended, {done.left_out} left out")
        if quarantine is not None:
            typer.echo(f"{quarantine}: {done.quarantined} records put away")


def balance(
    source: Source,
    target: Target,
    power: Annotated[
        float, typer.Option(min=0, max=1, help="1 leaves all as it is, 0 makes all values alike.")
    ] = 0.5,
    limit: Annotated[float, typer.Option(min=1.01, help="The largest weight, and one over the least.")] = 10,
    split: Annotated[Split, typer.Option(help="The records to weigh.")] = Split.TRAIN,
    link: Link = False,
    lenient: Lenient = False,
) -> None:
    """Give each record a weight that balances characters, regions and plate heights; training draws by it."""
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.balance import BalanceConfig
    from plateloop.data_preparation.balance import balance as run

    config = BalanceConfig(power=power, limit=limit)
    with counting("weighing") as tick:
        found, report = run(source, target, config, split.chosen, link, tick)
    for margin, value, before, after in found.shares():
        typer.echo(f"{margin} {value}: {before:.2%} -> {after:.2%}")
    tell_skipped(report)
    low, high = found.weights.min(), found.weights.max()
    typer.echo(
        f"{target}: {report.written} records written, {len(found.weights)} weighed, {low:.2g} to {high:.2g}, "
        f"worth {found.effective:.0f} drawn evenly"
    )
    check_skipped(report, source, lenient)


def augment(
    source: Source,
    target: Target,
    copies: Annotated[int, typer.Option(min=1, help="Of each picture, besides itself.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same copies.")] = 0,
    split: Annotated[Split, typer.Option(help="The records to copy.")] = Split.TRAIN,
    ray: Ray = None,
    lenient: Lenient = False,
) -> None:
    """Add copies in other light, through other cameras, cut closer; for training outside of plateloop.

    plateloop's own training varies each picture anew whenever it is drawn, and gains nothing by this.
    Broken off and called again it goes on where it was.
    """
    from plateloop.cli.progress import counting
    from plateloop.data_preparation.augment import augment as run

    with counting("augmenting") as tick:
        report = run(source, target, copies, seed, split.chosen, tick, ray)
    tell(report, source, target, lenient)
