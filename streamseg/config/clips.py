"""encode: {clips: ...}: which events of a film get a clip, and how long it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import BeforeValidator, Field

from streamseg.config.section import Section
from streamseg.config.values import Positive, Seconds, parse_bytes
from streamseg.core.event_clips import EventClips
from streamseg.core.types import Event
from streamseg.errors.describe import brief, did_you_mean

__all__ = ["EventClipsConfig"]

_KINDS: tuple[str, ...] = get_args(get_type_hints(Event)["kind"])


def _kinds(value: Any) -> Any:
    """`alert,cut_in`, a list, `auto` or `all`."""
    if value == "auto" or value is None:
        return ()
    if value == "all":
        return _KINDS
    names = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    found = tuple(name.strip() if isinstance(name, str) else name for name in names)
    for name in found:
        if name not in _KINDS:
            meant = did_you_mean(name, _KINDS) if isinstance(name, str) else ""
            allowed = f"; allowed: auto, all, {', '.join(_KINDS)}"
            raise ValueError(f"{brief(name)} is no kind of event{meant or allowed}")
    return found


class EventClipsConfig(Section):
    """clips: what an output such as events.clips holds."""

    kinds: Annotated[tuple[str, ...], BeforeValidator(_kinds)] = ()
    """Of events; `auto`: alert, near_miss, cut_in, crossing where the scene is watched, else cross, enter, leave, dwell; `all`."""
    before: Seconds = 5.0
    """Seconds that are to be seen before an event; a clip begins with the key frame before that."""
    after: Seconds = 5.0
    """Seconds after it."""
    longest: Positive = 300.0
    """Seconds: events whose clips overlap share one, unless it became longer."""
    limit: Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)] = 20_000_000_000
    """Bytes of all clips together, as 20GB, from which on none is begun; off: no limit."""

    @property
    def noun(self) -> EventClips:
        """As `encode` takes it."""
        return EventClips(self.kinds, self.before, self.after, self.longest, self.limit)
