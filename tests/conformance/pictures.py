"""Pictures by formula, in any pixel format, and pictures read back as their components.

Every component moves with the number of the picture: a ramp, a square that walks three pixels a picture and, in luma and in red,
a bar code of the number along the top (`tests.clips.read_index` reads it). Alpha is a ramp that shifts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

from tests import clips

__all__ = ["Components", "components", "formula", "picture"]

Array = npt.NDArray[np.uint16] | npt.NDArray[np.uint8]
Components = dict[str, Array]
"""Y, U, V, or R, G, B, and A where there is one: [height, width] each, values as coded."""

_PACKED = {"yuyv422": "YUYV", "uyvy422": "UYVY", "ya8": "YA", "ya16be": "YA", "ya16le": "YA"}


def formula(name: str, number: int, width: int, height: int, bits: int) -> Array:
    """Component `name` of picture `number`; width and height are the component's own."""
    peak = (1 << bits) - 1
    if name in "YR":
        return clips.gray(number, width, height, peak)
    if name == "G":
        return clips.gray(number, width, height, peak)[::-1]
    if name == "B":
        return clips.gray(number + 40, width, height, peak) // 2
    across, down = np.linspace(0, 1, width)[None], np.linspace(0, 1, height)[:, None]
    if name == "A":
        values = np.clip(1.5 * across + 0.2 * down - 0.2 - 0.01 * (number % 20), 0, 1)
    else:
        values = 0.3 + 0.4 * across + (0.1 if name == "U" else -0.1) * down + 0.002 * (number % 40)
    return np.rint(values * peak).astype(np.uint16 if bits > 8 else np.uint8)


def picture(number: int, width: int, height: int, pix_fmt: str) -> av.VideoFrame:
    """Picture `number`."""
    frame = av.VideoFrame(width, height, pix_fmt)
    for index, samples in _planes(frame):
        parts = [formula(name, number, w, h, bits) if name in "YUVRGBA" else None for name, w, h, bits in samples]
        shape = next(p.shape for p in parts if p is not None)
        dtype = _dtype(frame.format, samples[0][3])
        full = [np.full(shape, 255) if p is None else p.astype(np.uint32) << _shift(pix_fmt) for p in parts]
        if len(_macro(pix_fmt)) == 4:  # Y at every pixel, U and V at every other one
            grid = np.zeros((shape[0], width * 2), np.uint32)
            for place, letter in enumerate(_macro(pix_fmt)):
                source = full[[s[0] for s in samples].index(letter)]
                grid[:, place::4] = source[:, (place // 2 if letter == "Y" else 0) :: 2 if letter == "Y" else 1]
            full = [grid]
        frame.planes[index].update(_padded(frame, index, np.stack(full, axis=2).astype(dtype)))
    return frame


def components(frame: av.VideoFrame) -> Components:
    """What a picture holds, without padding, whatever order its format keeps it in."""
    if frame.format.has_palette:
        frame = frame.reformat(format="rgba", threads=1)
    found: Components = {}
    name, macro = frame.format.name, _macro(frame.format.name)
    for index, samples in _planes(frame):
        plane = frame.planes[index]
        dtype = _dtype(frame.format, samples[0][3])
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        if len(macro) == 4:
            grid = rows[: frame.height, : frame.width * 2]
            y, u, v = macro.index("Y"), macro.index("U"), macro.index("V")
            found |= {"Y": grid[:, y::2].copy(), "U": grid[:, u::4].copy(), "V": grid[:, v::4].copy()}
            continue
        width, height = samples[0][1], samples[0][2]
        wide = width * len(samples) * dtype.itemsize
        grid = rows[:height, :wide].copy().view(dtype).reshape(height, width, len(samples))
        for place, (letter, _, _, bits) in enumerate(samples):
            if letter in "YUVRGBA":
                values = grid[:, :, place].astype(np.uint16 if bits > 8 else np.uint8)
                found[letter] = values >> _shift(name)
    return found


def _planes(frame: av.VideoFrame) -> list[tuple[int, list[tuple[str, int, int, int]]]]:
    """Of each plane: its samples in the order of memory, as (component or `x`, width, height, bits)."""
    form = frame.format
    letters = _letters(form)
    by_plane: dict[int, list[tuple[str, int, int, int]]] = {}
    for letter, part in zip(letters, form.components, strict=True):
        by_plane.setdefault(part.plane, []).append((letter, part.width, part.height, part.bits))
    order = _order(form.name)
    for samples in by_plane.values():
        if order and len(by_plane) == 1:
            known = {s[0]: s for s in samples}
            samples[:] = [known.get(letter, ("x", *samples[0][1:])) for letter in order]
        elif form.name in ("nv21", "nv42"):
            samples.reverse()
    return sorted(by_plane.items())


def _letters(form: av.VideoFormat) -> Sequence[str]:
    count = len(form.components)
    colours = "RGB" if form.is_rgb or form.name.startswith("gbr") else "YUV"
    return "YA"[:count] if count <= 2 else (colours + "A")[:count]


def _order(name: str) -> str:
    """Of a packed RGB or grey-with-alpha format: its letters in memory; x: padding. Else nothing."""
    found = re.match(r"(rgba|bgra|argb|abgr|rgb0|bgr0|0rgb|0bgr|rgb|bgr)(24|48|64)?(le|be)?$", name)
    return found[1].upper().replace("0", "x") if found else _PACKED.get(name, "") if name.startswith("ya") else ""


def _macro(name: str) -> str:
    return _PACKED.get(name, "") if "422" in name else ""


def _shift(name: str) -> int:
    """Zero bits below a sample."""
    found = re.match(r"[py][024](\d\d)(le|be)$", name)
    return 16 - int(found[1]) if found else 0


def _dtype(form: av.VideoFormat, bits: int) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    return np.dtype(np.uint8) if bits <= 8 else np.dtype(">u2" if form.is_big_endian else "<u2")


def _padded(frame: av.VideoFrame, index: int, values: npt.NDArray[np.uint16]) -> bytes:
    plane = frame.planes[index]
    rows = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
    flat = np.ascontiguousarray(values).reshape(values.shape[0], -1).view(np.uint8)
    rows[: flat.shape[0], : flat.shape[1]] = flat
    return rows.tobytes()
