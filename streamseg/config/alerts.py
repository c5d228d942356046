"""`alerts` of the section `scene`, as people write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamseg.core.seconds import parse_seconds
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, did_you_mean
from streamseg.scene.thresholds import PRESETS, Thresholds

__all__ = ["parse_alerts"]


def parse_alerts(value: Any) -> Thresholds | None:
    """`early`, or `{preset: nhtsa, car: 2.4}`; `off` is none, `on` as usual. ValueError for anything else."""
    if value is None or isinstance(value, Thresholds):
        return value
    if isinstance(value, bool) or value in ("on", "off"):
        return Thresholds() if value in (True, "on") else None
    if isinstance(value, str):
        value = {"preset": value}
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 - pydantic tells ValueErrors alone
            f"{brief(value)} is not allowed; write off, a preset ({', '.join(PRESETS)}), or times, as {{car: 2.4}}"
        )
    times = dict(value)
    if isinstance(times.get("times"), Mapping):  # as a configuration that is written out has it
        times |= times.pop("times")
    preset = times.pop("preset", Thresholds().preset)
    if preset not in PRESETS:
        raise ValueError(
            f"{brief(preset)} is no preset{did_you_mean(str(preset), PRESETS)} (allowed: {', '.join(PRESETS)}, off)"
        )
    read = {}
    for name, seconds in times.items():
        try:
            read[str(name)] = 0.0 if seconds in (False, "off") else float(parse_seconds(seconds))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name}: {error}; a class and the time to collision below which it is warned of, or off"
            ) from None
    try:
        return Thresholds(preset, read)
    except ConfigError as error:
        raise ValueError(str(error)) from None
