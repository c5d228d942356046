"""Effects on interlaced pictures: what is drawn in one field says nothing of the other, and chroma lies in its own field."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest

from streamseg.composite import (
    Alpha,
    Background,
    Blur,
    Compositor,
    DepthOfField,
    Desaturate,
    Exposure,
    GreenScreen,
    Overlay,
    Pixelate,
    Spotlight,
    Tint,
)
from streamseg.pixels import planes
from tests.unit.pictures import instances, noise, result

WIDTH, HEIGHT = 64, 48
BOXES = [[5.3, 7.1, 33.0, 30.4], [30.2, 18.0, 60.0, 45.7]]
EFFECTS = {
    "blurred background": Blur(strength=1),
    "blurred instances": Blur("instances", feather=0),
    "pixelated instances": Pixelate(block=90),
    "pixelated background": Pixelate("background", block=300),
    "cut out": Alpha(),
    "tint": Tint(),
    "exposure": Exposure("background", stops=1.5),
    "spotlight": Spotlight(),
    "depth of field": DepthOfField(strength=1),
    "depth of field from the edge": DepthOfField(strength=1, falloff="edge", reach=300),
    "green screen": GreenScreen(feather=60),
    "background": Background(color="blue", feather=60),
    "half grey": Desaturate(strength=0.5),
}
MIXED = [effect for name, effect in EFFECTS.items() if name.startswith(("blur", "pixel", "depth"))]
"""Those that mix the fields where nobody says that there are any."""


def drawn(effect, picture: av.VideoFrame, order: str | None) -> planes.Planes:
    made = result(picture, instances(BOXES))
    made = replace(made, frame=replace(made.frame, field_order=order))
    return planes.views(Compositor([effect])(made).picture)


def other_bottom(picture: av.VideoFrame) -> av.VideoFrame:
    copy = planes.copy_frame(picture)
    view = planes.views(copy)
    for array, _ in view.planes:
        array[1::2] = ((1 << view.layout.depth) - 1 - (array[1::2] >> view.layout.lsb)) << view.layout.lsb
    return copy


@pytest.mark.parametrize("name", ["yuv420p", "p010le", "yuv422p10le", "rgb24"])
@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_a_field_is_drawn_from_its_own_lines(effect, name: str) -> None:
    one, two = noise(name, WIDTH, HEIGHT), other_bottom(noise(name, WIDTH, HEIGHT))
    a, b = (drawn(effect, picture, "tff") for picture in (one, two))
    for mine, theirs in zip(a.planes, b.planes, strict=True):
        np.testing.assert_array_equal(mine.array[::2], theirs.array[::2])
    if effect in MIXED:  # without a word of fields they are mixed
        a, b = (drawn(effect, picture, None) for picture in (one, two))
        assert any((x.array[::2] != y.array[::2]).any() for x, y in zip(a.planes, b.planes, strict=True))


def test_chroma_is_covered_as_the_lines_of_its_field_are() -> None:
    """Chroma line 2 k of an interlaced picture lies among lines 4 k and 4 k + 2, line 2 k + 1 among 4 k + 1 and 4 k + 3."""
    picture = noise("yuv420p", WIDTH, HEIGHT)
    for array, _ in planes.views(picture).planes:
        array[...] = 128
    edge = 18  # lines 18 and 19 are the first that are covered
    boxes, mask = [[0.0, edge, WIDTH, HEIGHT]], np.full((1, 28, 28), 255, np.uint8)
    made = result(picture, instances(boxes, masks=mask))
    made = replace(made, frame=replace(made.frame, field_order="tff"))
    u = planes.views(Compositor([Overlay(fill=1, contour=0, label="")])(made).picture).planes[1].array
    full = abs(int(u[-3, 8]) - 128)
    covered = [abs(int(u[row, 8]) - 128) / full for row in range(HEIGHT // 2)]
    lines = (np.arange(HEIGHT) >= edge).astype(float)
    for row, share in enumerate(covered):
        first = 4 * (row // 2) + row % 2
        assert share == pytest.approx((lines[first] + lines[first + 2]) / 2, abs=0.2), row


def test_what_is_outside_stays_bit_identical() -> None:
    picture = noise("yuv420p", WIDTH, HEIGHT)
    made = result(picture, instances([[20.0, 16.0, 40.0, 32.0]]))
    made = replace(made, frame=replace(made.frame, field_order="bff"))
    after = planes.views(Compositor([Pixelate(block=90), Overlay(label="")])(made).picture)
    for old, new in zip(planes.views(picture).planes, after.planes, strict=True):
        x, y = old.spec.shift_x, old.spec.shift_y
        inside = np.zeros(old.array.shape, bool)
        inside[12 >> y : 36 >> y, 16 >> x : 44 >> x] = True
        assert (old.array == new.array)[~inside].all()
        assert (old.array != new.array)[inside].any()
