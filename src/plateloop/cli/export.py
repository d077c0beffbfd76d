"""``plateloop export``: networks as files for others to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="export", help="Write networks as files: ONNX with a card.", no_args_is_help=True)

_Checkpoint = Annotated[Path, typer.Argument(help="last.pt of a run, its config.yaml beside it")]
_Out = Annotated[Path, typer.Option("--out", help="folder for NETWORK.onnx and its card")]


def checkpoint(context: typer.Context, path: _Checkpoint, out: _Out) -> None:
    """Export the averaged weights of a run's CHECKPOINT to ONNX with a card."""
    from plateloop.training.checkpoint import export_checkpoint

    print(export_checkpoint(str(context.info_name), path, out))


for _network in ("tcnet", "lpdnet", "lprnet", "colornet"):
    app.command(_network)(checkpoint)
