"""The stage `edit`: leaves in each result what a person wants to be shown, of all that was found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.config.schema import PipelineConfig
from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.edits import Applied
from streamseg.select import Selection
from streamseg.select.terms import All, Track

__all__ = ["Edit", "keeps_all"]


def keeps_all(config: PipelineConfig) -> bool:
    """Whether all classes are found and followed, and chosen from behind that: so a results file serves any choice."""
    return config.results.keep != "off"


class Edit:
    """Makes a person's edits on each result, and lets through the instances of some classes that a selection means."""

    def __init__(
        self,
        classes: npt.NDArray[np.bool_] | None,
        selection: Selection,
        applied: Applied | None = None,
        also: Collection[int] = (),
    ) -> None:
        """`classes`: [labels], which are shown; None: all. `applied`: the edits; None: there are none. `also`: tracks that are
        shown whatever their class."""
        self._also = np.array(sorted(also), np.int64)
        self._classes, self._selection, self._applied = classes, selection, applied
        self._all = selection.term == All()
        self._unseen = {term.track_id for term in selection if isinstance(term, Track)}

    def __call__(self, result: Result) -> Result:
        """The same result where all of it is shown, as it was found."""
        found = result.instances
        if self._applied is not None:
            found = self._applied.instances(found, result.time)
        if self._classes is not None:
            found = _kept(found, self._classes[found.labels] | np.isin(found.track_ids, self._also))
        if self._unseen:
            self._unseen.difference_update(found.track_ids.tolist())
        if not self._all:
            found = _kept(found, self._selection.chosen(found))
        return result if found is result.instances else replace(result, instances=found)

    @property
    def warnings(self) -> list[str]:
        """What a selection named that was never seen."""
        if not self._unseen:
            return []
        named = ", ".join(f"#{track}" for track in sorted(self._unseen))
        return [f"select: {named} was in no frame; `streamseg tracks` shows which tracks there are"]


def _kept(found: Instances, keep: npt.NDArray[np.bool_]) -> Instances:
    return found if keep.all() else found[keep]
