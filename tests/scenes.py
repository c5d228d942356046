"""Moving pictures whose truth is known exactly: masks (visible and amodal), identities, occlusion, depth order and flow.

A `Scene` is a world with a textured ground, seen by a moving camera, in which `Actor`s move. An actor is made of flat parts
(ellipses and rectangles, each with its own texture) that are placed by affine maps; whether a pixel's centre lies inside a part is
computed, not drawn, and the surface point that a pixel shows is known at any other time too, so that optical flow is exact.

    scene = crossing(rate=25)
    for truth in scene:                      # one Truth a frame, made when it is taken
        truth.image, truth.visible, truth.ids, truth.hidden_by ...
    scene.flow(3, 4)                         # where the surface points that frame 3 shows are in frame 4

Everything is in seconds and pixels: the same scene can be played at 10, 25 or 60 frames a second and with frames dropped
(`times(seconds, rate, drop)`). `Film([scene, scene])` cuts from one to the next. `tests/noisy_detector.py` turns truth into
imperfect detections. Coordinates as in streamseg.core.types: pixel (c, r) has its centre at (c + 0.5, r + 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.types import Frame

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")
PERSON, BICYCLE, CAR, BUS, TRUCK, DOG = 0, 1, 2, 4, 5, 7
TICKS = 90_000
SCENERY = -1
"""The label of an actor that hides others but is not itself an instance: a pillar, a tree."""

Matrix = npt.NDArray[np.float64]
"""[2, 3] affine map of points."""
Path = Callable[[float], tuple[float, float]]
Colour = tuple[int, int, int]


# --- actors -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A flat shape that fills [-1, 1] x [-1, 1] of its own coordinates, and where that lies in its actor's."""

    kind: Literal["ellipse", "rectangle"]
    place: Callable[[float], Matrix]
    """Seconds -> the map from the part's coordinates to the actor's (units of the actor's height, origin at its centre)."""
    texture: npt.NDArray[np.uint8]
    """[S, S, 3] RGB, spread over the part."""

    def holds(self, x: Matrix, y: Matrix) -> npt.NDArray[np.bool_]:
        """Which points, in the part's coordinates, belong to it."""
        return x * x + y * y < 1 if self.kind == "ellipse" else np.maximum(np.abs(x), np.abs(y)) < 1


@dataclass(frozen=True)
class Actor:
    """A thing in the world."""

    parts: tuple[Part, ...]
    """From the farthest to the nearest."""
    path: Path
    """Seconds -> the centre, world pixels."""
    height: float
    """World pixels that are one unit of the parts' places."""
    depth: float = 1.0
    """Distance: the smaller hides the larger. At equal depth the later in the scene's list hides the earlier."""
    label: int = PERSON
    seen: Callable[[float], bool] = lambda _: True
    """Whether it is there at all at that time (it may also walk out of the picture)."""
    zoom: Callable[[float], float] = lambda _: 1.0
    """Factor on the height over time, for what comes nearer."""
    angle: Callable[[float], float] = lambda _: 0.0
    """Radians over time."""

    def place(self, t: float) -> Matrix:
        """The map from the actor's coordinates to the world's."""
        return affine(*self.path(t), self.height * self.zoom(t), self.height * self.zoom(t), self.angle(t))


def affine(x: float, y: float, sx: float, sy: float, angle: float = 0.0) -> Matrix:
    """Scale by (sx, sy), turn by `angle`, move to (x, y)."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c * sx, -s * sy, x], [s * sx, c * sy, y]])


def chain(outer: Matrix, inner: Matrix) -> Matrix:
    """The map that does `inner`, then `outer`."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def inverse(m: Matrix) -> Matrix:
    linear = np.linalg.inv(m[:, :2])
    return np.hstack([linear, -linear @ m[:, 2:]])


def texture(colour: Colour, seed: int, contrast: float = 30.0, size: int = 64) -> npt.NDArray[np.uint8]:
    """Blotches and fine grain around a colour: [size, size, 3] uint8."""
    rng = np.random.default_rng(seed)
    field = sum(
        weight * cv2.resize(rng.normal(0, 1, (n, n)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        for n, weight in ((4, 1.0), (12, 0.6), (32, 0.4))
    )
    return np.clip(np.array(colour) + contrast * np.asarray(field)[..., None], 0, 255).astype(np.uint8)


def still(m: Matrix) -> Callable[[float], Matrix]:
    return lambda _: m


def straight(x: float, y: float, vx: float = 0.0, vy: float = 0.0) -> Path:
    """From (x, y) at time 0, at constant speed in pixels a second."""
    return lambda t: (x + vx * t, y + vy * t)


def block(
    path: Path, width: float, height: float, colour: Colour, seed: int = 0, kind: str = "rectangle", **rest: object
) -> Actor:
    """One ellipse or rectangle of `width` x `height` world pixels; `rest` goes to Actor."""
    part = Part(kind, still(affine(0, 0, width / height / 2, 0.5)), texture(colour, seed))  # type: ignore[arg-type]
    return Actor((part,), path, height, **rest)  # type: ignore[arg-type]


def walker(
    path: Path, height: float, shirt: Colour, trousers: Colour, seed: int = 0, pace: float = 1.6, **rest: object
) -> Actor:
    """A person of about 0.4 x 1 heights whose arms and legs swing `pace` times a second; `rest` goes to Actor."""

    def limb(x: float, y: float, length: float, swing: float, phase: float) -> Callable[[float], Matrix]:
        def place(t: float) -> Matrix:
            angle = swing * math.sin(2 * math.pi * pace * t + phase + seed)
            joint = affine(x, y, 1, 1, angle)
            return chain(joint, affine(0, length / 2, 0.055, length / 2))

        return place

    skin = texture((200, 160, 130), seed + 1)
    cloth, legs = texture(shirt, seed + 2), texture(trousers, seed + 3)
    parts = (
        Part("ellipse", limb(-0.02, -0.28, 0.38, 0.5, math.pi), cloth),
        Part("ellipse", limb(0.03, 0.04, 0.48, 0.45, 0), legs),
        Part("ellipse", limb(-0.03, 0.04, 0.48, 0.45, math.pi), legs),
        Part("ellipse", still(affine(0, -0.12, 0.14, 0.24)), cloth),
        Part("ellipse", still(affine(0, -0.42, 0.075, 0.09)), skin),
        Part("ellipse", limb(0.02, -0.28, 0.38, 0.5, 0), cloth),
    )
    return Actor(parts, path, height, **rest)  # type: ignore[arg-type]


def car(path: Path, height: float, colour: Colour, seed: int = 0, **rest: object) -> Actor:
    """A car of about 2.4 x 1 heights; `rest` goes to Actor."""
    body, glass, tyre = texture(colour, seed), texture((70, 80, 95), seed + 1), texture((30, 30, 30), seed + 2, 10)
    parts = (
        Part("ellipse", still(affine(0.05, -0.12, 0.75, 0.38)), glass),
        Part("rectangle", still(affine(0, 0.14, 1.2, 0.22)), body),
        Part("ellipse", still(affine(-0.7, 0.33, 0.17, 0.17)), tyre),
        Part("ellipse", still(affine(0.7, 0.33, 0.17, 0.17)), tyre),
    )
    return Actor(parts, path, height, **{"label": CAR, **rest})  # type: ignore[arg-type]


# --- the ground and the camera ------------------------------------------------------------------------------------------------


def ground(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A made-up street: a gradient with noise of many sizes, patches and lines. [height, width, 3] uint8 RGB."""
    rng = np.random.default_rng(seed)
    noise = np.zeros((height, width), np.float32)
    for cell, weight in ((120, 26), (40, 16), (12, 10), (4, 7)):
        coarse = rng.normal(0, 1, (height // cell + 2, width // cell + 2)).astype(np.float32)
        noise += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = 120 + noise[..., None] + np.linspace(30, -30, height)[:, None, None] * np.array([1.0, 1.0, 0.8])
    for _ in range(max(12, width * height // 16000)):
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        w, h = (int(v) for v in rng.uniform(8, 90, 2))
        picture[y : y + h, x : x + w] += rng.normal(0, 28, 3) + rng.normal(0, 12)
    return np.clip(picture, 0, 255).astype(np.uint8)


Camera = Callable[[float], Matrix]
"""Seconds -> the map from world pixels to frame pixels."""


def fixed(_: float) -> Matrix:
    return affine(0, 0, 1, 1)


def pan(vx: float, vy: float = 0.0, zoom: float = 0.0) -> Camera:
    """The picture's content moves by (vx, vy) pixels a second and grows by the share `zoom` a second."""
    return lambda t: affine(vx * t, vy * t, 1 + zoom * t, 1 + zoom * t)


def shake(amount: float, seed: int = 0, base: Camera = fixed) -> Camera:
    """A hand: smooth random movement of about `amount` pixels at 2 to 7 Hz and a little turning, on top of `base`."""
    rng = np.random.default_rng(seed)
    phases, rates = rng.uniform(0, 6.28, (3, 3)), rng.uniform(2, 7, (3, 3))

    def place(t: float) -> Matrix:
        x, y, turn = np.sin(2 * math.pi * rates * t + phases).sum(1) * amount / 2
        return chain(affine(x, y, 1, 1, 0.0005 * turn), base(t))

    return place


def times(seconds: float, rate: float = 25.0, drop: float = 0.0, seed: int = 0) -> tuple[float, ...]:
    """The times of the frames: `rate` a second, of which the share `drop` is missing, at random."""
    kept = np.random.default_rng(seed).uniform(size=round(seconds * rate)) >= drop
    kept[0] = True
    return tuple(i / rate for i in np.flatnonzero(kept))


# --- what is true of a frame ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """All that is true of one frame. N: the actors that are there and lie at least partly in the picture, scenery left out."""

    index: int
    time: float
    image: npt.NDArray[np.uint8]
    """[H, W, 3] RGB."""
    ids: npt.NDArray[np.int64]
    """[N], 1-based; the same actor has the same id in all frames."""
    labels: npt.NDArray[np.int64]
    """[N] index into CLASSES."""
    visible: npt.NDArray[np.bool_]
    """[N, H, W]: the pixels that show it; the masks of a frame are disjoint."""
    amodal: npt.NDArray[np.bool_]
    """[N, H, W]: the pixels of the frame that would show it were nothing in front of it."""
    depths: npt.NDArray[np.float64]
    """[N], the smaller the nearer."""
    hidden_by: npt.NDArray[np.float64]
    """[N, N]: the share of i's amodal pixels where j is what one sees; 0 on the diagonal."""
    inside: npt.NDArray[np.float64]
    """[N]: the share of the whole actor (amodal, also beyond the picture's edges) that lies in the frame."""
    epoch: int = 0

    @property
    def visible_fraction(self) -> npt.NDArray[np.float64]:
        """[N]: visible pixels / amodal pixels of the frame."""
        return self.visible.sum((1, 2)) / self.amodal.sum((1, 2))

    def occluders(self, i: int, least: float = 0.01) -> list[int]:
        """The ids of those that hide at least the share `least` of instance i, the one that hides most first."""
        order = np.argsort(-self.hidden_by[i])
        return [int(self.ids[j]) for j in order if self.hidden_by[i, j] >= least]

    def frame(self, pixel_format: str = "yuv420p") -> Frame:
        """The picture as the decoder would give it (RGB converted by swscale, BT.601, limited range)."""
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(self.image), "rgb24").reformat(format=pixel_format, threads=1)
        pts = round(self.time * TICKS)
        picture.pts, picture.time_base = pts, Fraction(1, TICKS)
        return Frame(picture, self.index, pts, Fraction(1, TICKS), epoch=self.epoch)


@dataclass(frozen=True)
class Scene:
    """A world to be played: iterate over it for the truth of each frame."""

    actors: Sequence[Actor]
    times: Sequence[float]
    width: int = 640
    height: int = 360
    camera: Camera = fixed
    seed: int = 0
    backdrop: npt.NDArray[np.uint8] | None = None
    """[h, w, 3] RGB, a real picture to use as ground instead of a made-up one."""
    grain: float = 3.0
    """Standard deviation of the sensor's noise, codes."""
    name: str = "scene"
    _cache: dict[int, Truth] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[Truth]:
        return (self.truth(i) for i in range(len(self)))

    @cached_property
    def _ground(self) -> npt.NDArray[np.uint8]:
        """Three times the frame's size, so that the camera has somewhere to go; beyond that it repeats mirrored."""
        size = (3 * self.width, 3 * self.height)
        return ground(*size, seed=self.seed) if self.backdrop is None else cv2.resize(self.backdrop, size)

    def _ground_to_frame(self, t: float) -> Matrix:
        return chain(self.camera(t), affine(-self.width, -self.height, 1, 1))

    def _surfaces(self, t: float) -> list[tuple[int, int, Matrix]]:
        """(actor, part, map to the frame) of all that is there, from the farthest to the nearest."""
        camera = self.camera(t)
        order = sorted((a for a in range(len(self.actors)) if self.actors[a].seen(t)), key=lambda a: (-self.actors[a].depth, a))
        return [
            (a, p, chain(chain(camera, self.actors[a].place(t)), part.place(t)))
            for a in order
            for p, part in enumerate(self.actors[a].parts)
        ]

    def truth(self, i: int) -> Truth:
        """Frame number i."""
        t = self.times[i]
        matrix = self._ground_to_frame(t)
        matrix_pixels = matrix + np.array([[0, 0, 0.5 * (matrix[0].sum() - matrix[0, 2]) - 0.5], [0, 0, 0]])
        matrix_pixels[1, 2] += 0.5 * (matrix[1, 0] + matrix[1, 1]) - 0.5  # OpenCV counts from the centre of the first pixel
        image = cv2.warpAffine(self._ground, matrix_pixels, (self.width, self.height), borderMode=cv2.BORDER_REFLECT)
        owner, _, amodal, whole = self._paint(t, image)
        if self.grain:
            noise = np.random.default_rng((self.seed, i)).normal(0, self.grain, image.shape[:2])
            image = np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
        there = [a for a in sorted(amodal) if self.actors[a].label != SCENERY and amodal[a].any()]
        shape = (len(there), self.height, self.width)
        masks = np.array([amodal[a] for a in there], bool).reshape(shape)
        seen = np.array([owner == a for a in there], bool).reshape(shape)
        area = masks.sum((1, 2))
        by = (masks[:, None] & seen[None]).sum((2, 3)) / np.maximum(area, 1)[:, None]
        np.fill_diagonal(by, 0)
        depths = np.array([self.actors[a].depth for a in there], float)
        inside = area / np.array([max(1, whole[a]) for a in there], float) if there else np.zeros(0)
        labels = np.array([self.actors[a].label for a in there], np.int64)
        return Truth(i, t, image, np.array(there, np.int64) + 1, labels, seen, masks, depths, by, np.minimum(inside, 1.0))

    def _paint(
        self, t: float, image: npt.NDArray[np.uint8] | None
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], dict[int, npt.NDArray[np.bool_]], dict[int, int]]:
        """Paint the actors into `image`; which actor and which of the surfaces each pixel shows, the amodal masks, whole areas."""
        owner = np.full((self.height, self.width), -1, np.int16)
        surface = np.full((self.height, self.width), -1, np.int16)
        amodal: dict[int, npt.NDArray[np.bool_]] = {}
        beyond: dict[int, list[npt.NDArray[np.int64]]] = {}
        for number, (a, p, matrix) in enumerate(self._surfaces(t)):
            part = self.actors[a].parts[p]
            reach = np.abs(matrix[:, :2]).sum(1)
            x0, y0 = np.floor(matrix[:, 2] - reach).astype(int)
            x1, y1 = np.ceil(matrix[:, 2] + reach).astype(int)
            back = inverse(matrix)
            x, y = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
            u, v = (back[k, 0] * x + back[k, 1] * y + back[k, 2] for k in (0, 1))
            holds = part.holds(u, v)
            rows, columns = np.nonzero(holds)
            beyond.setdefault(a, []).append((rows + y0 + 50_000) * 200_000 + columns + x0 + 50_000)
            mask = amodal.setdefault(a, np.zeros((self.height, self.width), bool))
            cut = slice(max(0, -y0), max(0, self.height - y0)), slice(max(0, -x0), max(0, self.width - x0))
            holds, u, v = holds[cut], u[cut], v[cut]
            if not holds.any():
                continue
            spot = (
                slice(max(0, y0), max(0, y0) + holds.shape[0]),
                slice(max(0, x0), max(0, x0) + holds.shape[1]),
            )
            mask[spot] |= holds
            owner[spot][holds] = a
            surface[spot][holds] = number
            if image is not None:
                side = len(part.texture)
                maps = [((w + 1) / 2 * side - 0.5).astype(np.float32) for w in (u, v)]
                image[spot][holds] = cv2.remap(part.texture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[holds]
        whole = {a: len(np.unique(np.concatenate(points))) for a, points in beyond.items()}
        return owner, surface, amodal, whole

    def flow(self, i: int, j: int) -> npt.NDArray[np.float32]:
        """[H, W, 2] (x, y): for each pixel of frame i, how far the surface point it shows is from there in frame j, in pixels.

        The point may be hidden or outside of the picture in frame j. NaN where its actor is not there at all in frame j.
        """
        t, later = self.times[i], self.times[j]
        _, surface, _, _ = self._paint(t, None)
        moved = {(a, p): matrix for a, p, matrix in self._surfaces(later)}
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        flow = np.empty((self.height, self.width, 2), np.float32)
        maps = [(-1, self._ground_to_frame(t), self._ground_to_frame(later))]
        maps += [(n, matrix, moved.get((a, p))) for n, (a, p, matrix) in enumerate(self._surfaces(t))]
        for number, before, after in maps:
            here = surface == number
            if after is None:
                flow[here] = np.nan
                continue
            step = chain(after, inverse(before))
            for k, own in enumerate((x, y)):
                flow[..., k][here] = (step[k, 0] * x[here] + step[k, 1] * y[here] + step[k, 2]) - own[here]
        return flow

    def camera_motion(self, i: int, j: int) -> Matrix:
        """[2, 3]: where the ground's points of frame i are in frame j."""
        return chain(self.camera(self.times[j]), inverse(self.camera(self.times[i])))


@dataclass(frozen=True)
class Film:
    """Scenes one after the other, with a cut between them: time and frame numbers go on, ids are different in each."""

    scenes: Sequence[Scene]
    name: str = "film"

    def __len__(self) -> int:
        return sum(len(scene) for scene in self.scenes)

    def __iter__(self) -> Iterator[Truth]:
        index, start, ids = 0, 0.0, 0
        for scene in self.scenes:
            step = scene.times[1] - scene.times[0] if len(scene) > 1 else 0.04
            for truth in scene:
                yield replace(truth, index=index, time=start + truth.time - scene.times[0], ids=truth.ids + ids)
                index += 1
            start += scene.times[-1] - scene.times[0] + step
            ids += len(scene.actors)


# --- scenes ---------------------------------------------------------------------------------------------------------------------

SHIRTS: tuple[Colour, ...] = (
    (190, 50, 50),
    (50, 90, 190),
    (220, 200, 60),
    (60, 150, 80),
    (230, 230, 230),
    (40, 40, 45),
    (170, 90, 190),
)
TROUSERS: tuple[Colour, ...] = ((40, 45, 70), (90, 80, 70), (30, 30, 30), (120, 120, 130))


def crossing(rate: float = 25, drop: float = 0.0, camera: Camera = fixed, seed: int = 0, seconds: float = 5.0) -> Scene:
    """Two pairs of people meet head on; for a moment the nearer hides the farther, wholly in one pair."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(-8, 8, 4)
    actors = [
        walker(straight(60, 170 + y[0], 110), 170, SHIRTS[0], TROUSERS[0], seed + 1, depth=3),
        walker(straight(600, 185 + y[1], -105), 200, SHIRTS[1], TROUSERS[1], seed + 2, depth=2),
        walker(straight(20, 250 + y[2], 90), 120, SHIRTS[2], TROUSERS[2], seed + 3, depth=1.6),
        walker(straight(470, 245 + y[3], -80), 135, SHIRTS[5], TROUSERS[3], seed + 4, depth=1.5),
    ]
    return Scene(actors, times(seconds, rate, drop, seed), camera=camera, seed=seed, name="crossing")


def pillar(rate: float = 25, drop: float = 0.0, camera: Camera = fixed, seed: int = 0) -> Scene:
    """People and a car pass behind two pillars and come out on the other side; the pillars are no instances."""
    actors = [
        walker(straight(40, 200, 95), 150, SHIRTS[3], TROUSERS[1], seed + 1, depth=3),
        walker(straight(610, 210, -85), 160, SHIRTS[4], TROUSERS[0], seed + 2, depth=2.5),
        car(straight(-60, 290, 190), 70, (170, 40, 40), seed + 3, depth=2),
        block(straight(300, 180), 75, 420, (110, 100, 90), seed + 4, depth=1, label=SCENERY),
        block(straight(480, 180), 45, 420, (90, 95, 90), seed + 5, depth=1, label=SCENERY),
    ]
    return Scene(actors, times(5, rate, drop, seed), camera=camera, seed=seed, name="pillar")


def leaving(rate: float = 25, drop: float = 0.0, camera: Camera = fixed, seed: int = 0) -> Scene:
    """Some leave for good, one turns and comes back within a second, others come in where those left."""
    back: Path = lambda t: (560 + 110 * min(t, 1.6) - 110 * max(0.0, t - 1.6), 190)  # noqa: E731
    actors = [
        walker(back, 150, SHIRTS[0], TROUSERS[0], seed + 1, depth=2),
        walker(straight(200, 210, -140), 160, SHIRTS[1], TROUSERS[1], seed + 2, depth=2.2),
        walker(straight(-300, 205, 130), 160, SHIRTS[2], TROUSERS[2], seed + 3, depth=2.1),
        car(straight(500, 300, 220), 80, (40, 80, 150), seed + 4, depth=1.5),
        car(straight(-500, 300, 210), 80, (200, 200, 200), seed + 5, depth=1.4),
    ]
    return Scene(actors, times(5, rate, drop, seed), camera=camera, seed=seed, name="leaving")


def crowd(
    rate: float = 25, drop: float = 0.0, camera: Camera = fixed, seed: int = 0, count: int = 14, seconds: float = 5.0
) -> Scene:
    """Many people at all distances walking both ways, with changes of speed; half of them dressed alike."""
    rng = np.random.default_rng(seed)
    actors = []
    for n in range(count):
        depth = float(rng.uniform(1, 4))
        x, speed = float(rng.uniform(-60, 700)), float(rng.choice([-1, 1]) * rng.uniform(30, 130) / depth**0.5)
        wobble, phase = float(rng.uniform(0, 25)), float(rng.uniform(0, 6.28))
        height = 300 / depth
        y = 330 - 160 * (depth - 1) / 3 - height / 2 + 20

        def path(
            t: float, x: float = x, y: float = y, v: float = speed, w: float = wobble, p: float = phase
        ) -> tuple[float, float]:
            return x + v * t + w * math.sin(1.8 * t + p), y + 0.2 * w * math.sin(1.1 * t + p)

        k = n % len(SHIRTS) if n % 2 else 5
        actors.append(walker(path, height, SHIRTS[k], TROUSERS[n % len(TROUSERS)], seed * 100 + n, depth=depth))
    return Scene(actors, times(seconds, rate, drop, seed), camera=camera, seed=seed, name="crowd")


def street(rate: float = 25, drop: float = 0.0, camera: Camera = fixed, seed: int = 0) -> Scene:
    """Cars in two lanes that overtake and hide each other, people on foot, a dog, something that comes nearer."""
    rng = np.random.default_rng(seed)
    actors = [
        car(straight(-80, 250, 260), 75, (180, 180, 185), seed + 1, depth=2.0),
        car(straight(60, 262, 150), 80, (60, 110, 70), seed + 2, depth=1.8),
        car(straight(720, 222, -230), 60, (150, 30, 30), seed + 3, depth=2.6),
        car(straight(980, 224, -240), 62, (30, 40, 90), seed + 4, depth=2.5),
        walker(straight(330, 270, 25 + rng.uniform(0, 8)), 130, SHIRTS[3], TROUSERS[1], seed + 5, depth=1.2),
        walker(straight(420, 265, -30), 120, SHIRTS[6], TROUSERS[2], seed + 6, depth=1.3),
        block(straight(100, 330, 90), 46, 26, (120, 85, 60), seed + 7, "ellipse", depth=1.0, label=DOG),
        block(straight(380, 120, -18), 70, 60, (200, 120, 40), seed + 8, depth=3.5, label=BUS, zoom=lambda t: 1 + 0.25 * t),
    ]
    return Scene(actors, times(5, rate, drop, seed), camera=camera, seed=seed, name="street")


def fast(rate: float = 25, drop: float = 0.0, camera: Camera = fixed, seed: int = 0) -> Scene:
    """Small things that move by more than their own size a frame."""
    rng = np.random.default_rng(seed)
    actors = []
    for n in range(5):
        path = straight(-40 * n - 10, 50 + 60 * n + rng.uniform(-4, 4), (330 + 20 * n) * rate / 25 * min(1.0, 25 / rate))
        actors.append(block(path, 16 + 2 * n, 14 + 2 * n, SHIRTS[n], seed + n, "ellipse", label=DOG))
    return Scene(actors, times(3, rate, drop, seed), camera=camera, seed=seed, name="fast")


def cuts(rate: float = 25, seed: int = 0) -> Film:
    """Three scenes with hard cuts: people stand where others stood before the cut."""
    scenes = [
        replace(crossing(rate, seed=seed), times=times(2, rate)),
        replace(street(rate, seed=seed + 1), times=times(2, rate)),
    ]
    return Film([*scenes, replace(crowd(rate, seed=seed + 2), times=times(2, rate))], name="cuts")
