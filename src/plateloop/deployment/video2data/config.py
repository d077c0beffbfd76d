"""What is kept of a video, from which confidence on, and what is written of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class HarvestConfig(BaseModel):
    """Which frames become data, and how they are labelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period_s: float = Field(1.0, ge=0, description="seconds of the video between two kept frames")
    duration_s: float | None = Field(None, gt=0, description="seconds of each video that are looked at")
    limit: int | None = Field(None, ge=0, description="most kept frames of each video, spread over it")
    empty: bool = Field(False, description="keep frames that show nothing, too")
    min_vehicle: float = Field(0.5, ge=0, le=1, description="tcnet's score from which a vehicle is a label")
    min_plate: float = Field(0.5, ge=0, le=1, description="lpdnet's score from which a plate is a label")
    min_text: float = Field(
        0.8, ge=0, le=1, description="confidence of a track's fused text from which its plates bear it"
    )
    min_color: float = Field(
        0.5, ge=0, le=1, description="colornet's confidence from which a colour is named"
    )
    pictures: Literal["jpg", "png"] = Field("jpg", description="kind of the pictures")
    quality: int = Field(95, ge=1, le=100, description="JPEG quality")
    annotated: bool = Field(False, description="write each picture with its labels drawn on it, too")
    crops: bool = Field(True, description="write the plates with a text as pictures of their own")
    formats: tuple[Literal["yolo", "kitti"], ...] = Field((), description="further formats to write")
    hard: int = Field(200, ge=0, description="most hard examples that are written, the best; 0: none")
    alike: int = Field(
        10, ge=0, le=32, description="bits of 64 in which hard examples' pictures may differ and count as one"
    )
