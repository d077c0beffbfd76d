"""Options that several commands share: one name, one help, one range each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Split(StrEnum):
    """Which records of a dataset."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    ALL = "all"

    @property
    def chosen(self) -> str | None:
        """The split's name, None for all."""
        return None if self is Split.ALL else self.value


DEVICES = "cpu, cuda, cuda:1, tensorrt, openvino, coreml or directml."

Device = Annotated[str, typer.Option(help=DEVICES)]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads of a network; 0: one a core.")]
Weights = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Networks with cards to use in place of the package's.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]
SplitOption = Annotated[Split, typer.Option("--split", help="The records to use.")]

Known = Annotated[
    list[Path], typer.Argument(metavar="DATA", help="Manifest datasets, and folders with clips.jsonl.")
]

# For a command whose page of settings may name them.
DeviceOverride = Annotated[str | None, typer.Option("--device", help=DEVICES)]
ThreadsOverride = Annotated[
    int | None, typer.Option("--threads", min=0, help="CPU threads for the networks; 0: all cores but one.")
]
Page = Annotated[
    Path | None, typer.Option("--config", metavar="YAML", help="Page with all settings; options override it.")
]
