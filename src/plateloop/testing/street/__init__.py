"""A street that does not exist: a small software renderer of traffic clips whose truth is known.

It is there so that the demo and the tests have a film that anybody may keep, show and measure against: every
vehicle's box, every plate's corners and text are known because the program put them there.
"""

from plateloop.testing.street.clip import Clip, Street, render_clip
from plateloop.testing.street.truth import FrameTruth, VehicleTruth, read_truth

__all__ = ["Clip", "FrameTruth", "Street", "VehicleTruth", "read_truth", "render_clip"]
