"""The stage `edit`: leaves in each result what a person wants to be shown, of all that was found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.config.schema import PipelineConfig
from streamseg.core.result import Result

__all__ = ["Edit", "keeps_all"]


def keeps_all(config: PipelineConfig) -> bool:
    """Whether all classes are found and followed, and chosen from behind that: so a results file serves any choice."""
    return config.results.keep != "off"


class Edit:
    """Lets instances of some classes through."""

    def __init__(self, classes: npt.NDArray[np.bool_]) -> None:
        """`classes`: [labels], which are shown."""
        self._classes = classes

    def __call__(self, result: Result) -> Result:
        """The same result where all of it is shown."""
        shown = self._classes[result.instances.labels]
        return result if shown.all() else replace(result, instances=result.instances[shown])
