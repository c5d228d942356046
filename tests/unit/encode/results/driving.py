"""Results of a drive: the walk of `helpers`, with metres, times to collision and events that are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Fix, Scene
from streamseg.core.types import Activity, Event
from tests.unit.encode.results.helpers import results

CAMERA = CameraModel(640, 360, 500.0, 500.0, 320.0, 180.0, (0.1, 0.01, 0.0, 0.0), mounted=1.4, source="given")


@cache
def _walk() -> tuple[Result, ...]:
    return tuple(results(8))


def walk(count: int = 8) -> list[Result]:
    """`helpers.results`, rendered once."""
    return list(_walk()[:count])


def scene_of(n: int, **known: object) -> Scene:
    """Instance i is 10 + i metres ahead, i - 1 metres to the right, and hit in 2 + i seconds; nothing is known of the last."""
    steps = np.arange(n, dtype=np.float32)
    steps[-1:] = np.nan
    one = np.where(np.isnan(steps), np.nan, np.float32(0.5)).astype(np.float32)
    values = {"ttc": 2 + steps, "ttc_std": one, "distance": 10 + steps, "distance_std": one, "lateral": steps - 1}
    return replace(Scene.unknown(n), **values, **known)  # type: ignore[arg-type]


def drive(count: int = 4, *, camera: CameraModel | None = CAMERA, fix: Fix | None = None) -> list[Result]:
    """`count` frames; with the third an event of the second is told: an alert for the first instance."""
    made = []
    for i, result in enumerate(walk(count)):
        track = int(result.track_ids[0])
        told = (Event("alert", result.time - 0.04, track, result.names[0], details={"ttc": 1.9, "ttc_std": 0.3, "gap": 7.0}),)
        activity = Activity({}, {}, {}, {}, told if i == 2 else ())
        made.append(replace(result, scene=scene_of(len(result), camera=camera, fix=fix), activity=activity))
    return made
