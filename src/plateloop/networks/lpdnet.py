"""lpdnet: finds plates and their corners in vehicle crops, and in whole frames where no vehicle is found."""

from __future__ import annotations

from plateloop.networks.detector import Detector, DetectorConfig

LABELS = ("plate",)
CONFIG = DetectorConfig(
    width=288,
    height=256,
    labels=LABELS,
    corners=True,
    widths=(16, 24, 64, 144, 256),
    depths=(1, 2, 4, 3),
    neck=72,
)


def lpdnet(config: DetectorConfig = CONFIG) -> Detector:
    """The plate detector, untrained."""
    return Detector(config)
