"""The preprocess stage: the model's small RGB picture of each frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Frame
from streamseg.engine.images import DeviceImage
from streamseg.pixels.letterbox import PADDING, FitMode, Fitter, Letterbox

__all__ = ["Prepared", "Preprocess"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame and the picture of it that the model sees."""

    frame: Frame
    image: npt.NDArray[np.uint8] | DeviceImage
    """uint8 [height, width, 3], RGB, the model's size, in host memory or on a GPU; what the frame does not cover is padded."""
    letterbox: Letterbox
    still: bool = False
    """The motion gate says that nothing has moved: the network need not look at it."""

    def sample(self, step: int) -> npt.NDArray[np.uint8]:
        """Every `step`-th pixel along x and y, in host memory; waits for a picture on a GPU."""
        if isinstance(self.image, DeviceImage):
            return DeviceImage(self.image.tensor[::step, ::step], self.image.ready).host()
        return self.image[::step, ::step]


class Preprocess:
    """Fits frames into the model's input of `height` x `width` (see `Fitter`)."""

    def __init__(self, height: int, width: int, mode: FitMode = "letterbox", padding: int = PADDING) -> None:
        self._fitter = Fitter(height, width, mode, padding)

    def __call__(self, frame: Frame) -> Prepared:
        """The picture for one frame. Raises Unreadable for a pixel format that nothing here can convert."""
        return Prepared(frame, *self._fitter(frame.picture, frame.field_order))
