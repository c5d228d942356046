"""Delivers an outbox, letter by letter in order, each until it has arrived; after failures it is tried less and less often."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from streamseg.live.tell.outbox import Letter, Outbox
from streamseg.system.callbacks import Message

__all__ = ["Backoff", "Delivery", "Later", "Refused"]

_MOST_REFUSALS = 3
"""So often a letter is offered that is refused for what it is; then the next has its turn."""


class Later(Exception):
    """The receiver is away or busy."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait
        """Seconds that it asks to be left alone."""


class Refused(Exception):
    """The receiver takes others, but not this one."""


class Backoff:
    """How long to wait before the next try: each time twice as long, up to a bound, and never quite the same as others wait."""

    def __init__(self, first: float = 1.0, most: float = 60.0) -> None:
        self._first, self._most = first, most
        self._tries = 0

    def next(self) -> float:
        """Seconds."""
        wait = min(self._most, self._first * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return wait * random.uniform(0.8, 1.2)

    def reset(self) -> None:
        """It went well."""
        self._tries = 0


class Delivery:
    """A thread that sends what waits in an outbox."""

    def __init__(
        self, name: str, outbox: Outbox, send: Callable[[Letter], None], say: Message, backoff: Backoff | None = None
    ) -> None:
        """send: raises Later or Refused where a letter has not arrived."""
        self._name, self._outbox, self._send, self._say = name, outbox, send, say
        self._backoff = backoff or Backoff()
        self._changed = threading.Condition()
        self._woken, self._stop_at = False, float("inf")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._trouble_since = 0.0
        self.sent = 0
        """Letters that have arrived."""
        self.failures = 0
        """Tries that failed."""
        self.refused = 0
        """Letters that were given up since the receiver refuses them."""

    def start(self) -> None:
        """Begin with what waits from the last time."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def stop(self, timeout: float) -> None:
        """Deliver what can be delivered at once; the rest waits for the next start."""
        with self._changed:
            self._stop_at = time.monotonic() + timeout * 0.7
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        refusals = 0
        while True:
            letters = self._outbox.first()
            if not letters:
                if not self._wait(None):
                    return
                continue
            wait = 0.0
            try:
                self._send(letters[0])
            except Later as error:
                refusals, wait = 0, max(error.wait, self._backoff.next())
                self._failed(str(error))
            except Refused as error:
                refusals += 1
                self.failures += 1
                wait = self._backoff.next()
                if refusals >= _MOST_REFUSALS:
                    self._say(f"{self._name}: refuses a message, which is given up: {error}")
                    self.refused += 1
                    self._outbox.done(letters[0])
                    refusals, wait = 0, 0.0
            else:
                refusals = 0
                self._arrived(letters[0])
            if not self._wait(wait):
                return

    def _arrived(self, letter: Letter) -> None:
        self._outbox.done(letter)
        self.sent += 1
        self._backoff.reset()
        if self._trouble_since:
            self._say(f"{self._name}: takes messages again, after {time.monotonic() - self._trouble_since:.0f} s")
            self._trouble_since = 0.0

    def _failed(self, reason: str) -> None:
        self.failures += 1
        if not self._trouble_since:
            self._trouble_since = time.monotonic()
            self._say(f"{self._name}: {reason}; messages wait for it on disk")

    def _wait(self, seconds: float | None) -> bool:
        """For that long, or, None, until there is something new. False: it is time to end."""
        until = float("inf") if seconds is None else time.monotonic() + seconds
        with self._changed:
            while (now := time.monotonic()) < until and self._stop_at == float("inf"):
                if seconds is None and self._woken:
                    break
                self._changed.wait(None if until == float("inf") else until - now)
            self._woken = False
            # At the end what works is used for what still waits; nothing is tried again, and nothing more is waited for.
            return time.monotonic() < self._stop_at and (self._stop_at == float("inf") or seconds == 0.0)
