"""What a log says of each instance: its outlines, its label, its colour, and its numbers as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.palette import RGB, color_of

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["Seen", "corners", "seen_in", "shown"]

Points = npt.NDArray[np.float32]
_FINENESS = 0.75
"""Pixels by which an outline may be beside the mask's own edge: half of its points go, and nobody sees where."""
_SPECK = 4.0
"""Square pixels: a part that is smaller is left out, unless it is all that there is."""
_LABELLED = (("ttc", "s", 1), ("distance", "m", 0))
"""The numbers of a scene that stand in a label, their unit and decimals."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One instance."""

    track: int
    """0: it belongs to none."""
    label: int
    name: str
    """Its class."""
    text: str
    """What stands beside it."""
    score: float
    color: RGB
    """Its class's, sRGB 0..255."""
    box: tuple[float, float, float, float]
    """xyxy, frame pixels."""
    outlines: tuple[Points, ...]
    """[P, 2] frame pixels each, closed; the largest part first. Of boxes alone: their corners."""
    facts: dict[str, str]
    """What is known of it beside that, for a viewer that shows details."""


def seen_in(result: Result) -> list[Seen]:
    """All instances of a frame, in their order."""
    found, scene = result.instances, result.scene
    outlines = _outlines(result)
    told = []
    for i, (box, name, called) in enumerate(zip(found.boxes.tolist(), found.names, found.called, strict=True)):
        track, numbers = int(found.track_ids[i]), {} if scene is None else scene.instance_json(i)
        facts = {"class": name, "score": f"{found.scores[i]:.3f}"} | ({"track_id": str(track)} if track else {})
        facts |= {"name": called} if called != name else {}
        facts |= {key: f"{value:g}" for key, value in numbers.items() if value is not None}
        text = " ".join([called if called != name or not track else f"{name} {track}", *_measures(numbers)])
        label = int(found.labels[i])
        score = float(found.scores[i])
        told.append(Seen(track, label, name, text, score, color_of(0, label), tuple(box), outlines[i], facts))
    return told


def _measures(numbers: dict[str, Any]) -> list[str]:
    return [f"{numbers[key]:.{digits}f} {unit}" for key, unit, digits in _LABELLED if numbers.get(key) is not None]


def shown(value: float | None) -> bool:
    """Whether a number is known."""
    return value is not None and bool(np.isfinite(value))


def corners(box: tuple[float, float, float, float]) -> Points:
    """[4, 2] of a box xyxy."""
    x0, y0, x1, y1 = box
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)


def _outlines(result: Result) -> list[tuple[Points, ...]]:
    boxes = result.boxes.tolist()
    if not result.instances.has_shapes:
        return [(corners(tuple(box)),) for box in boxes]
    parts = (_traced(region[:2], crop) for region, crop in result.segments())
    return [traced or (corners(tuple(box)),) for traced, box in zip(parts, boxes, strict=True)]


def _traced(corner: tuple[int, ...], crop: npt.NDArray[np.bool_]) -> tuple[Points, ...]:
    """The outer outlines of a mask whose first pixel is at `corner`, through the centres of its outermost pixels."""
    if not crop.size:
        return ()
    lines, _ = cv2.findContours(crop.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    ordered = sorted(lines, key=cv2.contourArea, reverse=True)
    kept = [line for n, line in enumerate(ordered) if n == 0 or cv2.contourArea(line) >= _SPECK]
    at = np.array(corner, np.float32) + 0.5
    return tuple(cv2.approxPolyDP(line, _FINENESS, True).reshape(-1, 2).astype(np.float32) + at for line in kept)
