"""Drives of known geometry, as `Road` is given them: a flat road, a pinhole above it, road users that move as they are told, and of
each the truth with noise of known size. No picture is made.

    for result, scene, truth in drive([Car(lambda t: 30 - 8 * t)], seconds=3): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Horizon, Scene, Turn
from streamseg.core.types import Activity, Event, Frame, Instances, Occlusion
from streamseg.scene.road import Road

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "dog", "traffic light")
WIDTH, HEIGHT, FOCAL, MOUNTED, HORIZON = 1280, 720, 1100.0, 1.3, 350.0
CAMERA = CameraModel(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HORIZON, mounted=MOUNTED, source="given")
SIZES = {
    "car": (1.8, 1.5),
    "truck": (2.5, 3.4),
    "bus": (2.5, 3.2),
    "person": (0.55, 1.75),
    "bicycle": (0.6, 1.7),
    "dog": (0.7, 0.6),
}
_PICTURE = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")


@dataclass(frozen=True)
class User:
    """A road user."""

    ahead: Callable[[float], float]
    """Seconds -> metres along the road to its nearest point."""
    across: Callable[[float], float] = lambda _: 0.0
    """Seconds -> metres to the right of the camera's axis."""
    name: str = "car"
    seen: Callable[[float], bool] = lambda _: True
    track: Callable[[float], int] | int = 0
    """0: its place in the list, from 1."""
    visible: Callable[[float], float] = lambda _: 1.0
    behind: Callable[[float], int] = lambda _: 0


def drive(
    users: Sequence[User],
    seconds: float,
    *,
    rate: float = 25,
    times: Sequence[float] | None = None,
    noise: float = 1.0,
    seed: int = 0,
    camera: CameraModel | None = None,
    yaw: Callable[[float], float] = lambda _: 0.0,
    own_speed: Callable[[float], float | None] = lambda _: None,
    moving: Callable[[float], float | None] = lambda _: 1.0,
    epoch: Callable[[float], int] = lambda _: 0,
    metres: bool = False,
    **unknown: Any,
) -> Iterator[tuple[Result, Scene]]:
    """Each frame as the other parts tell it. `noise`: 0 is the truth, 1 as bad as can be expected; `yaw`: radians a second;
    `unknown`: fields of the scene that are to be something else, as `horizon=None`."""
    rng = np.random.default_rng(seed)
    drift: dict[int, float] = {}
    stamps = np.arange(0, seconds, 1 / rate) if times is None else np.asarray(times)
    for index, t in enumerate(stamps.tolist()):
        rows = []
        dy = noise * rng.normal(0, 1.5)
        for number, user in enumerate(users, 1):
            z, x = user.ahead(t), user.across(t)
            if z < 1.5 or not user.seen(t):
                continue
            track = user.track(t) if callable(user.track) else user.track or number
            box = _box(user, z, x, dy, noise, rng)
            if box is None:
                continue
            true = -(user.ahead(t + 0.02) - user.ahead(t - 0.02)) / 0.04 / z
            std = 0.012 + 0.05 * abs(true) + 0.25 / (box[3] - box[1])
            drift[number] = 0.85 * drift.get(number, 0.0) + rng.normal(0, std * np.sqrt(1 - 0.85**2))
            growth = true + noise * drift[number]
            rows.append((user, track, box, growth, std, z, x, true * -z))
        yield (
            _result(index, t, rows, epoch(t)),
            _scene(rows, t, rng, noise, camera, yaw(t), own_speed(t), moving(t), rate, metres, dy, unknown),
        )


def _box(user: User, z: float, x: float, dy: float, noise: float, rng: np.random.Generator) -> list[float] | None:
    width, height = SIZES[user.name]
    scale = FOCAL / z
    middle, foot = WIDTH / 2 + x * scale, HORIZON + dy + MOUNTED * scale
    off = noise * rng.normal(0, 0.015, 4) * np.array([width, height, width, height]) * scale
    box = np.array([middle - width * scale / 2, foot - height * scale, middle + width * scale / 2, foot]) + off
    box = np.clip(box, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    return None if box[2] - box[0] < 6 or box[3] - box[1] < 6 else box.tolist()


def _result(index: int, t: float, rows: list[tuple[Any, ...]], epoch: int) -> Result:
    n = len(rows)
    frame = Frame(_PICTURE, index, round(t * 90000), Fraction(1, 90000), epoch=epoch)
    boxes = np.array([row[2] for row in rows], np.float32).reshape(n, 4)
    labels = np.array([CLASSES.index(row[0].name) for row in rows], np.int64)
    ids = np.array([row[1] for row in rows], np.int64)
    found = Instances(boxes, np.full(n, 0.9, np.float32), labels, np.full((n, 28, 28), 255, np.uint8), CLASSES, track_ids=ids)
    visible = np.array([row[0].visible(t) for row in rows], np.float32)
    behind = np.array([row[0].behind(t) for row in rows], np.int64)
    hidden = Occlusion(visible, behind, np.arange(n), np.zeros(n, bool), boxes.copy())
    return Result(frame, found, hidden, Activity({}, {}, {}, {}))


def _scene(
    rows: list[tuple[Any, ...]],
    t: float,
    rng: np.random.Generator,
    noise: float,
    camera: CameraModel | None,
    yaw: float,
    own_speed: float | None,
    moving: float | None,
    rate: float,
    metres: bool,
    dy: float,
    unknown: dict[str, Any],
) -> Scene:
    n = len(rows)
    growth, std = (np.array([row[k] for row in rows], np.float32).reshape(n) for k in (3, 4))
    with np.errstate(divide="ignore"):
        ttc = np.where(growth > 2 * std, 1 / growth, np.nan).astype(np.float32)
    scene = replace(
        Scene.unknown(n),
        growth=growth,
        growth_std=std,
        ttc=ttc,
        ttc_std=(ttc**2 * std).astype(np.float32),
        horizon=Horizon(HORIZON + dy + noise * rng.normal(0, 1.5), 0.0, 3.0, WIDTH / 2 + noise * rng.normal(0, 6), 8.0),
        turn=Turn(0.0, yaw / rate + noise * rng.normal(0, 0.0004), 0.0, 0.0004, None, moving),
        camera=camera,
        own_speed=own_speed,
    )
    if metres:
        z, x, speed = (np.array([row[k] for row in rows], np.float32).reshape(n) for k in (5, 6, 7))
        off = (noise * 0.04 * z).astype(np.float32)
        scene = replace(
            scene,
            distance=(z + off * rng.normal(0, 1, n)).astype(np.float32),
            distance_std=0.04 * z,
            lateral=(x + 0.02 * off * rng.normal(0, 1, n)).astype(np.float32),
            lateral_std=(0.1 + 0.01 * z).astype(np.float32),
            speed=(speed + noise * rng.normal(0, 0.3, n)).astype(np.float32),
            speed_std=np.full(n, 0.3, np.float32),
        )
    return replace(scene, **unknown)


@dataclass
class Seen:
    """What `Road` said of a drive."""

    scenes: list[Scene]
    results: list[Result]
    events: list[tuple[float, Event]]
    """With the time of the frame in which each was told."""

    def kinds(self) -> list[str]:
        return [event.kind for _, event in self.events]

    def of(self, kind: str) -> list[Event]:
        return [event for _, event in self.events if event.kind == kind]

    def level(self, track: int) -> list[tuple[float, int]]:
        """Time and alert of a track, in the frames in which it is seen."""
        levels = []
        for result, scene in zip(self.results, self.scenes, strict=True):
            where = np.flatnonzero(result.instances.track_ids == track)
            levels += [(result.frame.time, int(scene.alert[i])) for i in where]
        return levels


def watch(frames: Iterator[tuple[Result, Scene]], road: Road | None = None) -> Seen:
    road = Road() if road is None else road
    seen = Seen([], [], [])
    for result, known in frames:
        scene, events = road(result, known)
        seen.scenes.append(scene)
        seen.results.append(result)
        seen.events += [(result.frame.time, event) for event in events]
    return seen
