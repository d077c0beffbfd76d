"""``plateloop train``, ``evaluate`` and ``networks``: the commands of the training module."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.options import Device
from plateloop.errors import UserError


class Split(StrEnum):
    """The records to measure on; those of train say nothing of others."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Network(StrEnum):
    """The networks, by their place in the cascade."""

    TCNET = "tcnet"
    LPDNET = "lpdnet"
    LPRNET = "lprnet"
    COLORNET = "colornet"


Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="Folder of manifest datasets: DIR/frames, DIR/crops…")
]
CardOption = Annotated[
    Path | None, typer.Option("--card", metavar="YAML", help="Model card; the packaged one unless given.")
]
NetworkArgument = Annotated[Network, typer.Argument(metavar="NETWORK")]
_Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder of the run; one that exists is continued.")
]
_Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N; with all also several: cuda:0,cuda:1.")]
_Config = Annotated[Path | None, typer.Option(metavar="YAML", help="Settings that replace the defaults.")]
_Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, as loop.learning_rate=1e-3. Repeatable."),
]


def train(
    network: Annotated[
        str, typer.Argument(metavar="NETWORK", help="tcnet, lpdnet, lprnet, colornet, or all at a time.")
    ],
    data: Data,
    out: _Out,
    device: _Device = "cpu",
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Wall-clock budget of the schedule.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps of the schedule.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random number.")] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NETWORKS", help="With all: these, such as tcnet,lprnet.")
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="ONNX or last.pt with the weights to start from; package: the packaged ones."
        ),
    ] = None,
    config: _Config = None,
    assignments: _Set = None,
) -> None:
    """Train NETWORK and leave its ONNX, card, curve, metrics and sample predictions in OUT.

    With `all`, each network trains in a process of its own, in OUT/NETWORK with OUT/NETWORK.log; `--set
    NETWORK:key=value` is for one of them.
    """
    given = {"minutes": minutes, "steps": steps, "batch": batch, "seed": seed}
    overrides = [f"loop.{key}={value}" for key, value in given.items() if value is not None]
    overrides += assignments or []
    if network == "all":
        from plateloop.cores import cores
        from plateloop.training.together import NETWORKS, commands, require, run

        if minutes is None:
            raise UserError("train all: give --minutes, which each network may take")
        names = only.split(",") if only else NETWORKS
        start = None if start_from is None else str(start_from)
        if config is not None:
            raise UserError("train all: --config is for one network; use --set NETWORK:key=value")
        jobs = commands(names, data, out, device.split(","), minutes, cores(), overrides[1:], start)
        require(names, data)
        if failed := run(jobs, out):
            raise UserError(f"{', '.join(failed)} failed; see {out / (failed[0] + '.log')}")
        return
    if network not in list(Network):
        raise UserError(f"{network}: no such network; there are {', '.join(Network)} and all")
    if start_from == Path("package"):
        from plateloop.runtime.card import package_card

        start_from = package_card(Network(network).value).with_suffix(".onnx")
    if start_from is not None and not start_from.is_file():
        raise UserError(f"{start_from}: no such weights to start from")
    match Network(network):
        case Network.TCNET | Network.LPDNET:
            from plateloop.training.detection.train import train_detector

            train_detector(network, data, out, device, config, overrides, start_from)
        case Network.LPRNET:
            from plateloop.training.reading.train import train_reader

            train_reader(data, out, device, config, overrides, start_from)
        case Network.COLORNET:
            from plateloop.training.color.train import train_color

            train_color(data, out, device, config, overrides, start_from)


def evaluate(
    network: NetworkArgument,
    data: Data,
    card: CardOption = None,
    split: Annotated[Split, typer.Option(help="val to choose by, test to report.")] = Split.VAL,
    device: Device = "cpu",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for metrics.json and sample pictures.")
    ] = None,
) -> None:
    """Measure NETWORK through its exported ONNX and the runtime's own decoding."""
    match network:
        case Network.TCNET | Network.LPDNET:
            from plateloop.training.detection.evaluate import evaluate_detector

            evaluate_detector(network.value, data, card, split.value, device, out)
        case Network.LPRNET:
            from plateloop.training.reading.evaluate import evaluate_reader

            evaluate_reader(data, card, split.value, device, out)
        case Network.COLORNET:
            from plateloop.training.color.evaluate import evaluate_color

            evaluate_color(data, card, split.value, device, out)


def networks() -> None:
    """The networks' budgets and what they cost, measured on the modules."""
    from rich.console import Console
    from rich.table import Table

    from plateloop.training.budgets import budgets

    table = Table("network", "input", "GFLOPs", "budget", "parameters", "FP32 MB")
    for row in budgets():
        table.add_row(
            row.network,
            f"{row.width}×{row.height}",
            f"{row.cost.gflops:.3f}",
            f"{row.budget:.2f}",
            f"{row.cost.parameters:,}",
            f"{row.cost.megabytes:.2f}",
        )
    Console().print(table)
