"""tcnet: finds vehicles in whole frames."""

from __future__ import annotations

from plateloop.networks.detector import Detector, DetectorConfig

LABELS = ("car", "bus", "truck", "motorcycle")
CONFIG = DetectorConfig(
    width=640,
    height=384,
    labels=LABELS,
    corners=False,
    widths=(16, 24, 64, 144, 320),
    depths=(1, 2, 4, 2),
    neck=72,
)


def tcnet(config: DetectorConfig = CONFIG) -> Detector:
    """The vehicle detector, untrained."""
    return Detector(config)
