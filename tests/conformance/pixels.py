"""Whether the pictures are the source's: the right ones, in order, untouched where nothing is drawn, changed where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tests.conformance import pictures, sources
from tests.conformance.known import box_of
from tests.conformance.observe import SeenPicture
from tests.conformance.pictures import Components
from tests.conformance.row import Row
from tests.conformance.run import upright

if TYPE_CHECKING:
    from tests.conformance.checks import Case

__all__ = ["drawn", "problems", "shrunk", "untouched", "wanted"]

Array = npt.NDArray[Any]
_NEAR = 10.0
"""Mean difference, of 255, between a picture and its source after a lossy encoder at these sizes; neighbours differ by more."""
_EDGE = 8
"""Pixels on either side of an edge of alpha within which colours may be those of the inside."""
_ROOM = {"none": 0, "overlay": 1, "pixelate": 1, "blur-them": 1, "drawn": 40, "blur": 2}
"""Pixels around the box that an effect may touch: its soft edge."""


def problems(case: Case) -> list[str]:
    """What is wrong with the pictures; their number is right."""
    row, wrong = case.row, []
    if row.effect.startswith("matte"):
        return _matte(case)
    for place, (number, made) in enumerate(zip(case.expected.numbers, case.made.pictures, strict=True)):
        width, height = upright(row)
        free = None if row.effect == "none" else untouched(row.effect, place, width, height, 12 if row.smooth else 0)
        sentence = _compare(row, wanted(case, place, number), made, free)
        if not sentence and row.effect == "alpha":
            sentence = _alpha(made, place, width, height)
        if not sentence and row.pixels == "colour":
            sentence = _coloured(made, place, width, height)
        if not sentence and free is not None and row.effect not in ("drawn", "alpha") and width >= 24 and height >= 24:
            sentence = _changed(wanted(case, place, number), made, ~free)
        if sentence:
            wrong.append(f"picture {place} (number {number} of the source): {sentence}")
    return wrong[:2] + ([f"... {len(wrong)} pictures in all"] if len(wrong) > 2 else [])


def wanted(case: Case, place: int, number: int) -> Components:
    """The source's picture, upright: by its formula where the source is lossless, else as PyAV decodes it."""
    clip = case.row.clip
    if sources.lossless(clip) and not clip.field and clip.codec not in ("gif",):
        parts = pictures.components(pictures.picture(number, *clip.size, clip.pix_fmt))
    else:
        parts = case.source.pictures[number if len(case.source.pictures) == clip.frames else place].parts
    return {name: _upright(values, clip.turn, clip.mirror) for name, values in parts.items()}


def _upright(values: Array, turn: int, mirror: bool) -> Array:
    turned = np.rot90(values, turn // 90)
    return turned[:, ::-1] if mirror else turned


def untouched(effect: str, place: int, width: int, height: int, room: int = 0) -> npt.NDArray[np.bool_]:
    """[height, width]: where the effect draws nothing on picture `place`."""
    if effect == "none":
        return np.ones((height, width), bool)
    x0, y0, x1, y1 = box_of(place, width, height)
    if effect == "alpha":
        free = np.ones((height, width), bool)
        free[max(0, y0 - _EDGE) : y1 + _EDGE, max(0, x0 - _EDGE) : x1 + _EDGE] = False
        free[y0 + _EDGE : max(y0 + _EDGE, y1 - _EDGE), x0 + _EDGE : max(x0 + _EDGE, x1 - _EDGE)] = True
        return free
    room += _ROOM[effect]
    if effect == "blur":
        inside = np.zeros((height, width), bool)
        inside[y0 + room : y1 - room, x0 + room : x1 - room] = True
        return inside
    free = np.ones((height, width), bool)
    free[max(0, y0 - room) : y1 + room, max(0, x0 - room) : x1 + room] = False
    return free


def shrunk(free: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """The same for samples that stand for several pixels each: all of them must be free."""
    across, down = -(-free.shape[1] // shape[1]), -(-free.shape[0] // shape[0])
    padded = (
        free
        if shape == free.shape
        else np.pad(free, ((0, down * shape[0] - free.shape[0]), (0, across * shape[1] - free.shape[1])), mode="edge")
    )
    result: npt.NDArray[np.bool_] = padded.reshape(shape[0], down, shape[1], across).all((1, 3))
    return result


def _compare(row: Row, before: Components, made: SeenPicture, free: npt.NDArray[np.bool_] | None) -> str:
    """`free`: where nothing is drawn; None: anywhere."""
    after = made.parts
    if row.pixels == "same" and ("R" in before) != ("R" in after):
        return f"RGB became {made.pix_fmt}: untouched pixels cannot be what they were"
    if row.pixels == "same" and "A" in before and "A" not in after:
        return f"alpha is gone: {made.pix_fmt}"
    if row.pixels == "rgb" or row.out.endswith("jpg") or row.effect == "alpha" or ("R" in before) != ("R" in after):
        both = "Y" in before and "Y" in after
        first, second = (
            _same_shape(_eight(before["Y"], before), _eight(after["Y"], after)) if both else _both_as_grey(before, made)
        )
        return _near(first, second) if free is None else _near(first[free], second[free])
    missing = [name for name in before if name not in after and name != "A"]
    if missing:
        return f"components {missing} are missing in {made.pix_fmt}"
    for name in sorted(before.keys() & after.keys(), reverse=True):
        first, second = _same_shape(before[name], after[name])
        here = slice(None) if free is None else shrunk(free, first.shape)
        first, second = first[here], second[here]
        if not first.size:
            continue
        if row.exact:
            if differ := int((first != second).sum()):
                most = int(np.abs(first.astype(int) - second.astype(int)).max())
                return f"{name}: {differ} of {first.size} untouched samples differ, by up to {most}"
        elif sentence := _near(_eight(first, before), _eight(second, after), name):
            return sentence
    return ""


def _eight(values: Array, parts: Components) -> Array:
    """Scaled to 0..255 by the depth that the container of the samples has; 10 and 12 bits are told by their largest value."""
    peak = max(int(part.max()) for part in parts.values())
    bits = 8 if values.dtype == np.uint8 else next(b for b in (10, 12, 16) if peak < 1 << b)
    scaled: Array = values.astype(np.float64) / (1 << (bits - 8))
    return scaled


def _same_shape(before: Array, after: Array) -> tuple[Array, Array]:
    """`after` may be padded to an even size, or have more chroma than a quarter turn leaves room for: samples repeated."""
    if before.shape[0] * 2 == after.shape[0] or before.shape[0] * 2 - 1 == after.shape[0]:
        before = np.repeat(before, 2, 0)
    if before.shape[1] * 2 == after.shape[1] or before.shape[1] * 2 - 1 == after.shape[1]:
        before = np.repeat(before, 2, 1)
    rows, columns = min(before.shape[0], after.shape[0]), min(before.shape[1], after.shape[1])
    return before[:rows, :columns], after[:rows, :columns]


def _near(first: Array, second: Array, name: str = "Y") -> str:
    off = float(np.abs(first - second).mean()) if first.size else 0.0
    return f"{name}: {off:.1f} of 255 away from the source, allowed {_NEAR:g}" if off > _NEAR else ""


def _both_as_grey(before: Components, made: SeenPicture) -> tuple[Array, Array]:
    """Luma of both as BT.601 full range, [height, width] in 0..255, for formats that have no value in common."""
    after = made.raw.reformat(format="gray", dst_color_range="JPEG", src_color_range=_range(made), threads=1).to_ndarray()
    if "R" in before:
        red, green, blue = (_eight(before[c], before) for c in "RGB")
        first: Array = 0.299 * red + 0.587 * green + 0.114 * blue
    else:
        first = _eight(before["Y"], before)
        if made.colour[1] != 2:
            first = np.clip((first - 16) * 255 / 219, 0, 255)
    return first, after[: first.shape[0], : first.shape[1]].astype(np.float64)


def _range(made: SeenPicture) -> str:
    return "JPEG" if made.colour[1] == 2 or "R" in made.parts else "MPEG"


def _changed(before: Components, made: SeenPicture, there: npt.NDArray[np.bool_]) -> str:
    """Something must be drawn where it should be."""
    shared = [name for name in made.parts if name in before and made.parts[name].shape == before[name].shape == there.shape]
    drawn_on = any((made.parts[name] != before[name])[there].any() for name in shared)
    return "the effect has drawn nothing" if shared and not drawn_on else ""


def _coloured(made: SeenPicture, place: int, width: int, height: int) -> str:
    """Inside the box there must be colour."""
    if "U" not in made.parts:
        return f"{made.pix_fmt} has no colour"
    x0, y0, x1, y1 = box_of(place, width, height)
    inside = made.parts["U"][y0 // 2 + 2 : y1 // 2 - 2, x0 // 2 + 2 : x1 // 2 - 2].astype(int)
    return "" if inside.size and abs(inside - 128).mean() > 5 else "what is drawn is grey"


def _alpha(made: SeenPicture, place: int, width: int, height: int) -> str:
    """Opaque inside the box, transparent outside, but for one pixel of edge."""
    if "A" not in made.parts:
        return f"{made.pix_fmt} has no alpha"
    alpha = made.parts["A"]
    peak = (1 << max(c.bits for c in made.raw.format.components)) - 1
    return drawn(alpha, peak, place, width, height, "alpha")


def drawn(values: Array, peak: int, place: int, width: int, height: int, what: str, room: float = 0.01) -> str:
    """Whether `values` are `peak` well inside the box of picture `place`, and 0 well outside; `room`: for lossy codecs."""
    x0, y0, x1, y1 = box_of(place, width, height)
    inside = values[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1]
    outside = np.ones(values.shape, bool)
    outside[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = False
    if inside.size and inside.min() < (1 - room) * peak:
        return f"{what} inside the box is {inside.min()} of {peak}"
    if values[outside].size and values[outside].max() > room * peak:
        return f"{what} outside the box is {values[outside].max()} of {peak}"
    return ""


def _matte(case: Case) -> list[str]:
    wrong = []
    for place, made in enumerate(case.made.pictures):
        width, height = upright(case.row)
        grey = made.raw.reformat(format="gray", dst_color_range="JPEG", src_color_range=_range(made), threads=1).to_ndarray()
        if sentence := drawn(grey, 255, place, width, height, "the matte", 0.01 if case.row.exact else 0.05):
            wrong.append(f"picture {place}: {sentence}")
    return wrong[:2]
