"""scene: what a camera that looks ahead from a vehicle tells of the road. The section of a pipeline file."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from streamseg.config.section import Section

__all__ = ["SceneConfig"]


class SceneConfig(Section):
    """scene: time to collision, distances, the way ahead, and events (docs/drive.md); `scene: on` alone means `watch`."""

    watch: bool = False
    """Look at the scene: the source is a camera that looks ahead from a vehicle."""

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return {"watch": value} if isinstance(value, bool) else value
