"""Times as people write them."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

from streamseg.errors.describe import brief

__all__ = ["parse_seconds"]

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_CLOCK = re.compile(r"(?:(?P<h>\d+):(?=[0-5]?\d:))?(?P<m>\d+):(?P<s>[0-5]?\d(?:[.,]\d*)?)")
_UNITS = re.compile(
    rf"(?:(?P<h>{_NUMBER})\s*h)?\s*(?:(?P<m>{_NUMBER})\s*m(?:in)?(?!s))?\s*(?:(?P<s>{_NUMBER})\s*s(?:ec)?)?\s*(?:(?P<ms>{_NUMBER})\s*ms)?",
    re.IGNORECASE,
)
_LABEL = re.compile(r"\d+:\d+:\d+[:;]\d+")


def parse_seconds(value: Any) -> Any:
    """`90`, `1.5`, `.5s`, `250ms`, `1m30s`, `1h`, `1:30`, `00:01:30.5` (or `,5`, as subtitles have it) as seconds.

    ValueError for anything else, such as a timecode, whose last part counts pictures.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):  # NumPy's, too
        return float(value)
    text = value.strip() if isinstance(value, str) else ""
    try:
        return float(text)
    except ValueError:
        pass
    match = _CLOCK.fullmatch(text) or (_UNITS.fullmatch(text) if text else None)
    if match is None:
        why = " (it is a timecode, whose last part counts pictures)" if _LABEL.fullmatch(text) else ""
        raise ValueError(f"{brief(value)} is not a time{why}; write seconds (1.5), 3s, 250ms, 1m30s or 00:01:30")
    parts = {unit: float((number or "0").replace(",", ".")) for unit, number in match.groupdict().items()}
    return parts["h"] * 3600 + parts["m"] * 60 + parts["s"] + parts.get("ms", 0.0) / 1000
