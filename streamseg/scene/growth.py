"""Time to collision, from how fast the picture of a road user grows (Lee 1976: tau = s / s').

For each track several measures of its size are followed by one Kalman filter (`expansion`): width, height and area of its mask,
each only while it is not cut off, and how much its picture grew since an earlier frame (`scale`). How much the detector trembles is
learned from the sizes themselves (`jitter`), and what the camera's rotation adds is taken off: a camera that turns sees what moves
out of the middle of its picture grow, though it comes no nearer.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene
from streamseg.core.types import Instances
from streamseg.scene.expansion import BOX, PICTURE, Expansion
from streamseg.scene.grey import Grey, Greys
from streamseg.scene.jitter import Jitter
from streamseg.scene.scale import Patches
from streamseg.scene.sizes_seen import AREA, BORDER, HEIGHT, LONG, log_sizes
from streamseg.scene.turn import guessed

__all__ = ["Growth"]

FORGET = 1.0
"""Seconds after which a track that is not seen begins anew."""
NEW = 0.3
"""Seconds, and ..."""
SIGHTS = 5
"""... frames, after which a track's growth is told."""
TREMBLES = 0.015
"""Usual standard deviation of a detector's log sizes, and ..."""
PIXELS = 0.8
"""... of its sizes, pixels; both count until its own are known."""
RECENT = 0.3
"""Seconds in which it must have been measured."""
SURE = 2.5
"""Standard deviations by which something must grow for a time to collision to be told."""
WORST, LOST = 0.4, 0.5
"""Growth is not told where its deviation is larger than this, 1/s, and than this share of it, or than LOST of what is known of any
road user that is so far away."""
HEIGHTS = {"person": 1.7, "bicycle": 1.6, "motorcycle": 1.6, "bus": 3.2, "truck": 3.2}
"""Metres; for others USUAL_HEIGHT. They only say, roughly, what is possible at such a distance."""
USUAL_HEIGHT = 1.5
CLOSING, BRAKING = 12.0, 2.0
"""Standard deviations of relative speeds (m/s) and of their changes (m/s²) on roads."""
TURNING = 0.12
"""Radians a second by which the camera may turn where that is not known."""
ASIDE = 0.06
"""Tangent of the direction, to the side, at which width and area count a quarter."""
FOLLOW = 0.02
"""Share by which a measure is brought nearer to the others at each sight: shapes change as they are seen from other sides."""
SHAPE, FLANK = 0.04, 0.12
"""Shares of its growth by which that of a solid body is not that of its nearest end; the latter for long ones seen from aside."""
AGE, RATIO = 0.9, 0.25
"""Seconds, and log scale, after which a newer patch is taken."""
FAILS = 3
AT_ONCE = 12
"""Patches that are looked for in one frame; of more, those that were not looked for the longest."""
APART = 0.055
"""Seconds between two looks."""

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class _Tracks:
    """What is remembered of `count` tracks, as arrays."""

    def __init__(self, count: int) -> None:
        self.begun, self.time, self.looked, self.measured = (np.zeros(count) for _ in range(4))
        self.sights, self.fails, self.long = np.zeros(count, int), np.zeros(count, int), np.zeros(count, bool)
        self.distance = np.ones(count)
        self.offset, self.known = np.zeros((count, 3)), np.zeros((count, 3), bool)
        self.spread, self.usual = np.ones((count, 3)), np.ones(count)
        self.where = np.zeros((count, 2))
        self.turned, self.turned_then = np.zeros((count, 3)), np.zeros(count)
        self.shaken, self.blind, self.rate = np.zeros(count), np.zeros(count), np.zeros(count)
        self.kept, self.level = np.zeros(count), np.zeros(count)
        self.expansion, self.jitter, self.patches = Expansion(count), Jitter(count), Patches.none(count)

    def grown(self, count: int) -> _Tracks:
        more = _Tracks(count)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                getattr(more, name)[: len(value)] = value
            else:
                setattr(more, name, value.grown(count))
        return more


class Growth:
    """Sets `growth` and `ttc`, with their deviations. Frames must come in the order of their pts."""

    def __init__(self, camera: CameraModel | None = None, greys: Greys | None = None) -> None:
        """`camera`: as far as it is known; `greys`: of the parts beside it."""
        self._camera, self._greys = camera, Greys() if greys is None else greys
        self._begin(-1, (0, 0))

    def _begin(self, epoch: int, size: tuple[int, int]) -> None:
        self._epoch, self._size, self._time = epoch, size, -math.inf
        self._rows: dict[int, int] = {}
        self._free: list[int] = []
        self._tracks = _Tracks(0)

    def __call__(self, result: Result, scene: Scene) -> Scene:
        """Look at one frame, whose `turn` is known."""
        frame, found = result.frame, result.instances
        if frame.epoch != self._epoch or (frame.width, frame.height) != self._size:
            self._begin(frame.epoch, (frame.width, frame.height))
        camera = guessed(*self._size) if self._camera is None else self._camera.resized(*self._size)
        self._drop(frame.time)
        self._turn(scene, camera, frame.time)
        at = np.array([i for i, track in enumerate(found.track_ids.tolist()) if track > 0], np.intp)
        if not len(at):
            return scene
        sizes, doubt = log_sizes(result)
        rows = self._find(result, at, camera)
        near = _rough_distances(found, camera.fy)[at]
        self._tracks.usual[rows] = TREMBLES**2 + np.square(PIXELS / np.exp(sizes[at, :2].mean(1)))
        # What is cut off may be nearer than it seems, not farther than it was.
        self._tracks.distance[rows] = np.where(
            np.isfinite(doubt[at, HEIGHT]), near, np.minimum(near, self._tracks.distance[rows])
        )
        self._advance(rows, frame.time)
        boxes = found.boxes[at].astype(np.float64)
        focal, middle = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
        self._tracks.where[rows] = ((boxes[:, :2] + boxes[:, 2:]) / 2 - middle) / focal
        if result.detected and not result.still:
            self._look_at_sizes(rows, frame.time, sizes[at], doubt[at])
        self._look_at_pictures(rows, at, result, self._greys(frame))
        self._tracks.sights[rows] += 1
        return self._told(scene, at, rows, frame.time, camera)

    # --- tracks ---------------------------------------------------------------------------------------------------------

    def _drop(self, time: float) -> None:
        """Forget tracks that were not seen for long."""
        for track, row in [*self._rows.items()]:
            if time - self._tracks.time[row] > FORGET:
                del self._rows[track]
                self._free.append(row)

    def _find(self, result: Result, at: Rows, camera: CameraModel) -> Rows:
        """The rows of instances `at`; new ones begin."""
        found, time = result.instances, result.time
        distances, rows = _rough_distances(found, camera.fy), []
        for i in at.tolist():
            track = int(found.track_ids[i])
            row = self._rows.get(track)
            if row is None or time - self._tracks.measured[row] > FORGET:
                row = self._rows[track] = self._room() if row is None else row
                size = math.sqrt(float((found.boxes[i, 2:] - found.boxes[i, :2]).prod()))
                self._start(row, time, float(distances[i]), max(size, 1.0))
                self._tracks.long[row] = found.class_names[found.labels[i]] in LONG
            rows.append(row)
        return np.array(rows, np.intp)

    def _room(self) -> int:
        if not self._free:
            had = len(self._tracks.begun)
            self._tracks = self._tracks.grown(max(16, 2 * had))
            self._free = [*reversed(range(had, len(self._tracks.begun)))]
        return self._free.pop()

    def _start(self, row: int, time: float, distance: float, size: float) -> None:
        tracks = self._tracks
        tracks.begun[row] = tracks.time[row] = tracks.measured[row] = time
        tracks.looked[row] = -math.inf
        tracks.sights[row] = tracks.fails[row] = 0
        tracks.distance[row] = distance
        tracks.known[row] = False
        for name in ("turned", "turned_then", "shaken", "blind", "rate", "level"):
            getattr(tracks, name)[row] = 0
        tracks.usual[row] = TREMBLES**2 + (PIXELS / size) ** 2
        tracks.spread[row] = 1
        tracks.expansion.begin(row, CLOSING / distance, BRAKING / distance, tracks.usual[row])
        tracks.expansion.restart(row)
        tracks.jitter.begin(row)
        tracks.patches.scale[row] = math.nan

    # --- time and rotation ----------------------------------------------------------------------------------------------

    def _turn(self, scene: Scene, camera: CameraModel, time: float) -> None:
        """What the camera's rotation since the frame before added to the log sizes of all that is remembered."""
        elapsed, self._time = time - self._time, time
        rows = np.fromiter(self._rows.values(), np.intp)
        if not len(rows) or not 0 < elapsed < FORGET:
            return
        tracks, turn = self._tracks, scene.turn
        x, y = tracks.where[rows].T
        away = np.hypot(x, y)
        gain = min(1.0, elapsed / 0.4)
        if turn is None:
            tracks.blind[rows] += gain * (1 - tracks.blind[rows])
            return
        across, down = y * turn.pitch - 2 * x * turn.yaw, 2 * y * turn.pitch - x * turn.yaw
        added = np.stack([across, down, (across + down) / 2], 1)
        tracks.turned[rows] += added
        tracks.shaken[rows] += np.square(1.5 * away * turn.std)
        tracks.blind[rows] -= gain * tracks.blind[rows]
        tracks.rate[rows] += gain * (added[:, AREA] / elapsed - tracks.rate[rows])

    def _advance(self, rows: Rows, time: float) -> None:
        tracks = self._tracks
        since = time - tracks.time[rows]
        old = since > 0
        rows, since = rows[old], since[old]
        if not len(rows):
            return
        _, lasting, fade = tracks.jitter.noise(rows, tracks.usual[rows])
        tracks.expansion.advance(rows, since, BRAKING / tracks.distance[rows], lasting, fade, tracks.shaken[rows])
        tracks.shaken[rows] = 0
        tracks.time[rows] = time

    # --- measurements ---------------------------------------------------------------------------------------------------

    def _look_at_sizes(self, rows: Rows, time: float, sizes: Doubles, doubt: Doubles) -> None:
        """Sizes of the detector: those that were known before say how much it grew since, each by how little it trembles."""
        tracks, expansion = self._tracks, self._tracks.expansion
        free = sizes - tracks.turned[rows]
        whole = np.isfinite(doubt)
        both = whole & tracks.known[rows]
        # What is seen from aside shows more of its flank the nearer it comes: its width grows faster than that of its back.
        clear = both / tracks.spread[rows] * np.where([False, True, False], 1, self._ahead(rows)[:, None])
        weight = clear / doubt
        total = weight.sum(1)
        seen = total > 0
        each = free - tracks.offset[rows]
        expected = expansion.x[rows, 0] + expansion.x[rows, BOX]
        joined = np.where(seen, (weight * each).sum(1) / np.where(seen, total, 1), expected)
        at, size = rows[seen], joined[seen]
        if len(at):
            new, lasting, _ = tracks.jitter.noise(at, tracks.usual[at])
            worse = clear[seen].sum(1) / total[seen]
            off = np.square(each - expected[:, None]) / tracks.usual[rows, None]
            near = np.where(both, np.minimum(off, 9 * tracks.spread[rows]), tracks.spread[rows])
            tracks.spread[rows] += (near - tracks.spread[rows]) * 0.03
            bend = np.square(expansion.x[at, 1]) + expansion.x[at, 2]
            tracks.jitter.add(at, time, size, tracks.usual[at] * worse, bend)
            jumped = expansion.look(at, BOX, size, new * worse + lasting * (worse - 1) + 1e-6)
            tracks.measured[at] = time
            if jumped.any():
                there = at[jumped]
                step = size[jumped] - expansion.x[there, 0] - expansion.x[there, BOX]
                expansion.loosen(there, BOX, lasting[jumped] + new[jumped])
                tracks.jitter.jumped(there)
                # From now on as if it had always been so large.
                joined[np.flatnonzero(seen)[jumped]] -= step
                tracks.offset[there] += step[:, None]
        fresh = whole & ~tracks.known[rows]
        changed = rows[seen & (fresh | (tracks.known[rows] & ~whole)).any(1)]
        expansion.loosen(changed, BOX, np.full(len(changed), 1e-4))
        # Were it all of the difference, errors would add up where weights change.
        follow = np.where(tracks.known[rows], FOLLOW, 1.0) * whole
        tracks.offset[rows] += follow * (free - joined[:, None] - tracks.offset[rows])
        tracks.known[rows] |= whole

    def _ahead(self, rows: Rows) -> Doubles:
        """[n] 1 for what is straight ahead, towards 0 for what shows its flank."""
        return np.asarray(1 / np.square(1 + np.square(self._tracks.where[rows, 0] / ASIDE)))

    def _look_at_pictures(self, rows: Rows, at: Rows, result: Result, grey: Grey) -> None:
        tracks, expansion, patches, time = self._tracks, self._tracks.expansion, self._tracks.patches, result.time
        sides = result.boxes[at][:, [0, 2]] - np.array([0, result.frame.width], np.float32)
        # Of what is long its nearest end left first; what is left is farther away.
        away = tracks.long[rows] & (np.abs(sides) < BORDER).any(1)
        ready = (time - tracks.looked[rows] >= APART) & ~away
        due = np.flatnonzero(ready & ~np.isnan(patches.scale[rows]))
        due = due[np.argsort(tracks.looked[rows[due]], kind="stable")[:AT_ONCE]]
        if len(due):
            of = rows[due]
            turned = tracks.turned[of, AREA] - tracks.turned_then[of]
            guess = expansion.x[of, 0] + expansion.x[of, PICTURE] - tracks.level[of] + turned
            boxes = result.instances.boxes[at[due]].astype(np.float64)
            seen = patches.find(of, grey, boxes, np.clip(guess, -0.6, 0.6))
            tracks.looked[of] = time
            good = seen.good
            level = tracks.level[of] + seen.scale - turned
            variance = np.square(np.maximum(seen.std, 1.5e-3))
            expansion.look(of[good], PICTURE, level[good], variance[good])
            tracks.measured[of[good]] = time
            tracks.fails[of] = np.where(good, 0, tracks.fails[of] + 1)
            old = good & ((time - tracks.kept[of] > AGE) | (np.abs(seen.scale) > RATIO))
            for k in np.flatnonzero(old | (tracks.fails[of] >= FAILS)).tolist():
                if good[k]:
                    tracks.level[of[k]] = level[k]
                    expansion.cov[of[k], PICTURE, PICTURE] += variance[k]
                self._keep(int(of[k]), int(at[due[k]]), result, grey, joins=bool(good[k]))
        for k in np.flatnonzero(ready & np.isnan(patches.scale[rows])).tolist():
            self._keep(int(rows[k]), int(at[k]), result, grey, joins=False)

    def _keep(self, row: int, i: int, result: Result, grey: Grey, *, joins: bool) -> None:
        """Take a new patch; `joins`: what it will say goes on where the one before ended."""
        tracks = self._tracks
        if not joins:
            tracks.expansion.restart(row)
            tracks.level[row] = tracks.expansion.x[row, 0]
        tracks.patches.keep(row, grey, result.instances, i)
        tracks.kept[row] = tracks.looked[row] = result.time
        tracks.turned_then[row], tracks.fails[row] = tracks.turned[row, AREA], 0

    # --- what is told ---------------------------------------------------------------------------------------------------

    def _told(self, scene: Scene, at: Rows, rows: Rows, time: float, camera: CameraModel) -> Scene:
        tracks = self._tracks
        growth, variance = tracks.expansion.growth(rows)
        away = np.hypot(*tracks.where[rows].T)
        variance = variance + np.square(1.5 * away * TURNING * tracks.blind[rows])
        variance += np.square(2 * camera.focal_std * tracks.rate[rows])
        variance += np.square(growth * np.where(tracks.long[rows], np.hypot(SHAPE, FLANK * (1 - self._ahead(rows))), SHAPE))
        std = np.sqrt(variance)
        known = (time - tracks.begun[rows] >= NEW) & (tracks.sights[rows] >= SIGHTS)
        known &= time - tracks.measured[rows] < RECENT
        known &= (std < WORST * np.maximum(1, growth)) & (std < LOST * CLOSING / tracks.distance[rows])
        told = np.full((4, len(scene.growth)), np.nan, np.float32)
        told[0, at[known]], told[1, at[known]] = growth[known], std[known]
        nears = known & (growth > SURE * std)
        told[2, at[nears]], told[3, at[nears]] = 1 / growth[nears], std[nears] / np.square(growth[nears])
        return replace(scene, growth=told[0], growth_std=told[1], ttc=told[2], ttc_std=told[3])


def _rough_distances(found: Instances, focal: float) -> Doubles:
    """[N] metres, at least 2: of road users of usual heights."""
    heights = np.array([HEIGHTS.get(name, USUAL_HEIGHT) for name in found.class_names])[found.labels]
    return np.asarray(np.maximum(focal * heights / np.maximum(found.boxes[:, 3] - found.boxes[:, 1], 1), 2.0), np.float64)
