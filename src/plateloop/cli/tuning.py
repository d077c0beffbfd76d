"""``plateloop tune``, ``average``, ``prune``, ``quantize``: better settings and weights, smaller networks."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from plateloop.cli.training import CardOption, Data, NetworkArgument


class Precision(StrEnum):
    """What a network is quantized to."""

    INT8 = "int8"
    FP16 = "fp16"


class Target(StrEnum):
    """Whose INT8."""

    CPU = "cpu"
    TENSORRT = "tensorrt"


_Limit = Annotated[int | None, typer.Option(min=1, help="Pictures of each dataset at most, for trials.")]


def quantize(
    network: NetworkArgument,
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for NETWORK.onnx and its card.")],
    card: CardOption = None,
    to: Annotated[Precision, typer.Option(help="int8, or fp16 for GPUs.")] = Precision.INT8,
    target: Annotated[
        Target, typer.Option("--for", help="Whose INT8: cpu, or tensorrt (signed, symmetric).")
    ] = Target.CPU,
    max_loss: Annotated[
        float, typer.Option(min=0, help="Most that the figure on val may fall: 0.01 is a point.")
    ] = 0.01,
    pictures: Annotated[
        int, typer.Option(min=1, help="Pictures of train on which ranges are measured.")
    ] = 128,
    minutes: Annotated[
        float, typer.Option(min=0.001, help="Most time for measuring each layer's sensitivity.")
    ] = 3.0,
    limit: _Limit = None,
) -> None:
    """Quantize NETWORK and say what it costs on val and gains on this CPU.

    Where all layers in INT8 lose more than --max-loss, the most sensitive ones stay in FP32. Exit 1, with
    nothing written, where that does not help.
    """
    from plateloop.runtime.card import package_card
    from plateloop.training.compression.quantize import LossError, QuantizeConfig
    from plateloop.training.compression.quantize import quantize as run

    config = QuantizeConfig(
        precision=to.value,
        target=target.value,
        max_loss=max_loss,
        pictures=pictures,
        minutes=minutes,
        limit=limit,
    )
    try:
        done = run(card or package_card(network.value), data, out, config)
    except LossError as error:
        print(f"plateloop: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(
        f"{network.value}: {done.before.figure:.4f} → {done.after.figure:.4f} on val, {done.speed:.2f} times "
        f"as fast on this CPU, {len(done.kept)} layers in FP32; {out / (network.value + '.yaml')}"
    )


def average(
    before: Annotated[Path, typer.Argument(metavar="CARD", help="Card of the weights before.")],
    after: Annotated[Path, typer.Argument(metavar="CARD", help="Card of those trained from them.")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for NETWORK.onnx and its card.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the second's weights.")] = 0.5,
) -> None:
    """Mean of a network's weights before and after a further training, measured on val.

    It often keeps what the first could and has some of what the second learnt.
    """
    from plateloop.training.average import average as run

    card, figures = run(before, after, share, data, out)
    print(
        f"{card.task}: before {figures[0]:.4f}, after {figures[1]:.4f}, mean {figures[2]:.4f} on val; "
        f"{out / (card.task + '.yaml')}"
    )


def tune(
    network: NetworkArgument,
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the study; one that exists goes on.")
    ],
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, with those that are done.")] = 20,
    minutes: Annotated[float, typer.Option(min=0.01, help="Of each trial.")] = 4.0,
    device: Annotated[str, typer.Option(help="cpu, or devices that take trials: cuda:0,cuda:1.")] = "cpu",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trials at a time; one a device unless given.")
    ] = None,
    space: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Keys with {low, high, log} or choices.")
    ] = None,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Steps between looks at a trial.")] = 200,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting of all trials, as loop.cuda_graph=true. Repeatable.",
        ),
    ] = None,
) -> None:
    """Search for NETWORK's best settings by short trainings, judged on val; leaves OUT/best.yaml."""
    from plateloop.training.tuning.tune import Search, load_space
    from plateloop.training.tuning.tune import tune as run

    devices = device.split(",")
    count = jobs or len(devices)
    given = [f"loop.evaluate_every={evaluate_every}", *(assignments or [])]
    places = [devices[number % len(devices)] for number in range(count)]
    search = Search(network.value, data, out, places, minutes, load_space(network.value, space), given)
    study = run(search, trials, count)
    print(f"best: {study.best_value:.4f}, {out / 'best.yaml'}; report in {out / 'report.png'}")


def prune(
    network: NetworkArgument,
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for NETWORK.onnx, its card and the run.")
    ],
    share: Annotated[float, typer.Option(min=0.01, max=0.9, help="Of the channels to cut away.")] = 0.2,
    minutes: Annotated[float, typer.Option(min=0.01, help="Of training afterwards.")] = 4.0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    card: CardOption = None,
    limit: _Limit = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="One setting of the training, as loop.batch=64. Repeatable."
        ),
    ] = None,
) -> None:
    """Cut channels of NETWORK away, train on, and say what it costs on val and saves."""
    from plateloop.training.compression.prune import prune as run

    done = run(network.value, data, out, share, minutes, device, card, assignments or [], limit)
    (whole, narrow), (before, after) = done.cost, done.figure
    print(
        f"{network.value}: {whole.gflops:.3f} → {narrow.gflops:.3f} GFLOPs, {whole.parameters:,} → "
        f"{narrow.parameters:,} parameters, {before:.4f} → {after:.4f} on val; "
        f"{out / (network.value + '.yaml')}"
    )
