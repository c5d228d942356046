"""What a source of the set is, in words: the whole of it follows from these fields by formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["NTSC_24", "NTSC_30", "NTSC_60", "TIMINGS", "Clip"]

NTSC_24, NTSC_30, NTSC_60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)

_UNEVEN = (1, 1, 3, 1, 4, 1, 1, 1, 7, 4, 1, 1, 7, 6)
_WOBBLE = (0, 3, -4, 2, 0, -3, 4, 1)


def _uneven(n: int, rate: Fraction) -> Fraction:
    return Fraction(sum(_UNEVEN[i % len(_UNEVEN)] for i in range(n))) / rate


def _pause(seconds: int) -> Callable[[int, Fraction], Fraction]:
    return lambda n, rate: n / rate + (seconds if n >= 10 else 0)


TIMINGS: dict[str, Callable[[int, Fraction], Fraction]] = {
    "cfr": lambda n, rate: n / rate,
    "uneven": _uneven,
    "pause2": _pause(2),
    "pause20": _pause(20),
    "pause600": _pause(600),
    "still": lambda n, rate: Fraction(5 * n),
    "holes": lambda n, rate: (n + n // 4) / rate,
    "telecine": lambda n, rate: Fraction(n * 5 // 4) / rate,
    "wobble": lambda n, rate: n / rate + Fraction(_WOBBLE[n % len(_WOBBLE)], 1000),
    "faster": lambda n, rate: n / rate if n < 8 else 8 / rate + (n - 8) / (2 * rate),
    "burst": lambda n, rate: (n // 4) * 4 / rate + Fraction(n % 4, 1000),
}
"""Seconds from the first picture to picture number n of a film of that nominal rate."""


@dataclass(frozen=True)
class Clip:
    """A source. Two equal ones are the same file."""

    suffix: str = "mkv"
    """Of the file; `png/`, `jpg/` ... for a folder of stills."""
    codec: str = "ffv1"
    """A key of `encoders.ENCODERS`."""
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    """(width, height) as coded."""
    frames: int = 12
    rate: Fraction = Fraction(25)
    """Nominal frames a second."""
    timing: str = "cfr"
    """A key of `TIMINGS`."""
    tick: Fraction | None = None
    """Seconds in which the encoder counts; None: one picture, or 1/90000 where `timing` is not even."""
    b: int = 0
    """B-frames between two references."""
    gop: int = 12
    begin: Fraction = Fraction(0)
    """Seconds at which the first picture stands."""
    audio: tuple[str, ...] = ()
    """Encoders of the sounds beside it."""
    sound_begin: Fraction = Fraction(0)
    subtitles: tuple[str, ...] = ()
    """Kinds of subtitles beside it, from `extras.SUBTITLES`."""
    turn: int = 0
    """Degrees counter-clockwise by which a player must turn the picture."""
    mirror: bool = False
    """A player must mirror it left to right after that."""
    sar: Fraction | None = None
    field: str = ""
    """tff or bff: interlaced."""
    colour: tuple[int, int, int, int] = (2, 0, 2, 2)
    """Matrix, range, primaries and transfer as in ITU-T H.273; range: 0 unknown, 1 limited, 2 full."""
    tags: tuple[tuple[str, str], ...] = ()
    stream_tags: tuple[tuple[str, str], ...] = ()
    chapters: int = 0
    side: str = ""
    """`hdr10`: mastering display and content light level beside the pictures (hevc)."""
    options: tuple[tuple[str, str], ...] = ()
    """For the encoder."""
    muxer: tuple[tuple[str, str], ...] = ()
    """Options of the container."""
    change: str = ""
    """What is done to the file when it is written: a key of `changes.CHANGES`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", Fraction(self.rate))
        object.__setattr__(self, "begin", Fraction(self.begin))
        object.__setattr__(self, "sound_begin", Fraction(self.sound_begin))

    def times(self) -> list[Fraction]:
        """Seconds of every picture, from the first one."""
        formula = TIMINGS[self.timing]
        return [formula(n, self.rate) for n in range(self.frames)]

    @property
    def counts(self) -> Fraction:
        """Seconds a tick."""
        if self.tick is not None:
            return self.tick
        even = self.timing in ("cfr", "holes", "telecine", "uneven", "still") and self.begin == 0
        return 1 / self.rate if even else Fraction(1, 90000)

    @property
    def seconds(self) -> Fraction:
        """From the first picture's begin to the last one's end, if that lasts one nominal picture."""
        return self.times()[-1] + 1 / self.rate
