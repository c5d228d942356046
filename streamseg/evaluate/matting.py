"""How good soft mattes are: MAD, MSE, Grad and Conn of a picture, and dtSSD through time.

Grad and Conn are the perceptual errors of Rhemann et al. 2009 ("A perceptually motivated online benchmark for image matting"): an
error counts where it changes edges, and where it tears a region off. dtSSD is that of Erofeev et al. 2015 ("Perceptually
motivated benchmark for video matting"): what changes from frame to frame and should not, or does not and should. All are scaled as
the published tables of video matting have them (Lin et al. 2022, "Robust high-resolution video matting"), and 0 is perfect.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["conn", "dtssd", "grad", "mad", "mse"]

FloatArray = npt.NDArray[np.float32]

SIGMA = 1.4
"""Pixels: of the Gaussian whose derivative is Grad's."""
STEP = 0.1
"""Between the levels of alpha at which Conn looks at what hangs together."""
UNSEEN = 0.15
"""Of alpha: what is torn off by less does not count."""


def mad(found: FloatArray, truth: FloatArray) -> float:
    """Mean absolute difference of two mattes [H, W] in 0..1, times 1000."""
    return float(np.abs(found - truth).mean() * 1e3)


def mse(found: FloatArray, truth: FloatArray) -> float:
    """Mean squared difference of two mattes [H, W] in 0..1, times 1000."""
    return float(np.square(found - truth).mean() * 1e3)


def grad(found: FloatArray, truth: FloatArray) -> float:
    """The sum of squared differences of the gradients' lengths of two mattes [H, W] in 0..1, over 1000."""
    return float(np.square(_slope(found) - _slope(truth)).sum() / 1e3)


def conn(found: FloatArray, truth: FloatArray) -> float:
    """The sum of differences of how well each pixel of two mattes [H, W] in 0..1 hangs together with the main region, over 1000."""
    level = _connected_up_to(found, truth)
    parts = [np.where(matte - level >= UNSEEN, 1 - (matte - level), 1.0) for matte in (found, truth)]
    return float(np.abs(parts[0] - parts[1]).sum() / 1e3)


def dtssd(found: FloatArray, before: FloatArray, truth: FloatArray, truth_before: FloatArray) -> float:
    """Root mean square of how the changes of two mattes [H, W] from one frame to the next differ, times 100."""
    return float(math.sqrt(np.square((found - before) - (truth - truth_before)).mean()) * 1e2)


def _slope(matte: FloatArray) -> FloatArray:
    """[H, W]: the length of the gradient of `matte`, by derivatives of a Gaussian of unit energy."""
    reach = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * 0.01)))
    x = np.arange(-reach, reach + 1)
    smooth = np.exp(-np.square(x) / (2 * SIGMA**2)) / (SIGMA * math.sqrt(2 * math.pi))
    slope = -x * smooth / SIGMA**2
    energy = math.sqrt(float(np.square(np.outer(smooth, slope)).sum()))
    along_x = cv2.sepFilter2D(matte, cv2.CV_32F, slope / energy, smooth, borderType=cv2.BORDER_REPLICATE)
    along_y = cv2.sepFilter2D(matte, cv2.CV_32F, smooth, slope / energy, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.hypot(along_x, along_y), np.float32)


def _connected_up_to(found: FloatArray, truth: FloatArray) -> FloatArray:
    """[H, W]: the highest level at which each pixel is part of the largest region in which both mattes reach that level."""
    level = np.full(found.shape, -1.0, np.float32)
    steps = round(1 / STEP)
    for i in range(1, steps + 1):
        both = ((found >= i * STEP) & (truth >= i * STEP)).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(both, connectivity=4)
        largest = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if count > 1 else np.zeros(found.shape, bool)
        level[(level == -1) & ~largest] = (i - 1) * STEP
    level[level == -1] = 1
    return level
