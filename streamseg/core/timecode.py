"""Timecode: the label HH:MM:SS:FF of a picture (SMPTE ST 12-1), and counting on from it, drop-frame included.

At 30000/1001 pictures a second, labels that count 30 run behind the clock. Drop-frame skips two of them (four at 60000/1001) at the
beginning of each minute but every tenth; no picture is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

__all__ = ["Timecode", "standard_rate"]

_LABEL = re.compile(r"(?P<h>\d{2}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)(?P<drop>[:;.,])(?P<f>\d{1,3})")
_FASTEST = 240
_NEAR = Fraction(1, 2500)
"""Share by which two rates may differ and be the same; 30 and 29.97 are 1/1000 apart."""


def standard_rate(rate: Fraction) -> Fraction:
    """The rate that is meant: 30000/1001 for what a clock of milliseconds makes of it; itself if it is near none."""
    whole = Fraction(max(1, round(rate)))
    near = (known for known in (whole, whole * 1000 / 1001) if abs(rate / known - 1) < _NEAR)
    return next(near, rate)


@dataclass(frozen=True, slots=True)
class Timecode:
    """The label of one picture."""

    number: int
    """Pictures since 00:00:00:00; labels that are skipped do not count."""
    rate: int
    """Labels a second: 24 for 23.976, 30 for 29.97."""
    drop: bool = False

    @classmethod
    def parse(cls, text: str, rate: Fraction | None) -> Timecode | None:
        """`01:00:59;28` of a film of `rate` pictures a second; None for what is no label, or none of that rate."""
        match = _LABEL.fullmatch(text.strip())
        counted = round(rate) if rate else 0
        if match is None or not 1 <= counted <= _FASTEST or int(match["f"]) >= counted or int(match["h"]) > 23:
            return None
        hours, minutes, seconds, frames = (int(match[unit]) for unit in "hmsf")
        minutes += 60 * hours
        made = cls(0, counted, match["drop"] != ":" and counted % 30 == 0)
        skipped = made._skipped * (minutes - minutes // 10)
        return replace(made, number=(60 * minutes + seconds) * counted + frames - skipped)

    @property
    def _skipped(self) -> int:
        """Labels left out at the beginning of a minute."""
        return self.rate // 15 if self.drop else 0

    def __add__(self, pictures: int) -> Timecode:
        """So many pictures later; after 24 hours it begins again."""
        day = 24 * 3600 * self.rate - self._skipped * (24 * 60 - 24 * 6)
        return replace(self, number=(self.number + pictures) % day)

    def counted_at(self, rate: Fraction | None) -> Timecode:
        """The same moment where pictures are shown at a multiple of the rate (fields made into pictures)."""
        times, rest = divmod(round(rate) if rate else self.rate, self.rate)
        return self if rest or times < 1 else Timecode(self.number * times, self.rate * times, self.drop)

    def __str__(self) -> str:
        """`01:00:59;28`, with a semicolon for drop-frame."""
        number = self.number
        if self.drop:
            ten_minutes = 600 * self.rate - 9 * self._skipped
            tens, rest = divmod(number, ten_minutes)
            # The first minute of ten is whole, the other nine begin with labels that are skipped.
            minutes = max(0, rest - self._skipped) // (60 * self.rate - self._skipped)
            number += self._skipped * (9 * tens + minutes)
        seconds, frames = divmod(number, self.rate)
        minutes, seconds = divmod(seconds, 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{';' if self.drop else ':'}{frames:02}"
