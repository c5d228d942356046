"""How long a source that is away is waited for, and waiting for a device that is not plugged in yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamseg.decode.address import Address
from streamseg.errors import SourceNotFound
from streamseg.system.callbacks import Message

__all__ = ["Heard", "OnLoss", "ReconnectPolicy", "when_there"]

OnLoss = Callable[[str | None], None]
"""Is told why a source is away, at each attempt, and None when pictures come again; in the thread that reads."""


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """How long a source is waited for, seconds."""

    timeout: float
    """Silence after which it counts as lost."""
    reconnect: float
    """For how long it is then tried again."""
    wait: float = 0.0
    """For how long it is tried when the run begins."""
    on_message: Message | None = None
    """Hears once that it is waited for."""
    placeholder: bool = False
    """Give pictures that say why it is away."""
    on_loss: OnLoss | None = None
    """Hears all the time why it is away."""

    def away(self, reason: str | None) -> None:
        """Tell who wants to know."""
        if self.on_loss is not None:
            self.on_loss(reason)


class Heard:
    """When a live source was last heard of, on the monotonic clock.

    libav gives the last picture that it holds only when its own time-out ends the connection: that is no sign of life.
    """

    _AT_ONCE = 0.5

    def __init__(self, timeout: float) -> None:
        self._long = 0.9 * timeout
        self._at: float | None = None
        self._silence: tuple[float, float, float] | None = None
        """When the last long silence began, how far the source had come by then, and when it ended."""

    def note(self, at: float, media: float) -> None:
        """A packet was read. media: how far the source had come before it, seconds on the run's clock."""
        if self._at is not None and at - self._at > self._long:
            self._silence = (self._at, media, at)
        self._at = at

    def last(self, media: float) -> float:
        """When it was heard of, now that it has come to `media`."""
        assert self._at is not None
        if self._silence is not None and self._at - self._silence[2] < self._AT_ONCE:
            return min(self._at, self._silence[0] + media - self._silence[1])
        return self._at


def when_there(parse: Callable[[], Address], policy: ReconnectPolicy, stopped: Callable[[], bool]) -> Address:
    """What `parse` finds, as soon as there is such a device: waits for a camera that is plugged in later.

    Raises SourceNotFound when the time for that is up.
    """
    deadline, said = time.monotonic() + policy.wait, False
    while True:
        try:
            return parse()
        except SourceNotFound as error:
            if time.monotonic() >= deadline or stopped():
                raise
            policy.away(str(error))
            if not said and policy.on_message is not None:
                policy.on_message(f"{error}; waiting for it, up to {policy.wait:g} s")
        said = True
        time.sleep(0.1)
