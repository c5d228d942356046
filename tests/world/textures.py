"""What the surfaces of the world look like: pictures, BGR uint8, made of noise and simple shapes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from tests.world.body import Body

Picture = npt.NDArray[np.uint8]
PER_METRE = 24
TILE = 24.0
"""Metres: the ground repeats along the road after so many; across it reaches as far to each side, and is mirrored beyond."""
SIDE = 256


def _noise(shape: tuple[int, int], cells: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """About normal, of deviation 1: coarse and fine blotches; it goes on at its edges where it begins."""
    rng = np.random.default_rng(seed)
    total = np.zeros(shape, np.float32)
    for n in cells:
        field = rng.normal(0, 1, (max(2, shape[0] * n // shape[1]), n)).astype(np.float32)
        field = np.pad(field, 2, mode="wrap")
        big = cv2.resize(field, None, fx=shape[1] / n, fy=shape[0] / (field.shape[0] - 4), interpolation=cv2.INTER_CUBIC)
        y, x = (big.shape[0] - shape[0]) // 2, (big.shape[1] - shape[1]) // 2
        total += big[y : y + shape[0], x : x + shape[1]]
    return np.asarray(total / np.sqrt(len(cells)), np.float32)


@lru_cache(4)
def ground(seed: int = 0) -> Picture:
    """Rows: metres along the road, columns: across it, its middle at the middle. Asphalt, lane lines, kerbs and grass."""
    rows, columns = round(TILE * PER_METRE), round(2 * TILE * PER_METRE)
    d = np.abs((np.arange(columns) + 0.5) / PER_METRE - TILE)
    s = (np.arange(rows) + 0.5) / PER_METRE
    rough = _noise((rows, columns), (48, 200, 1152), seed)
    grey = 88 + 14 * rough
    picture = np.stack([grey, grey, grey], 2)
    paved = (d > 5.6) & (d < 9)
    picture[:, paved] = (130 + 16 * rough)[:, paved, None]
    grass = np.stack([50 + 18 * rough, 105 + 30 * rough, 85 + 26 * rough], 2)
    picture[:, d >= 9] = grass[:, d >= 9]
    picture[:, (d > 5.5) & (d <= 5.65)] = 165
    line = np.abs(d - 5.25) < 0.08
    dashes = (np.abs(d - 1.75) < 0.07)[None] & ((s % 12.0) < 6.0)[:, None]
    picture[:, line] = (215 + 8 * rough)[:, line, None]
    picture[dashes] = (215 + 8 * rough)[dashes, None]
    for k in range(5):  # patches and cracks, no two alike within a tile
        x, y = np.random.default_rng(seed + k).uniform(0, 1, 2) * (9, 20) + (TILE - 5, 1)
        box = [round(v * PER_METRE) for v in (y, y + 1.5, x, x + 0.9)]
        picture[box[0] : box[1], box[2] : box[3]] *= 0.75
    return np.clip(picture, 0, 255).astype(np.uint8)


@lru_cache(4)
def backdrop(seed: int = 0) -> Picture:
    """All around (columns: 360 degrees) from 30 degrees above the horizon (first row) to 2 below: clouds, hills, far trees."""
    rows, columns = 364, 4096
    up = np.linspace(30, -2, rows)[:, None]
    clouds = np.clip(_noise((rows, columns), (12, 30, 80), seed + 5), 0, 2)
    sky = np.stack([235 - 1.2 * up + 0 * clouds, 205 - 2.2 * up + 22 * clouds, 175 - 2.6 * up + 36 * clouds], 2)
    ridge = 2.2 + 1.0 * _noise((8, columns), (20, 60), seed + 6)[0] + 0.35 * _noise((8, columns), (300, 900), seed + 7)[0]
    wood = np.clip(70 + 24 * _noise((rows, columns), (300, 900), seed + 8), 20, 160)
    sky[up < ridge[None]] = np.stack([0.8 * wood, wood, 0.75 * wood], 2)[up < ridge[None]]
    return np.clip(sky, 0, 255).astype(np.uint8)


def face(body: Body, part: str, side: str) -> tuple[Picture, ...]:
    """Of a `body` or `cabin`, as `rear`, `front`, `left`, `right` or `top` shows it; each half as large as the one before."""
    return _face(_alike(body), part, side)


def _alike(body: Body) -> Body:
    """The one that stands for all that look the same."""
    return replace(body, height=round(2 * body.height) / 2, length=0.0, width=float(body.width >= 1), overhang=0.0)


@lru_cache(512)
def _face(body: Body, part: str, side: str) -> tuple[Picture, ...]:
    colour = np.array(body.colour[::-1], np.float32)
    number = sum(map(ord, part + side)) + body.colour[0]
    picture = colour + (10 * _noise((SIDE, SIDE), (5, 40, 128), number))[..., None]
    draw = {"car": _car, "block": _block}.get(body.kind if body.name else "house", _house)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    draw(picture, body, part, side)
    shade = {"rear": 0.85, "front": 0.85, "left": 0.7, "right": 1.0, "top": 1.15}[side]
    picture = np.clip(picture * shade, 0, 255).astype(np.uint8)
    levels = [picture]
    while levels[-1].shape[0] > 8:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return tuple(levels)


def _rectangle(picture: Picture, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
    a, b = (round(x0 * SIDE), round(y0 * SIDE)), (round(x1 * SIDE) - 1, round(y1 * SIDE) - 1)
    cv2.rectangle(picture, a, b, colour, -1)


def _car(picture: Picture, body: Body, part: str, side: str) -> None:
    glass, dark = (70, 60, 50), (28, 28, 30)
    if part == "cabin":
        if side != "top":
            _rectangle(picture, 0.08, 0.15, 0.92, 0.95, glass)
            cv2.line(picture, (40, 200), (150, 60), (120, 110, 100), 6)
            if side in ("left", "right"):
                _rectangle(picture, 0.48, 0.1, 0.53, 0.95, body.colour[::-1])
        return
    _rectangle(picture, 0.0, 0.86, 1.0, 1.0, dark)
    if side in ("rear", "front"):
        lamp = (40, 40, 200) if side == "rear" else (225, 235, 235)
        _rectangle(picture, 0.03, 0.15, 0.2, 0.42, lamp)
        _rectangle(picture, 0.8, 0.15, 0.97, 0.42, lamp)
        _rectangle(picture, 0.36, 0.48, 0.64, 0.64, (225, 225, 225))
        for k in range(5):
            _rectangle(picture, 0.38 + 0.05 * k, 0.51, 0.41 + 0.05 * k, 0.61, dark)
        _rectangle(picture, 0.0, 0.7, 1.0, 0.74, dark)
        if side == "front":
            _rectangle(picture, 0.26, 0.22, 0.74, 0.4, dark)
        _rectangle(picture, 0.06, 0.84, 0.2, 1.0, (12, 12, 12))
        _rectangle(picture, 0.8, 0.84, 0.94, 1.0, (12, 12, 12))
    elif side != "top":
        for x in (0.2, 0.8):
            cv2.ellipse(picture, (round(x * SIDE), round(0.74 * SIDE)), (20, 66), 0, 0, 360, (14, 14, 14), -1)
            cv2.ellipse(picture, (round(x * SIDE), round(0.74 * SIDE)), (11, 38), 0, 0, 360, (150, 150, 150), -1)
        cv2.line(picture, (128, 10), (128, 210), dark, 2)
        _rectangle(picture, 0.55, 0.25, 0.6, 0.3, dark)


def _block(picture: Picture, body: Body, part: str, side: str) -> None:
    dark = (30, 30, 30)
    if side == "top":
        return
    _rectangle(picture, 0.0, 0.9, 1.0, 1.0, dark)
    if side in ("rear", "front"):
        lamp = (40, 40, 200) if side == "rear" else (225, 235, 235)
        _rectangle(picture, 0.03, 0.78, 0.14, 0.86, lamp)
        _rectangle(picture, 0.86, 0.78, 0.97, 0.86, lamp)
        _rectangle(picture, 0.4, 0.8, 0.6, 0.85, (225, 225, 225))
        _rectangle(picture, 0.08, 0.1, 0.92, 0.42, (70, 60, 50)) if side == "front" or body.name != "truck" else None
        cv2.line(picture, (128, 20), (128, 195), dark, 3)
    else:
        if body.name == "bus" or body.height < 2.6:
            for k in range(6):
                _rectangle(picture, 0.04 + 0.16 * k, 0.14, 0.17 + 0.16 * k, 0.45, (70, 60, 50))
        for x in (0.17, 0.82):
            cv2.ellipse(picture, (round(x * SIDE), round(0.9 * SIDE)), (12, 26), 0, 0, 360, (14, 14, 14), -1)
        for k in range(1, 8):
            cv2.line(picture, (32 * k, 130), (32 * k, 225), dark, 1)


def _house(picture: Picture, body: Body, part: str, side: str) -> None:
    if side == "top" or body.width < 1:
        return
    for row in range(3):
        for k in range(5):
            _rectangle(picture, 0.06 + 0.19 * k, 0.08 + 0.3 * row, 0.16 + 0.19 * k, 0.27 + 0.3 * row, (75, 65, 60))


def clothes(body: Body) -> Picture:
    """Of a walker, from head to foot, as wide as high."""
    return _clothes(_alike(body))


@lru_cache(16)
def _clothes(body: Body) -> Picture:
    rough = 14 * _noise((SIDE, SIDE), (6, 30, 80), sum(body.colour))
    picture = np.empty((SIDE, SIDE, 3), np.float32)
    picture[:38] = (130, 160, 205)
    picture[38:132] = body.colour[::-1]
    picture[132:] = (75, 55, 45)
    picture[245:] = 30
    return np.clip(picture + rough[..., None], 0, 255).astype(np.uint8)
