"""privacy: what no output of a run may show. The section of a pipeline file, and how it is written in short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, model_validator

from streamseg.composite.privacy import Privacy
from streamseg.config.section import Section
from streamseg.config.values import AutoFraction, AutoSeconds, Seconds, parse_names
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief

__all__ = ["PrivacyConfig", "privacy_section"]


def privacy_section(value: Any, called: str = "privacy") -> Any:
    """What was written for privacy as a section: `person,car`, `all`, `off`, a list of names, `classes: person, fill: blur`.

    A section stays as it is. Raises ConfigError, in which it is `called` so.
    """
    if (
        value is None
        or _is_off(value)
        or (isinstance(value, Mapping) and set(value) == {"classes"} and _is_off(value["classes"]))
    ):
        return {"classes": ()}
    if isinstance(value, Privacy):
        return {name: getattr(value, name) for name in PrivacyConfig.model_fields}
    if isinstance(value, Mapping) or not isinstance(value, str):
        return {"classes": tuple(value)} if isinstance(value, Sequence) and not isinstance(value, bytes) else value
    if ":" not in value:
        return {"classes": value}
    try:
        read = yaml.safe_load(f"{{{value}}}")
    except yaml.YAMLError:
        read = None
    if not isinstance(read, dict) or None in read.values():
        raise ConfigError(
            f"{called}: {brief(value)} cannot be read; write names, as person,car, or 'classes: person, fill: blur'"
        )
    return privacy_section(read, called)


def _is_off(value: Any) -> bool:
    """Whether this, written for classes, names none: `off`, which YAML reads as false, or an empty list."""
    return value is False or (isinstance(value, str) and value == "off") or (isinstance(value, list | tuple) and not value)


def _classes(value: Any) -> Any:
    return () if _is_off(value) else parse_names(value)


class PrivacyConfig(Section):
    """privacy: objects that are hidden in all outputs, before any of them is made (docs/privacy.md); `person` alone names them."""

    classes: Annotated[tuple[str, ...] | None, BeforeValidator(_classes)] = ()
    """Names of what is hidden, or `all`; `off`: nothing is. Said by a camera or a pipeline, it counts whatever is shown."""
    fill: str = "paint"
    """`paint`, one colour, keeps nothing; `pixelate`: at most 8 blocks along the largest hidden object; `blur`: between these."""
    color: Any = "grey"
    """Of `paint`."""
    margin: str | float = "4px 10%"
    """By how much masks are grown: pixels, and percent of the longer side of the object's box, added up."""
    score: AutoFraction = None
    """Detections from this score on are hidden; `auto`: all that the model gives."""
    hold: Seconds = 1.0
    """Seconds for which what is not seen any more stays hidden along its motion."""
    delay: AutoSeconds = None
    """Seconds for which frames wait, so that what is found is hidden before that, too; `auto`: 0.5, live 0."""
    unanswered: str = "hold"
    """What a frame shows that the network did not look at: `hold`, the picture before; `cover`, nothing; `carry`, what is not known
    to be there."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return privacy_section(value)

    @model_validator(mode="after")
    def _sound(self) -> PrivacyConfig:
        if self.classes == () and self.model_fields_set - {"classes"}:
            names = ", ".join(sorted(self.model_fields_set - {"classes"}))
            raise ValueError(f"{names} says how something is hidden, and nothing says what: name classes, as person")
        self.effect  # noqa: B018  # whatever is wrong with it
        return self

    @property
    def effect(self) -> Privacy | None:
        """The same as an effect; None: nothing is hidden."""
        if self.classes == ():
            return None
        auto: dict[str, Any] = {
            name: "auto" if getattr(self, name) is None else getattr(self, name) for name in ("score", "delay")
        }
        rest: dict[str, Any] = {name: getattr(self, name) for name in ("fill", "color", "margin", "hold", "unanswered")}
        return Privacy(self.classes, **auto, **rest)
