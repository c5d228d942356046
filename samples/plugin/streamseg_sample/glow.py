"""An effect: a soft halo around each instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import cv2
from pydantic import Field

from streamseg.composite import Canvas, Effect
from streamseg.composite.choose import chosen
from streamseg.core import masks
from streamseg.core.palette import color_of
from streamseg.core.types import Activity, Instances


@dataclass(frozen=True)
class Glow(Effect):
    """Let the instances glow in their tracks' colours. The fields are the options, checked where a pipeline file is read."""

    strength: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Opacity of the halo at the outline, 0..1."""
    width: Annotated[float, Field(gt=0, le=200)] = 24.0
    """How far it reaches, in pixels of a 1080p picture, scaled with the frame."""
    classes: Sequence[str] | None = None
    """Names of those that glow; None: all."""
    colour: ClassVar[bool] = True  # a grey picture gets chroma for it

    def __call__(self, canvas: Canvas, instances: Instances, /) -> None:
        """Draw onto `canvas`, in the frame's own planes."""
        reach = max(2.0, self.width * canvas.unit)
        shown = chosen(instances, self.classes)
        for grid, box, track, label in zip(shown.grids, shown.boxes.tolist(), shown.track_ids, shown.labels, strict=True):
            around = [box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach]
            region = masks.region_of(around, canvas.width, canvas.height, canvas.align)
            if region[2] <= region[0]:
                continue
            inside = masks.coverage(grid, box, region, canvas.width, canvas.height)
            # Three standard deviations are as far as anyone sees; twice: it begins at half at the outline.
            halo = cv2.GaussianBlur(inside, (0, 0), reach / 3)
            halo = cv2.min(cv2.convertScaleAbs(halo, alpha=2 * self.strength), cv2.bitwise_not(inside))
            canvas.paint(region, halo, color_of(int(track), int(label)))

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """Nothing is drawn where there is nobody: the picture need not be copied."""
        return len(chosen(instances, self.classes)) > 0
