"""A stage: lets the largest instances through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from streamseg.core.result import Result
from streamseg.pipeline.extra import ExtraStage


@dataclass
class Largest(ExtraStage):
    """Keeps the instances with the largest boxes."""

    count: Annotated[int, Field(ge=0)] = 1
    """How many."""
    after: ClassVar[str] = "track"  # so that those that are left out keep their identity

    def __call__(self, result: Result) -> Result:
        """A result with those alone, in the order in which they were."""
        boxes = result.instances.boxes
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        kept = np.sort(np.argsort(-areas, kind="stable")[: self.count])
        return result if len(kept) == len(boxes) else replace(result, instances=result.instances[kept])
