"""What is common to all that tells others of events: which of them it wants, how long they wait, and texts made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from streamseg.config.section import Section
from streamseg.config.values import Names, Seconds, parse_bytes, parse_names, parse_off
from streamseg.core.types import EVENT_KINDS, EventKind
from streamseg.errors.describe import brief, did_you_mean

__all__ = ["FIELDS", "KINDS", "Text", "Told", "fill", "parse_kinds"]

Kind = EventKind | Literal["state"]
KINDS: tuple[Kind, ...] = (*EVENT_KINDS, "state")
"""What tracks do, and `state`: a camera is lost, has failed, or is there again."""
FIELDS = (
    "id", "camera", "event", "utc", "time", "frame", "epoch",
    "track_id", "class", "place", "direction", "seconds", "state", "reason",
)  # fmt: skip
"""What may be written into a text, as `$camera`; what an event has not is empty."""


def parse_kinds(value: Any) -> Any:
    """As a list of names; each must be one of KINDS. ValueError for anything else."""
    names = parse_names(value)
    for name in names or ():
        if name not in KINDS:
            raise ValueError(f"{brief(name)} is no kind of event{did_you_mean(name, KINDS)} (allowed: {', '.join(KINDS)})")
    return names


def parse_text(value: Any) -> str:
    """A text with `$camera` and the like in it. ValueError for a name that is none of FIELDS."""
    text = value if isinstance(value, str) else None
    if text is None:
        raise ValueError(f"{brief(value)} is not allowed; expected a text")
    for match in Template.pattern.finditer(text):
        name = match["named"] or match["braced"]
        if match["invalid"] is not None:
            raise ValueError(f"{brief(value)}: a $ that is meant as such is written $$")
        if name is not None and name not in FIELDS:
            raise ValueError(f"{brief(value)}: there is no ${name}{did_you_mean(name, FIELDS)} (allowed: {', '.join(FIELDS)})")
    return text


Text = Annotated[str, PlainValidator(parse_text)]
Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]


def fill(text: str, data: Mapping[str, Any]) -> str:
    """The text with an event's values in it."""
    values = dict.fromkeys(FIELDS, "") | {name: _plain(value) for name, value in data.items()}
    return Template(text).safe_substitute(values)


def _plain(value: Any) -> str:
    return re.sub(r"\.0$", "", f"{value:.1f}") if isinstance(value, float) else str(value)


class Told(Section):
    """Base of all receivers of events: which they want. What is left out is no condition."""

    cameras: Names = None
    events: Annotated[tuple[str, ...] | None, PlainValidator(parse_kinds)] = None
    classes: Names = None
    """Of the object; a `state` has none, and always passes."""
    places: Names = None
    """Names of lines and zones; events without a place, as `count`, do not pass where it is given."""
    queue: Bytes = 64 << 20
    """Bytes of messages that wait on disk for a receiver that is away; beyond them the oldest is given up."""
    max_age: Annotated[Seconds, BeforeValidator(parse_off)] = 0.0
    """Messages older than this are not delivered any more; `off`: they always are."""

    def wants(self, data: Mapping[str, Any]) -> bool:
        """Whether an event, as plain data, is for this receiver."""
        if self.cameras is not None and data["camera"] not in self.cameras:
            return False
        if self.events is not None and data["event"] not in self.events:
            return False
        if data["event"] == "state":
            return True
        if self.classes is not None and data["class"] not in self.classes:
            return False
        return self.places is None or data.get("place") in self.places
