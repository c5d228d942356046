"""Pictures of the world, of the same places, turns and rolling shutter as its truth: for what looks at pixels.

    render = Renderer(world)
    for truth in world:
        truth = render(truth)          # the same, with a picture: yuv420p, BT.601, limited range

The ground and what is far away are looked up for the ray of each pixel, rows in their own moments; solids are painted from the
farthest to the nearest, each face by the perspective of its plane.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import av
import cv2
import numpy as np
import numpy.typing as npt

from tests.world import textures
from tests.world.body import boxes
from tests.world.textures import PER_METRE, SIDE, TILE, Picture
from tests.world.truth import Floats, Shape, Truth
from tests.world.view import projected
from tests.world.world import World, in_camera

BANDS = (5.0, 8.0, 13.0, 20.0, 32.0, 50.0, 80.0)
"""Metres: from each on the ground is looked up in a picture that is blurred as much as a pixel covers there."""


class Renderer:
    """Call it with the truth of each frame."""

    def __init__(self, world: World, seed: int = 0, grain: float = 2.0, light: float = 1.0) -> None:
        """`grain`: standard deviation of the sensor's noise, codes; `light`: factor on all of the picture (0.25: dusk)."""
        self._world, self._seed, self._light = world, seed, light
        c = world.camera
        self._x = ((np.arange(c.width) + 0.5 - c.cx) / c.fx).astype(np.float32)
        self._y = ((np.arange(c.height) + 0.5 - c.cy) / c.fy).astype(np.float32)
        assert c.mounted is not None
        self._ground = _blurred(seed, c.fx, c.mounted)
        self._backdrop = textures.backdrop(seed)
        noise = np.rint(np.random.default_rng(seed).normal(0, grain, (c.height + 64, c.width + 64)))
        self._lighter, self._darker = (np.clip(sign * noise, 0, 255).astype(np.uint8) for sign in (1, -1))

    def __call__(self, truth: Truth) -> Truth:
        """With its picture."""
        image = self.image(truth)
        planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
        h, w = image.shape[:2]
        y, x = np.random.default_rng((self._seed, truth.index)).integers(0, 64, 2)
        cut = slice(y, y + h), slice(x, x + w)
        planes[:h] = cv2.add(cv2.subtract(planes[:h], self._darker[cut]), self._lighter[cut])
        return replace(truth, picture=av.VideoFrame.from_ndarray(planes, "yuv420p"))

    def image(self, truth: Truth) -> Picture:
        """BGR [height, width, 3], without the sensor's noise."""
        image = self._surroundings(truth)
        for shape in reversed(truth.shapes):
            if self._world.actors[shape.actor].body.kind in ("car", "block") and self._world.actors[shape.actor].body.name:
                self._shadow(image, shape, truth)
        for shape in reversed(truth.shapes):
            self._paint(image, shape, truth)
        if self._light != 1:
            image = cv2.convertScaleAbs(image, alpha=self._light)
        return image

    # --- ground and sky ------------------------------------------------------------------------------------------------------

    def _surroundings(self, truth: Truth) -> Picture:
        c = self._world.camera
        (first, eye), (last, later) = truth.poses
        share = ((np.arange(c.height) + 0.5) / c.height)[:, None, None]
        axes = first + (last - first) * share  # [H, 3, 3]: a small turn
        along = (axes[:, :, 1] * self._y[:, None] + axes[:, :, 2]).astype(np.float32)
        beside = axes[:, :, 0].astype(np.float32)
        image = np.empty((c.height, c.width, 3), np.uint8)
        rise = along[:, 2] + beside[:, 2] * self._x[[0, -1], None]  # [2, H] at both borders
        sky, road = np.flatnonzero((rise > -0.01).any(0)), np.flatnonzero((rise < -0.002).any(0))
        if len(sky):
            rows = slice(0, sky[-1] + 1)
            self._far(image[rows], along[rows], beside[rows])
        if len(road):
            rows = slice(road[0], c.height)
            self._near(image[rows], along[rows], beside[rows], (eye + (later - eye) * share[rows, 0]).astype(np.float32))
        return image

    def _rays(self, k: int, along: npt.NDArray[np.float32], beside: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(along[:, k, None] + beside[:, k, None] * self._x)

    def _far(self, image: Picture, along: npt.NDArray[np.float32], beside: npt.NDArray[np.float32]) -> None:
        x, y, up = (self._rays(k, along, beside) for k in range(3))
        rows, columns = self._backdrop.shape[:2]
        length, angle = cv2.cartToPolar(y, x, angleInDegrees=True)
        column = angle * np.float32(columns / 360)
        row = (30 - up / length * np.float32(180 / math.pi)) * np.float32(rows / 32)
        image[:] = cv2.remap(self._backdrop, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _near(
        self, image: Picture, along: npt.NDArray[np.float32], beside: npt.NDArray[np.float32], eye: npt.NDArray[np.float32]
    ) -> None:
        x, y, up = (self._rays(k, along, beside) for k in range(3))
        far = -eye[:, 2, None] / np.minimum(up, np.float32(-0.004))
        s, d = self._world.road.along(eye[:, 0, None] + far * x, eye[:, 1, None] + far * y)
        rows, columns = self._ground[0].shape[:2]
        row = np.asarray(s, np.float32) * np.float32(1 / TILE)
        row -= np.floor(row)
        row *= np.float32(rows)
        column = np.asarray(d, np.float32) * np.float32(PER_METRE) + np.float32(columns / 2)
        typical = np.median(far[:, :: max(1, far.shape[1] // 16)], axis=1)
        level = np.searchsorted(BANDS, typical)
        hidden = up > -0.004
        for n in np.unique(level):
            band = np.flatnonzero(level == n)
            cut = slice(band[0], band[-1] + 1)
            seen = cv2.remap(self._ground[n], column[cut], row[cut], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            if hidden[cut].any():
                seen[hidden[cut]] = image[cut][hidden[cut]]
            image[cut] = seen

    # --- solids --------------------------------------------------------------------------------------------------------------

    def _paint(self, image: Picture, shape: Shape, truth: Truth) -> None:
        x0, y0 = np.maximum(np.floor(shape.box[:2]).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(shape.box[2:]).astype(int), (image.shape[1], image.shape[0]))
        if x1 - x0 < 1 or y1 - y0 < 1:
            return
        body = self._world.actors[shape.actor].body
        region = image[y0:y1, x0:x1]
        mask = np.zeros(region.shape[:2], np.uint8)
        for polygon in shape.polygons:
            points = np.rint((polygon - (x0, y0) - 0.5) * 16).astype(np.int32)
            cv2.fillConvexPoly(mask, points, 255, cv2.LINE_AA, shift=4)
        if body.kind in ("car", "block"):
            inner = np.empty_like(region)
            inner[:] = np.array(body.colour[::-1]) * 0.7
            if y1 - y0 > 5:
                self._faces(inner, (x0, y0), shape, truth)
        elif body.kind == "bicycle":
            inner = np.full_like(region, body.colour[0])
        else:
            outer = shape.box if (shape.box[:2] > 0).all() else truth.outer[truth.row(shape.actor + 1) or 0]
            size = (outer[3] - outer[1]) / SIDE
            place = np.array([[size, 0, (outer[0] + outer[2]) / 2 - size * SIDE / 2 - x0], [0, size, outer[1] - y0]])
            inner = cv2.warpAffine(textures.clothes(body), place, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        weight = mask[..., None].astype(np.uint16)
        region[:] = (region * (255 - weight) + inner * weight + 127) // 255

    def _faces(self, inner: Picture, corner: tuple[int, int], shape: Shape, truth: Truth) -> None:
        """Of each box that the thing is made of those faces that look at the camera."""
        actor = self._world.actors[shape.actor]
        times = truth.time, truth.time + self._world.readout
        places = [self._world.place_of(actor, t) for t in times]
        row = (shape.box[1] + shape.box[3]) / 2 / self._world.camera.height
        for part, box in boxes(actor.body):
            corners = [in_camera(box, place, pose) for place, pose in zip(places, truth.poses, strict=True)]
            center = corners[0].mean(0)
            for side, (a, b, c, d) in _FACES.items():
                quad = corners[0][[a, b, c, d]]
                middle = quad.sum(0) / 4
                (ax, ay, az), (bx, by, bz) = quad[1] - quad[0], quad[3] - quad[0]
                normal = np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
                if (normal @ (middle - center)) * (normal @ middle) >= 0:
                    continue  # it looks away
                self._face(inner, corner, [p[[a, b, c, d]] for p in corners], textures.face(actor.body, part, side), row)

    def _face(
        self, inner: Picture, corner: tuple[int, int], quads: list[Floats], levels: tuple[Picture, ...], row: float
    ) -> None:
        k = self._world.camera
        if min(q[:, 2].min() for q in quads) > 1.0:
            points = projected(quads[0], quads[1], (k.fx, k.fy, k.cx, k.cy), k.height)
            length = max(np.linalg.norm(points[1] - points[0]), np.linalg.norm(points[3] - points[0]))
            texture = levels[min(max(0, math.floor(math.log2(SIDE / max(length, 1.0)))), len(levels) - 1)]
            n = len(texture)
            source = np.array([[0, 0], [n, 0], [n, n], [0, n]], np.float32) - 0.5
            target = (points - corner - 0.5).astype(np.float32)
            if abs(cv2.contourArea(target)) < 1:
                return
            matrix = cv2.getPerspectiveTransform(source, target)
        else:  # a part of it is beside the camera or behind: the plane's own perspective, at the moment of the thing's middle row
            texture = levels[0]
            n = len(texture)
            o, right, _, down = quads[0] + (quads[1] - quads[0]) * row
            plane = np.stack([(right - o) / n, (down - o) / n, o], 1)
            matrix = np.array([[k.fx, 0, k.cx - corner[0]], [0, k.fy, k.cy - corner[1]], [0, 0, 1]]) @ plane
        size = inner.shape[1], inner.shape[0]
        cv2.warpPerspective(texture, matrix, size, dst=inner, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)

    def _shadow(self, image: Picture, shape: Shape, truth: Truth) -> None:
        actor = self._world.actors[shape.actor]
        foot = actor.body.footprint * 1.04
        flat = np.stack([foot[:, 0], np.zeros(4), foot[:, 1]], 1)
        places = [self._world.place_of(actor, t) for t in (truth.time, truth.time + self._world.readout)]
        corners = [in_camera(flat, place, pose) for place, pose in zip(places, truth.poses, strict=True)]
        if corners[0][:, 2].min() < 0.5:
            return
        k = self._world.camera
        points = projected(corners[0], corners[1], (k.fx, k.fy, k.cx, k.cy), k.height)
        low, high = np.floor(points.min(0)).astype(int) - 4, np.ceil(points.max(0)).astype(int) + 4
        low, high = np.maximum(low, 0), np.minimum(high, (image.shape[1], image.shape[0]))
        if (high - low < 2).any():
            return
        region = image[low[1] : high[1], low[0] : high[0]]
        mask = np.zeros(region.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, np.rint((points - low - 0.5) * 16).astype(np.int32), 150, cv2.LINE_AA, shift=4)
        weight = 255 - cv2.blur(mask, (5, 5)).astype(np.uint16)
        region[:] = region * weight[..., None] // 255


@lru_cache(8)
def _blurred(seed: int, focal: float, mounted: float) -> tuple[Picture, ...]:
    """The ground, as blurred as a pixel sees it from each of the distances."""
    picture, levels = textures.ground(seed), []
    for far in (3.0, *BANDS):
        across, along = 1.2 * far / focal, 1.2 * far * far / (mounted * focal)
        size = [min(2 * round(PER_METRE * metres / 2) + 1, 2 * (len(picture) // 2) - 1) for metres in (across, along)]
        pad = size[1]
        wide = np.concatenate([picture[-pad:], picture, picture[:pad]])
        for _ in range(2):
            wide = cv2.blur(wide, (size[0], size[1]))
        levels.append(np.ascontiguousarray(wide[pad : pad + len(picture)]))
    return tuple(levels)


_FACES = {"rear": (2, 3, 1, 0), "front": (7, 6, 4, 5), "left": (6, 2, 0, 4), "right": (3, 7, 5, 1), "top": (6, 7, 3, 2)}
"""Corners of a box, upper left first and clockwise as one who looks at that face sees it; see `body.boxes`."""
