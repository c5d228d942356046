"""The same picture through the CPU's stages and through the kernels: what a kernel test needs on both sides.

`prepared` and `drawn` run the kernels, on a GPU or, where Triton interprets, on the CPU; `expected_...` are the CPU's answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from streamseg import composite
from streamseg.core.types import Activity, Frame, Instances
from streamseg.detect import preprocess
from streamseg.pixels import color, planes
from streamseg.pixels.fields import FieldOrder
from streamseg.pixels.layouts import layout
from tests.unit import pictures

Array = np.ndarray[Any, Any]

BT709, BT601, BT2020 = 1, 5, 9
LIMITED, FULL = 1, 2
PQ = 16
BOXES = [[10, 5, 60, 40], [30.3, 20.7, 63.9, 47.8], [0, 0, 20.5, 30.2], [40, 40, 40, 45], [5.2, 30, 12.1, 33.3]]
"""In 64x48: overlapping, cut off by the frame at two corners, without area, and of a few pixels."""
_PADDING, _GUARD = 5, 201


@dataclass(frozen=True)
class Case:
    """A picture of noise, and instances on it."""

    form: str = "nv12"
    width: int = 64
    height: int = 48
    matrix: int = BT709
    range: int = LIMITED
    transfer: int = BT709
    boxes: tuple[tuple[float, ...], ...] = tuple(map(tuple, BOXES))
    effects: tuple[Any, ...] = ()
    side: int = 28
    """Cells a side of the masks; 1: each is its whole box; 0: boxes alone."""
    fine: int = 0
    """Cells a side of a finer mask of every second instance; 0: none."""
    mattes: bool = False
    """These finer masks are mattes."""
    doubtful: bool = False
    """Every second instance is."""
    places: bool = False
    """There is a zone, and a line across it."""
    seed: int = 0


def picture(case: Case) -> av.VideoFrame:
    made = pictures.noise(case.form, case.width, case.height, case.seed)
    made.colorspace, made.color_range, made.color_trc = case.matrix, case.range, case.transfer
    return made


def _blob(rng: np.random.Generator, cells: int) -> Array:
    """A soft mask with an irregular outline, holes and all."""
    field = cv2.GaussianBlur(rng.normal(0, 1, (cells, cells)), (0, 0), cells / 9)
    return np.clip(255 * (0.65 + 1.2 * field / np.abs(field).max()), 0, 255).astype(np.uint8)


def found(case: Case) -> Instances:
    rng = np.random.default_rng(case.seed)
    n = len(case.boxes)
    masks = np.full((n, case.side, case.side), 255, np.uint8)
    if case.side > 1 and n:
        masks[:] = [_blob(rng, case.side) for _ in range(n)]
    instances = pictures.instances([list(box) for box in case.boxes], masks=masks)
    if case.doubtful:
        instances = replace(instances, doubtful=np.arange(n) % 2 == 1)
    if case.fine:
        fine = tuple(_blob(rng, case.fine) if i % 2 else None for i in range(n))
        instances = replace(instances, fine=fine, mattes=case.mattes)
    return instances


def activity(case: Case) -> Activity | None:
    if not case.places:
        return None
    w, h = case.width, case.height
    return Activity(
        {"car": 2},
        {"car": 7, "dog": 1},
        {"gate": {"left_to_right": 3, "right_to_left": 1}},
        {"yard": {"inside": 1, "entered": 5, "left": 4}},
        (),
        {
            "yard": np.array([[0.1 * w, 0.6 * h], [0.9 * w, 0.5 * h], [1.2 * w, 1.1 * h]], np.float32),
            "gate": np.array([[0.2 * w, 0.1 * h], [0.6 * w, 0.9 * h]], np.float32),
        },
    )


def surface(case: Case, device: str) -> tuple[Any, list[Any]]:
    """The picture's planes on `device`, with rows that are padded, and the memory that they lie in."""
    import torch

    from streamseg.gpu.kernels import Surface

    source = picture(case)
    view = planes.views(source)
    whole, parts = [], []
    for array, spec in view.planes:
        samples = len(spec.components)
        room = np.full((array.shape[0], (array.shape[1] + _PADDING) * samples), _GUARD, array.dtype)
        room[:, : array.shape[1] * samples] = array.reshape(array.shape[0], -1)
        tensor = torch.from_numpy(room).to(device)
        whole.append(tensor)
        part = tensor[:, : array.shape[1] * samples]
        parts.append(part if samples == 1 else part.unflatten(1, (array.shape[1], samples)))
    return Surface(view.layout, color.encoding(source), view.width, view.height, tuple(parts)), whole


def prepared(
    case: Case, size: tuple[int, int], device: str = "cpu", order: FieldOrder | None = None, *fit: Any
) -> tuple[Any, Array]:
    """The letterbox and the network's picture by the kernel, in the middle one of three slots whose others stay as they are."""
    import torch

    from streamseg.gpu.kernels import PreprocessKernel

    batch = torch.full((3, *size, 3), _GUARD, dtype=torch.uint8, device=device)
    letterbox = PreprocessKernel(*size, device, *fit)(surface(case, device)[0], batch[1], order)
    assert bool((batch[::2] == _GUARD).all()), "the kernel wrote into another slot of the batch"
    return letterbox, batch[1].cpu().numpy()


def expected_prepared(case: Case, size: tuple[int, int], order: FieldOrder | None = None, *fit: Any) -> tuple[Any, Array]:
    made = preprocess.Preprocess(*size, *fit)(Frame(picture(case), 0, 0, Fraction(1, 25), field_order=order))
    return made.letterbox, made.image


def drawn(case: Case, device: str = "cpu", repeat: int = 1) -> tuple[str, list[Array]]:
    """Format and planes after the kernels, drawn `repeat` times on new pictures by one compositor."""
    from streamseg.gpu.kernels import CompositeKernels

    compositor = CompositeKernels(case.effects, device)
    for _ in range(repeat):
        target, whole = surface(case, device)
        result = compositor(target, found(case), activity(case))
        for tensor, plane in zip(whole, target.planes, strict=True):
            beyond = tensor.cpu().numpy()[:, plane[0].numel() :]
            assert (beyond == _GUARD).all(), "a kernel wrote beyond the end of a row"
    return result.layout.name, [plane.cpu().numpy() for plane in result.planes]


def expected_drawn(case: Case) -> tuple[str, list[Array]]:
    seen = replace(pictures.result(picture(case), found(case)), activity=activity(case))
    made = composite.Compositor(case.effects)(seen).picture
    return made.format.name, [plane.array.copy() for plane in planes.views(made).planes]


def apart(a: list[Array], b: list[Array], form: str) -> tuple[int, float]:
    """The largest difference of two pictures in codes, and the share of samples that differ at all."""
    known = layout(form)
    assert known is not None
    assert [plane.shape for plane in a] == [plane.shape for plane in b]
    gaps = [np.abs((x.astype(np.int64) >> known.lsb) - (y.astype(np.int64) >> known.lsb)) for x, y in zip(a, b, strict=True)]
    return max(int(gap.max()) for gap in gaps), sum(np.count_nonzero(gap) for gap in gaps) / sum(gap.size for gap in gaps)
