"""What the kernels draw equals what the CPU's compositor draws: in Triton's interpreter, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamseg.composite import Alpha, Blur, Counts, Matte, Overlay, Pixelate, Zones
from streamseg.pixels import planes
from tests.unit.gpu.cases import BOXES, BT601, BT709, BT2020, FULL, LIMITED, PQ, Case, apart, drawn, expected_drawn, picture

ONE = (tuple(BOXES[1]),)
AREAS = Overlay(label="")
CROWD = tuple((float(i), 0.5 * i, 40.0 - i, 29.0) for i in range(6))

OVERLAYS = [
    pytest.param(Case("yuv420p", effects=(Overlay(),)), id="planar"),
    pytest.param(Case("nv12", 97, 61, BT601, FULL, effects=(Overlay(contour=30),)), id="nv12, odd, full range, wide contour"),
    pytest.param(Case("p010le", 65, 49, BT2020, LIMITED, PQ, effects=(AREAS,)), id="p010, odd, PQ"),
    pytest.param(Case("yuv422p10le", effects=(Overlay(fill=1, contour=0),)), id="4:2:2, no contour"),
    pytest.param(Case("yuv444p", effects=(Overlay(fill=0),)), id="4:4:4, no fill"),
    pytest.param(Case("nv12", 65, 49, effects=(Overlay(box=True, label=""),)), id="boxes"),
    pytest.param(Case("nv12", effects=(AREAS,), fine=56), id="finer masks"),
    pytest.param(Case("nv12", effects=(AREAS,), side=14, fine=56), id="masks of 14, some finer"),
    pytest.param(Case("nv12", effects=(AREAS,), fine=20, mattes=True), id="outlines of soft mattes"),
    pytest.param(Case("yuv420p", 65, 49, effects=(AREAS,), side=112), id="masks of 112"),
    pytest.param(Case("nv12", 65, 49, effects=(AREAS,), side=1), id="whole boxes for masks"),
    pytest.param(Case("nv12", 97, 61, effects=(Overlay(),), side=0, doubtful=True), id="boxes alone"),
    pytest.param(Case("p010le", boxes=(), effects=(Overlay(),), side=0), id="no box at all"),
    pytest.param(Case("p010le", 100, 80, effects=(Overlay(fill=0, contour=0),)), id="labels only"),
    pytest.param(Case("nv12", 97, 61, effects=(Overlay(contour=50, label=""),), doubtful=True), id="doubtful ones"),
    pytest.param(Case("yuv420p", 42, 31, boxes=CROWD, effects=(AREAS,)), id="crowd: every second sample"),
    pytest.param(Case("yuv422p", 42, 31, boxes=CROWD, effects=(AREAS,)), id="crowd, 4:2:2"),
    pytest.param(Case("nv12", 42, 31, boxes=CROWD + CROWD, effects=(Overlay(box=True, label=""),)), id="crowd: every fourth"),
    pytest.param(
        Case("yuv420p", 64, 48, boxes=((-0.5, -3.0, 64.0, 50.0), (2.0, 20.0, 62.0, 21.0)), effects=(AREAS,)), id="flat"
    ),
    pytest.param(Case("nv12", 171, 61, boxes=(), effects=(Zones(width=40), Counts()), places=True), id="zones and counts"),
    pytest.param(Case("p010le", effects=(Zones(label=False),), places=True), id="zones, p010"),
    pytest.param(Case("nv12", 42, 31, boxes=(), effects=(Zones(), Counts())), id="no zones"),
]
SOFT = [
    pytest.param(Case("nv12", 65, 49, effects=(Matte(feather=120),)), id="matte, feathered"),
    pytest.param(Case("p010le", effects=(Matte(classes=["car"]),)), id="matte of a class"),
    pytest.param(Case("nv12", effects=(Matte(),), side=56), id="matte, masks of 56"),
    pytest.param(Case("nv12", 65, 49, effects=(Matte(),), fine=20, mattes=True), id="soft mattes of some"),
    pytest.param(Case("yuv420p", 65, 49, effects=(Matte(),), side=1), id="matte of whole boxes"),
    pytest.param(Case("nv12", 65, 49, BT601, FULL, effects=(Blur(feather=60, strength=0.9),)), id="blurred background"),
    pytest.param(Case("yuv422p10le", boxes=ONE, effects=(Blur("instances", 1, feather=0),)), id="blurred instances"),
    pytest.param(Case("yuv420p", boxes=(), effects=(Blur(),)), id="nothing but background"),
    pytest.param(Case("nv12", 65, 49, boxes=ONE, effects=(Pixelate(block=180),)), id="pixelated instance"),
    pytest.param(Case("p010le", 50, 40, effects=(Pixelate("background", block=512),)), id="pixelated background"),
    pytest.param(Case("yuv420p", 32, 24, boxes=((4, 4, 20, 20),), effects=(Pixelate(block=90),)), id="blocks of two by two"),
    pytest.param(Case("p010le", 97, 72, boxes=ONE, effects=(Blur(strength=1),)), id="blurred by every second sample"),
    pytest.param(Case("nv12", boxes=ONE, effects=(Pixelate(block=300), Overlay(label=""))), id="one effect after another"),
]


@pytest.mark.parametrize("case", OVERLAYS)
def test_overlays_are_equal(case: Case, interpreted: Any) -> None:
    form, made = interpreted(drawn, case)
    name, expected = expected_drawn(case)
    assert form == name
    assert apart(made, expected, name) == (0, 0.0)


@pytest.mark.parametrize("case", SOFT)
def test_what_is_softened_is_equal_within_a_code(case: Case, interpreted: Any) -> None:
    form, made = interpreted(drawn, case)
    name, expected = expected_drawn(case)
    assert form == name
    most, share = apart(made, expected, name)
    # OpenCV sums floats in an order of its own.
    assert most <= 1
    assert share < 0.001


def test_samples_outside_stay_as_they_are(interpreted: Any) -> None:
    case = Case("p010le", 64, 48, boxes=((20, 16, 36, 28),), effects=(Pixelate(), Overlay(label="")))
    _, made = interpreted(drawn, case)
    outside = np.ones((48, 64), bool)
    outside[12:32, 16:40] = False
    for plane, (source, spec) in zip(made, planes.views(picture(case)).planes, strict=True):
        kept = outside[:: 1 << spec.shift_y, :: 1 << spec.shift_x]
        np.testing.assert_array_equal(plane[kept], source[kept])
        assert (plane[~kept] != source[~kept]).any()


def test_a_compositor_forgets_the_frame_before(interpreted: Any) -> None:
    case = Case("nv12", effects=(Overlay(),), seed=3)
    _, made = interpreted(drawn, case, "cpu", 2)
    assert apart(made, expected_drawn(case)[1], "nv12") == (0, 0.0)


def _changes(case: Case) -> bool:
    from streamseg.gpu.kernels import CompositeKernels
    from tests.unit.gpu.cases import found

    return CompositeKernels(case.effects, "cpu").changes(found(case))


@pytest.mark.parametrize(
    ("effect", "boxes", "expected"),
    [
        (Overlay(), (), False),
        (Overlay(classes=["dog"]), ONE, False),
        (Overlay(), ONE, True),
        (Pixelate(), (), False),
        (Blur(), (), True),
        (Matte(), (), True),
        (Zones(), ONE, False),
    ],
)
def test_a_picture_that_will_not_change_is_known_before(effect: Any, boxes: Any, expected: bool, interpreted: Any) -> None:
    assert interpreted(_changes, Case(effects=(effect,), boxes=boxes)) is expected


def _can_draw(effects: list[Any]) -> bool:
    from streamseg.gpu.kernels import CompositeKernels

    return CompositeKernels.can_draw(effects)


def test_effects_without_a_kernel_are_known(interpreted: Any) -> None:
    assert interpreted(_can_draw, [Overlay(), Blur(), Pixelate(), Zones(), Counts(), Matte()])
    assert not interpreted(_can_draw, [Matte(), Overlay()])
    assert not interpreted(_can_draw, [Overlay(), Alpha()])


def test_drawing_with_an_effect_without_a_kernel_is_refused(interpreted: Any) -> None:
    with pytest.raises(ValueError, match=r"the device draws .*Overlay.*\['Alpha'\]"):
        interpreted(drawn, Case(matrix=BT709, effects=(Alpha(),)))
