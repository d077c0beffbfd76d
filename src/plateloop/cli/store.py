"""``plateloop store``: look into an event store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plateloop.deployment.store import Narrow, Store, Stored

app = typer.Typer(name="store", help="Look into an event store.", no_args_is_help=True)

_Store = Annotated[str, typer.Argument(metavar="STORE", help="SQLite file or database URL.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one event a line.")]
_Phases = Annotated[bool, typer.Option("--phases", help="Each phase, not only the last of each event.")]
_Source = Annotated[str | None, typer.Option(help="Only events of this source.")]
_Since = Annotated[str | None, typer.Option(help="Only from this time on (ISO 8601; without zone: UTC).")]
_Until = Annotated[str | None, typer.Option(help="Only before this time.")]


@app.command("list")
def list_events(
    store: _Store,
    as_json: _Json = False,
    phases: _Phases = False,
    source: _Source = None,
    since: _Since = None,
    until: _Until = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the last so many.")] = None,
) -> None:
    """List the events, each in its last state, and what is still to be delivered."""
    from collections import deque
    from contextlib import closing

    from plateloop.deployment.outbox import debts
    from plateloop.deployment.store import Store

    with closing(Store.open(store, create=False)) as opened:
        narrow = _narrow(source, since, until)
        items = _events(opened, narrow, phases)
        _print(deque(items, last) if last else items, as_json)
        for target, count in debts(opened).items():
            if count and not as_json:
                print(f"{count} events wait for {target}")


@app.command()
def search(
    store: _Store,
    text: Annotated[str, typer.Argument(metavar="PLATE", help="Plate; `*` is anything, `?` one character.")],
    as_json: _Json = False,
    edits: Annotated[int, typer.Option(min=0, help="Characters that may be changed, missing or added.")] = 0,
    exact: Annotated[bool, typer.Option("--exact", help="O is not 0, and I is not 1.")] = False,
    source: _Source = None,
    since: _Since = None,
    until: _Until = None,
) -> None:
    """Find events by their plate. Exit 1 where there is none."""
    from contextlib import closing

    from plateloop.deployment.search import matching
    from plateloop.deployment.store import Store

    with closing(Store.open(store, create=False)) as opened:
        wanted = set(matching(opened.texts(), text, edits, not exact))
        found = (i for i in _events(opened, _narrow(source, since, until)) if i.event.text in wanted)
        if not _print(found, as_json):
            raise typer.Exit(1)


@app.command()
def export(
    store: _Store,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="NAME.csv, NAME.json, NAME.jsonl or NAME.parquet.")
    ],
    phases: _Phases = False,
    source: _Source = None,
    since: _Since = None,
    until: _Until = None,
) -> None:
    """Write the events to a table: CSV, lines of JSON, or Parquet."""
    from contextlib import closing

    from plateloop.deployment.export import export as write
    from plateloop.deployment.export import format_of
    from plateloop.deployment.store import Store

    form = format_of(file)
    with closing(Store.open(store, create=False)) as opened:
        narrow = _narrow(source, since, until)
        count = write(_events(opened, narrow, phases), file, form)
    print(f"{count} events written to {file}")


@app.command()
def prune(
    store: _Store,
    days: Annotated[float, typer.Option(min=0, help="Delete events that ended longer ago.")],
    owed_too: Annotated[bool, typer.Option("--owed-too", help="Also those not yet delivered.")] = False,
) -> None:
    """Delete old events; those that are still to be delivered stay."""
    import time
    from contextlib import closing

    from plateloop.deployment.store import Store

    with closing(Store.open(store, create=False)) as opened:
        count = opened.prune(time.time() - days * 86_400, owed_too)
        print(f"{count} phases deleted, {opened.count()} kept")


def _events(store: Store, narrow: Narrow, phases: bool = False) -> Iterable[Stored]:
    """The events, with those of their pictures that are still there where the store lies beside them."""
    from dataclasses import replace

    from plateloop.deployment.sinks.pictures import present

    items = store.select(narrow) if phases else store.latest(narrow)
    folder = Path(store.engine.url.database or "").parent
    if store.engine.url.get_backend_name() != "sqlite" or not (folder / "pictures").is_dir():
        return items
    return (replace(item, event=present(item.event, folder)) for item in items)


def _narrow(source: str | None, since: str | None, until: str | None) -> Narrow:
    from datetime import UTC, datetime

    from plateloop.deployment.tables import events
    from plateloop.errors import UserError

    def unix(text: str) -> float:
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise UserError(f"{text}: not a time; expected for instance 2026-05-19T15:28:19Z") from None
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

    conditions = []
    if source is not None:
        conditions.append(events.c.stream == source)
    if since is not None:
        conditions.append(events.c.time >= unix(since))
    if until is not None:
        conditions.append(events.c.time < unix(until))
    return lambda query: query.where(*conditions)


def _print(items: Iterable[Stored], as_json: bool) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from plateloop.deployment.lines import as_line, timestamp
    from plateloop.text import visible

    count = 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("Time (UTC)", "Plate", "Sure", "Vehicle", "Source", "Phase"):
        table.add_column(name, justify="right" if name == "Sure" else "left", no_wrap=name != "Source")
    for item in items:
        count += 1
        if as_json:
            sys.stdout.write(visible(as_line(item)) + "\n")
            continue
        event, vehicle = item.event, item.event.vehicle
        seen = " ".join(filter(None, (vehicle.color, vehicle.label))) if vehicle else ""
        sure = f"{event.confidence:.0%}" if event.text else ""
        cells = (timestamp(item.time)[:19], event.text or "", sure, seen, event.source, event.phase)
        # As Text: what stands in an event is no markup.
        table.add_row(*(Text(visible(cell)) for cell in cells))
    if not as_json and count:
        Console().print(table)
    return count
