"""What must come out, worked out from the formulas that made the source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tests.conformance import changes
from tests.conformance.observe import Seen
from tests.conformance.row import Row

__all__ = ["Expected", "expected"]

_ARBITRARY_CLOCK = ("mpegts", "mpeg")
_COUNTED = ("h264", "hevc", "m4v", "mjpeg", "yuv4mpegpipe", "images")


@dataclass(frozen=True)
class Expected:
    """Pictures by number, and when each is shown."""

    numbers: list[int]
    times: list[Fraction]
    """Seconds on the output's clock."""
    rounding: Fraction
    """Seconds by which the source's container may have moved a time."""
    seconds: Fraction
    """From the first picture's begin to the last one's end."""


def expected(row: Row, source: Seen | None) -> Expected:
    """`source`: as PyAV sees it, for the tick of its container; None: a folder of stills."""
    clip = row.clip
    numbers, times = list(range(clip.frames)), clip.times()
    step = 1 / clip.rate
    if row.decode.get("rate"):
        step = 1 / Fraction(row.decode["rate"])
        times = [n * step for n in numbers]
    seconds = times[-1] + step
    rounding = Fraction(0) if source is None else source.tick / 2
    if clip.change in ("joined", "joined-later"):
        numbers, times = numbers * 2, times + [t + seconds for t in times]
        seconds *= 2
    elif clip.change == "edit":
        numbers, times = numbers[changes.SKIPPED :], [t - times[changes.SKIPPED] for t in times[changes.SKIPPED :]]
        seconds = times[-1] + step
    if clip.begin < 0 and clip.suffix in ("mp4", "mov"):  # its edit list hides what is before zero
        numbers = [n for n in numbers if clip.begin + times[n] >= 0]
        times = [times[n] - times[numbers[0]] for n in numbers]
        seconds = times[-1] + step
    first = _first(row, source)
    start = Fraction(row.decode.get("start", 0)).limit_denominator(10**6)
    end = start + Fraction(row.decode.get("duration", 10**6)).limit_denominator(10**6)
    kept = [(n, t) for n, t in zip(numbers, times, strict=True) if start <= t < end]
    if start:
        first = Fraction(0)
    if len(kept) < len(numbers):
        seconds = min(kept[-1][1] + step, seconds) - kept[0][1]
    return Expected([n for n, _ in kept], [first + t - kept[0][1] for _, t in kept], rounding, seconds)


def _first(row: Row, source: Seen | None) -> Fraction:
    """When the first picture is shown. A clock that began anywhere, as a transport stream's, is set to its earliest packet."""
    if source is None or source.container in _COUNTED:
        return Fraction(0)
    begin = next((t for t in source.times() if t is not None), Fraction(0))
    if source.container in _ARBITRARY_CLOCK:
        return begin - min([begin, *(track.begin for track in source.of("audio"))])
    return max(Fraction(0), begin)
