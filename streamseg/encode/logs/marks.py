"""What is marked in a picture beside the instances: lines and zones, the ego corridor, the horizon, who is hidden where."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamseg.encode.logs.seen import corners

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import Horizon

__all__ = ["Mark", "has_marks", "marks_in"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One line."""

    name: str
    points: Sequence[Sequence[float]]
    """[P][2] frame pixels."""
    closed: bool = True
    faint: bool = False
    """It is a help for the eye, or a guess."""
    facts: dict[str, str] = field(default_factory=dict)


def has_marks(result: Result) -> bool:
    """Whether the run that a frame is of marks anything; it may be nothing in this frame."""
    return result.scene is not None or bool(result.activity is not None and result.activity.places)


def marks_in(result: Result) -> Iterator[Mark]:
    """All of a frame."""
    for name, points in (result.activity.places if result.activity else {}).items():
        yield Mark(name, points.tolist(), closed=len(points) > 2)
    scene = result.scene
    if scene is None:
        return
    if len(scene.corridor):
        yield Mark("corridor", scene.corridor.tolist())
    if scene.horizon is not None and math.isfinite(scene.horizon.y):
        facts = {"y": f"{scene.horizon.y:g}", "y_std": f"{scene.horizon.y_std:g}"}
        yield Mark("horizon", _across(result, scene.horizon), closed=False, faint=True, facts=facts)
    for hidden in scene.hidden:
        facts = {"track_id": str(hidden.track_id), "class": hidden.name, "behind": str(hidden.behind)}
        yield Mark(f"{hidden.name} {hidden.track_id} hidden", corners(hidden.box).tolist(), faint=True, facts=facts)


def _across(result: Result, horizon: Horizon) -> list[tuple[float, float]]:
    width, camera = float(result.frame.width), None if result.scene is None else result.scene.camera
    center = width / 2 if camera is None else camera.cx * width / camera.width
    return [(x, float(horizon.at(x, center))) for x in (0.0, width)]
