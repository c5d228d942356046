"""How a source is to be read: the options of `Decoder` that its opening needs, checked, with exact times."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Self

from streamseg.decode.reconnect import OnLoss
from streamseg.decode.tap import PacketTap
from streamseg.errors import ConfigError
from streamseg.pixels.orient import UPRIGHT, Orientation
from streamseg.system.callbacks import Message

__all__ = ["DecodeOptions", "Wait", "exactly"]

Wait = Literal["no", "likely", "live"]
"""Whether a source that is not there at first is waited for; see `Decoder`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeOptions:
    """What `Decoder` was given; its docstring says what each means."""

    start: Fraction
    """Seconds."""
    duration: Fraction | None
    """Seconds."""
    rate: Fraction | None
    timeout: float
    reconnect: float
    max_pixels: int
    threads: int
    wait: Wait
    on_message: Message | None
    keep_up: bool
    spool: int
    playlists: bool
    use: str | None
    tap: PacketTap | None
    placeholder: bool
    on_loss: OnLoss | None = None
    trip: str = "off"
    mount: Orientation = UPRIGHT

    @classmethod
    def checked(
        cls,
        *,
        start: float | Fraction,
        duration: float | Fraction | None,
        rate: float | Fraction | None,
        timeout: float,
        reconnect: float,
        **others: Any,
    ) -> Self:
        """From numbers as users give them. Raises ConfigError."""
        for label, value in (
            ("start", start),
            ("rate", 25 if rate is None else rate),
            ("timeout", timeout),
            ("reconnect", reconnect),
        ):
            if not 0 <= value < 1e9 or (value == 0 and label in ("rate", "timeout")):
                raise ConfigError(f"{label}: {value} is not allowed; give a positive number")
        if duration is not None and not 0 < duration < 1e9:
            raise ConfigError(f"duration: {duration} is not allowed; give a positive number of seconds")
        return cls(
            start=exactly(start),
            duration=None if duration is None else exactly(duration),
            rate=None if rate is None else Fraction(rate).limit_denominator(100_000),
            timeout=timeout,
            reconnect=reconnect,
            **others,
        )


def exactly(seconds: float | Fraction) -> Fraction:
    """What a person means by a number with a point; a Fraction is what it is."""
    return seconds if isinstance(seconds, Fraction) else Fraction(seconds).limit_denominator(1_000_000)
