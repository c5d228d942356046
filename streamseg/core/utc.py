"""Moments by the clock on the wall: seconds since 1970, UTC, and how they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["as_iso", "as_local"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_iso(utc: float, digits: int = 3) -> str:
    """`2026-11-30T17:08:01.123Z` (RFC 3339), cut off, not rounded, after so many `digits` of a second: 0, 3 or 6."""
    unit = {0: "seconds", 3: "milliseconds", 6: "microseconds"}[digits]
    moment = _EPOCH + timedelta(seconds=utc)
    return moment.replace(tzinfo=None).isoformat(timespec=unit) + "Z"


def as_local(utc: float) -> datetime:
    """The same moment where this machine is (or as `TZ` says)."""
    return (_EPOCH + timedelta(seconds=utc)).astimezone()
