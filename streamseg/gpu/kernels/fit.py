"""How a picture is resized for the network: what `streamseg.pixels.letterbox` and OpenCV work out for each frame, as tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from streamseg.gpu.kernels import columns as c
from streamseg.pixels import color

__all__ = ["PlanePlan", "matrix_of", "plan_plane"]

_ONE = 2048  # OpenCV's INTER_RESIZE_COEF_SCALE
_MOST = 2  # halvings within the kernel: 16 samples a tap; more would take the compiler minutes


@dataclass(frozen=True, slots=True)
class PlanePlan:
    """How the planes of one size are resized."""

    first: tuple[tuple[int, int], ...]
    """Averagings along (x, y) that are done one by one, before the kernel."""
    halvings: tuple[int, int]
    """Those that the kernel does."""
    size: tuple[int, int]
    """Columns and rows that are read."""
    taps: torch.Tensor
    weights: torch.Tensor


def plan_plane(
    size: tuple[int, int], times: tuple[int, int], fitted: tuple[int, int], words: bool, device: torch.device
) -> PlanePlan:
    """The plan for a plane of `size` that is averaged `times` and then resized to `fitted` (all along x, y)."""
    small = (size[0] >> times[0], size[1] >> times[1])
    if small == (2 * fitted[0], 2 * fitted[1]):
        # OpenCV takes the mean of the four here, rounded like the other means.
        times, small = (times[0] + 1, times[1] + 1), fitted
    first = []
    while max(times) > _MOST:
        step = (int(times[0] > 0), int(times[1] > 0))
        first.append(step)
        times = (times[0] - step[0], times[1] - step[1])
    along_x, along_y = _taps(small[0], fitted[0], words, True), _taps(small[1], fitted[1], words, False)
    taps = np.concatenate([along_y[0].ravel(), along_x[0].ravel()])
    weights = np.concatenate([along_y[1].ravel(), along_x[1].ravel()])
    return PlanePlan(tuple(first), times, size, torch.from_numpy(taps).to(device), torch.from_numpy(weights).to(device))


def _taps(source: int, target: int, words: bool, along_x: bool) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """cv2.resize's INTER_LINEAR along one axis: the two samples of each target pixel [2, target], and their weights.

    For 8 bits the weights are whole 2048ths. At the border the nearest sample counts alone: along x by its weight, along y by
    taking it twice, which rounds differently.
    """
    at = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    first = np.floor(at).astype(np.int32)
    share = (at - first).astype(np.float32)
    if along_x:
        share[(first < 0) | (first >= source - 1)] = 0
        first = np.clip(first, 0, source - 1)
    samples = np.clip(np.stack([first, first + 1]), 0, source - 1).astype(np.int32)
    weights = np.stack([np.float32(1) - share, share])
    return samples, weights if words else np.rint(weights * np.float32(_ONE))


def matrix_of(encoding: color.Encoding, lsb: int) -> npt.NDArray[np.float32]:
    """[MATRIX_FIELDS] float32, the sums that `streamseg.pixels.letterbox` makes of the codes, by the names in `columns`."""
    matrix, offset = encoding.to_rgb()
    matrix, offset = matrix * (255 / 2**lsb), offset * 255
    unit, middle = (1, 128) if encoding.depth <= 8 else (256, 32768)
    still = 2.0 ** (encoding.depth - 1 + lsb) * (matrix[1, 1] + matrix[1, 2])
    sums = np.empty(c.MATRIX_FIELDS.value, np.float32)
    sums[c.R_Y], sums[c.R_V], sums[c.R_STILL] = matrix[0, 0], matrix[0, 2], offset[0]
    sums[c.G_U], sums[c.G_V], sums[c.G_MIDDLE] = unit * matrix[1, 1], unit * matrix[1, 2], middle - unit * still
    sums[c.G_Y], sums[c.G_CHROMA], sums[c.G_STILL] = matrix[1, 0], 1 / unit, offset[1] + still - middle / unit
    sums[c.B_Y], sums[c.B_U], sums[c.B_STILL] = matrix[2, 0], matrix[2, 1], offset[2]
    return sums
