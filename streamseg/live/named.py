"""Names that a person gave to a camera's tracks while it runs, and tracks not to be shown: one stage, changed at any time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from streamseg.core.result import Result
from streamseg.edits import Applied, Edits

__all__ = ["Named"]


class Named:
    """A stage behind `edit`: results under their names, without what is hidden. `set` may be called from any thread.

    What is hidden is in no picture, result or count from then on. What covers people must look at results before this stage.
    """

    def __init__(self, names: Mapping[int, str] | None = None, hidden: Collection[int] = ()) -> None:
        """`names`: track to name. `hidden`: tracks. Raises ConfigError for no track or no name, or a name given twice."""
        self._applied: Applied | None = None
        self.set(names or {}, hidden)

    def take(self, other: Named) -> None:
        """What another has, from the next frame on."""
        self._applied = other._applied

    def set(self, names: Mapping[int, str], hidden: Collection[int]) -> None:
        """In place of those before, from the next frame on. Raises ConfigError as when made; then nothing has changed."""
        all_names = Edits(names=dict(names))
        visible = {track: name for track, name in all_names.names.items() if track not in hidden}
        edits = Edits(names=visible, forbidden=tuple(dict.fromkeys(hidden)))
        self._applied = Applied(edits) if edits else None

    def __call__(self, result: Result) -> Result:
        """The same where nothing is named or hidden."""
        applied = self._applied
        if applied is None:
            return result
        return replace(result, instances=applied.instances(result.instances, result.time))
