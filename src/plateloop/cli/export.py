"""``plateloop export``: networks as files for others to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="export",
    help="Write networks as files: ONNX with a card, or a folder for DeepStream.",
    no_args_is_help=True,
)

_Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="last.pt of a run, its config.yaml beside it.")
]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for NETWORK.onnx and its card.")]


def checkpoint(context: typer.Context, path: _Checkpoint, out: _Out) -> None:
    """Export the averaged weights of a run's CHECKPOINT to ONNX with a card."""
    from plateloop.training.checkpoint import export_checkpoint

    print(export_checkpoint(str(context.info_name), path, out))


for _network in ("tcnet", "lpdnet", "lprnet", "colornet"):
    app.command(_network)(checkpoint)


@app.command("deepstream")
def deepstream(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write; must not hold anything yet.")
    ],
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Page of a pipeline, as for `plateloop run`.")
    ] = None,
) -> None:
    """Write a folder that deepstream-app runs: networks, configuration and parsers."""
    from plateloop.deployment.config import load_config
    from plateloop.deployment.deepstream.export import export_deepstream

    if lost := export_deepstream(load_config(config), out):
        print(f"not carried over, DeepStream has its own or none: {', '.join(lost)}")
    print(f"{out}: run `make` and `deepstream-app -c deepstream_app.txt` there, on a machine with DeepStream")
