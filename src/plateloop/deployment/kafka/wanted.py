"""Which of the events that are read back are wanted."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from plateloop.deployment.search import matching
from plateloop.types import Event


class Wanted(BaseModel):
    """What an event must be like; what is None is not asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plate: str | None = Field(None, description="plate; * is anything, ? one character")
    exact: bool = Field(False, description="tell O from 0 and I from 1 in the plate")
    source: str | None = Field(None, description="name of the source")
    confidence: float | None = Field(None, ge=0, le=1, description="least confidence of the text")
    phase: Literal["begin", "update", "end"] | None = Field(None, description="phase of the event")
    label: str | None = Field(None, description="vehicle's label")
    color: str | None = Field(None, description="vehicle's colour")

    def takes(self, event: Event) -> bool:
        """Whether ``event`` is wanted."""
        seen = event.vehicle
        return (
            (self.phase is None or event.phase == self.phase)
            and (self.source is None or event.source == self.source)
            and (self.confidence is None or (event.text is not None and event.confidence >= self.confidence))
            and (self.label is None or (seen is not None and seen.label == self.label))
            and (self.color is None or (seen is not None and seen.color == self.color))
            and (self.plate is None or bool(matching([event.text or ""], self.plate, 0, not self.exact)))
        )
