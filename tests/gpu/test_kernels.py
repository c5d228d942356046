"""The kernels on a real GPU: what they make equals what the CPU makes, small and at the sizes of films; then how they behave.

`tests/unit/gpu` runs the same comparisons in Triton's interpreter, where there is no GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamseg.composite import Blur, Counts, Matte, Overlay, Pixelate, Zones
from tests.unit.gpu import cases, test_composite, test_preprocess
from tests.unit.gpu.cases import BT601, BT709, BT2020, FULL, LIMITED, PQ, Case

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300), pytest.mark.usefixtures("gpu")]

STREET = (
    *((150.0 * i - 20, 700.0 - 60 * (i % 5), 150.0 * i + 40 * (3 + i % 4) + 0.3, 790.7 + 30 * (i % 7)) for i in range(12)),
    (0.0, 300.0, 900.0, 1080.0),
    (700.4, 100.2, 1500.9, 1000.1),
    (1100.0, 0.0, 1920.0, 620.0),
)
"""In 1920x1080: many small ones, and three that overlap and are cut off."""
LARGE = tuple(tuple(2 * edge for edge in box) for box in STREET)
CROWD = tuple((3.0 * i, 2.0 * i, 1920.0 - i, 1080.0 - 5 * i) for i in range(40))

FILMS = [
    pytest.param(Case("nv12", 1920, 1080, BT709, LIMITED), (320, 576), id="1080p to 320x576"),
    pytest.param(Case("nv12", 1920, 1080, BT709, LIMITED), (800, 1344), id="1080p to 800x1344"),
    pytest.param(Case("yuv420p", 1279, 719, BT601, FULL), (800, 1344), id="odd, enlarged"),
    pytest.param(Case("p010le", 3840, 2160, BT2020, LIMITED, PQ), (320, 576), id="2160p, PQ"),
    pytest.param(Case("nv12", 7680, 4320, BT709, LIMITED), (320, 576), id="4320p: an averaging before"),
]
DRAWN = [
    pytest.param(Case("nv12", 1920, 1080, boxes=STREET, effects=(Overlay(),)), id="overlay"),
    pytest.param(Case("p010le", 1920, 1080, BT2020, boxes=STREET, effects=(Overlay(box=True, contour=6),)), id="boxes, p010"),
    pytest.param(Case("yuv422p10le", 1921, 1079, boxes=STREET, effects=(Overlay(),)), id="4:2:2, odd"),
    pytest.param(Case("nv12", 3840, 2160, boxes=LARGE, effects=(Overlay(),), fine=112), id="2160p, finer masks"),
    pytest.param(Case("nv12", 1920, 1080, boxes=CROWD, effects=(Overlay(),)), id="forty that fill the frame"),
    pytest.param(Case("nv12", 1920, 1080, boxes=STREET, effects=(Blur(),)), id="blur"),
    pytest.param(
        Case("p010le", 3840, 2160, BT2020, boxes=LARGE, effects=(Blur("instances", 1),)), id="blurred instances, 2160p"
    ),
    pytest.param(Case("nv12", 1920, 1080, boxes=STREET, effects=(Pixelate(),)), id="pixelate"),
    pytest.param(Case("yuv420p", 1920, 1080, boxes=STREET, effects=(Pixelate("background", block=333),)), id="large blocks"),
    pytest.param(Case("nv12", 1920, 1080, boxes=STREET, effects=(Matte(feather=12),)), id="matte"),
    pytest.param(Case("nv12", 1920, 1080, boxes=STREET, effects=(Zones(), Counts()), places=True), id="zones and counts"),
]


@pytest.mark.parametrize(("case", "size"), [*test_preprocess.EIGHT_BITS, *test_preprocess.MORE_BITS, *FILMS])
def test_the_networks_picture_is_the_cpus_within_a_level(case: Case, size: tuple[int, int]) -> None:
    box, image = cases.prepared(case, size, "cuda")
    expected_box, expected = cases.expected_prepared(case, size)
    assert box == expected_box
    gap = np.abs(image.astype(int) - expected)
    assert gap.max() <= 1
    assert np.count_nonzero(gap) < 0.01 * gap.size


@pytest.mark.parametrize("case", [*test_composite.OVERLAYS, *test_composite.SOFT, *DRAWN])
def test_what_is_drawn_is_the_cpus_within_a_code(case: Case) -> None:
    form, made = cases.drawn(case, "cuda", 2)
    name, expected = cases.expected_drawn(case)
    assert form == name
    most, share = cases.apart(made, expected, name)
    assert most <= 1
    assert share < 0.001


def _frames(device: str, effects: tuple[Any, ...], count: int) -> list[tuple[Any, Any]]:
    """Pictures with as many instances as their number, in other places each time."""
    made = []
    for seed in range(count):
        shift = np.random.default_rng(seed).uniform(-30, 30, (seed % len(STREET) + 1, 4))
        boxes = tuple(map(tuple, (np.array(STREET[: len(shift)]) + shift).clip(0, [1919, 1079, 1920, 1080]).tolist()))
        case = Case("nv12", 1920, 1080, boxes=boxes, effects=effects, seed=seed)
        made.append((cases.surface(case, device)[0], cases.found(case)))
    return made


EFFECTS = (Overlay(), Blur("instances"), Pixelate())


def test_nothing_waits_for_the_device() -> None:
    import torch

    from streamseg.gpu.kernels import CompositeKernels, PreprocessKernel

    frames = _frames("cuda", EFFECTS, 18)
    compositor, preprocess = CompositeKernels(EFFECTS, "cuda"), PreprocessKernel(320, 576, "cuda")
    out = torch.empty((320, 576, 3), dtype=torch.uint8, device="cuda")
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for picture, found in frames[:15]:  # everything compiled, all memory found
            preprocess(picture, out)
            compositor(picture, found)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for picture, found in frames[15:]:
                preprocess(picture, out)
                compositor(picture, found)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    stream.synchronize()


def test_nothing_is_allocated_once_all_is_warm() -> None:
    import torch

    from streamseg.gpu.kernels import CompositeKernels

    frames = _frames("cuda", EFFECTS, 40)
    compositor = CompositeKernels(EFFECTS, "cuda")
    for picture, found in frames[:30]:
        compositor(picture, found)
    before = torch.cuda.memory_stats()["num_device_alloc"]
    for picture, found in frames[30:]:
        compositor(picture, found)
    torch.cuda.synchronize()
    assert torch.cuda.memory_stats()["num_device_alloc"] == before
