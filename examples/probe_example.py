"""Two probes: one tells of plates that end, one keeps the last crop of each large vehicle."""

from pathlib import Path

import cv2
import numpy as np

from plateloop import Event
from plateloop.deployment.sinks.probe import FrameView
from plateloop.types import TrackState

CROPS = Path("vehicles")


def tell(event: Event) -> None:
    """Append each plate that was read to a file, once it is stored."""
    if event.phase == "end" and event.text is not None:
        with Path("plates.txt").open("a", encoding="utf-8") as file:
            file.write(f"{event.text} {event.confidence:.2f} {event.clock}\n")


def near(track: TrackState, view: FrameView) -> None:
    """Keep a picture of a vehicle that fills a tenth of the picture's width; only its box is converted."""
    width = track.box[2] - track.box[0]
    if track.label is not None and width > view.frame.width / 10 and view.index % 10 == 0:
        CROPS.mkdir(exist_ok=True)
        crop = view.frame.crops(np.array([track.box], np.float32), (256, 256))[0]
        cv2.imwrite(str(CROPS / f"{track.id}.jpg"), crop[..., ::-1])
