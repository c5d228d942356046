"""The kernel's picture for the network equals the CPU's: in Triton's interpreter, sample by sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.gpu.cases import BT601, BT709, BT2020, FULL, LIMITED, PQ, Case, expected_prepared, prepared

EIGHT_BITS = [
    pytest.param(Case("nv12", 97, 61, BT601, LIMITED), (32, 40), id="nv12, odd, bars left and right"),
    pytest.param(Case("yuv420p", 64, 48, BT709, FULL), (40, 32), id="planar, full range, bars above and below"),
    pytest.param(Case("yuv420p", 30, 20, BT709, LIMITED), (40, 64), id="enlarged"),
    pytest.param(Case("nv12", 64, 48, BT709, LIMITED), (24, 32), id="exactly half"),
    pytest.param(Case("nv12", 90, 70, BT709, LIMITED), (18, 24), id="a quarter"),
    pytest.param(Case("nv12", 150, 90, BT709, LIMITED), (10, 16), id="a ninth: two kernels"),
    pytest.param(Case("yuv422p", 97, 61, BT709, LIMITED), (20, 32), id="4:2:2"),
    pytest.param(Case("yuv444p", 64, 48, BT601, FULL), (40, 40), id="4:4:4"),
    pytest.param(Case("nv21", 65, 49, BT709, LIMITED), (40, 40), id="V before U"),
]
MORE_BITS = [
    pytest.param(Case("p010le", 97, 61, BT2020, LIMITED), (40, 64), id="p010, BT.2020"),
    pytest.param(Case("p010le", 64, 48, BT2020, LIMITED, PQ), (24, 32), id="p010, PQ"),
    pytest.param(Case("yuv420p10le", 65, 49, BT2020, FULL), (20, 32), id="planar, full range"),
    pytest.param(Case("yuv422p12le", 64, 48, BT709, LIMITED), (40, 40), id="12 bits"),
]


@pytest.mark.parametrize(("case", "size"), EIGHT_BITS)
def test_8_bits_are_equal(case: Case, size: tuple[int, int], interpreted: Any) -> None:
    box, image = interpreted(prepared, case, size)
    expected_box, expected = expected_prepared(case, size)
    assert box == expected_box
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(("case", "size"), MORE_BITS)
def test_more_bits_are_equal_within_a_level(case: Case, size: tuple[int, int], interpreted: Any) -> None:
    box, image = interpreted(prepared, case, size)
    expected_box, expected = expected_prepared(case, size)
    assert box == expected_box
    gap = np.abs(image.astype(int) - expected)
    # OpenCV sums in an order of its own here.
    assert gap.max() <= 1
    assert np.count_nonzero(gap) < 0.01 * gap.size


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("height", [64, 62, 61])
def test_of_interlaced_pictures_the_first_field_is_seen(order: Any, height: int, interpreted: Any) -> None:
    for case, size in ((Case("nv12", 97, height), (24, 40)), (Case("yuv420p", 64, height), (40, 64))):
        box, image = interpreted(prepared, case, size, "cpu", order)
        expected_box, expected = expected_prepared(case, size, order)
        assert box == expected_box
        np.testing.assert_array_equal(image, expected)
        assert np.abs(image.astype(int) - expected_prepared(case, size)[1]).max() > 10


@pytest.mark.parametrize(
    ("fit", "case"),
    [
        (("letterbox", 0), Case("nv12", 33, 21, BT709, LIMITED)),
        (("letterbox-top-left", 255), Case("nv12", 33, 21, BT709, LIMITED)),
        (("stretch", 114), Case("yuv422p", 80, 24, BT709, LIMITED)),  # averaged along x alone
    ],
    ids=str,
)
def test_frames_are_fitted_as_the_model_wants_them(fit: tuple[Any, int], case: Case, interpreted: Any) -> None:
    box, image = interpreted(prepared, case, (16, 20), "cpu", None, *fit)
    expected_box, expected = expected_prepared(case, (16, 20), None, *fit)
    assert box == expected_box
    np.testing.assert_array_equal(image, expected)


def test_the_comparison_sees_a_wrong_matrix(interpreted: Any) -> None:
    case = Case("nv12", 64, 48, BT709, LIMITED)
    _, image = interpreted(prepared, replace(case, matrix=BT601), (24, 32))
    assert np.abs(image.astype(int) - expected_prepared(case, (24, 32))[1]).max() > 10


def _wrong_output() -> None:
    import torch

    from streamseg.gpu.kernels import PreprocessKernel
    from tests.unit.gpu.cases import surface

    PreprocessKernel(24, 32, "cpu")(surface(Case(), "cpu")[0], torch.zeros(32, 24, 3, dtype=torch.uint8))


def test_an_output_of_another_shape_is_refused(interpreted: Any) -> None:
    with pytest.raises(ValueError, match=r"uint8 \[24, 32, 3\].*\[32, 24, 3\]"):
        interpreted(_wrong_output)


def _wrong_plane() -> None:
    from tests.unit.gpu.cases import surface

    made, _ = surface(Case(), "cpu")
    type(made)(made.layout, made.encoding, made.width + 2, made.height, made.planes)


def test_planes_that_do_not_fit_are_refused(interpreted: Any) -> None:
    with pytest.raises(ValueError, match=r"nv12 66x48 must be torch.uint8 \[48, 66\].*got torch.uint8 \[48, 64\]"):
        interpreted(_wrong_plane)
