"""The engine of all cameras: opened in a thread of its own, waited for no longer than somebody wants it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from streamseg.errors import EngineError, StageError, StreamsegError, clean
from streamseg.pipeline.session import Session

__all__ = ["LiveEngine"]


class LiveEngine:
    """A session that is opened while the cameras are, and closed without waiting for an engine that hangs."""

    def __init__(self, opened: Callable[[], Session], patience: float) -> None:
        """`opened` opens the session, in a thread of its own. patience: seconds for which an answer is waited for."""
        self._open, self._session, self._patience = opened, Future[Session](), patience
        self._dead: EngineError | None = None
        self._closed = threading.Event()

    def start(self) -> None:
        """Begin to open it."""
        threading.Thread(target=self._load, name="engine-load", daemon=True).start()

    def _load(self) -> None:
        try:
            session = self._open()
        except StreamsegError as error:
            self._session.set_exception(error)
        except BaseException as error:
            self._session.set_exception(StageError("engine", clean(error)))
        else:
            self._session.set_result(session)
            if self._closed.is_set():
                session.close()

    @property
    def ready(self) -> Session | None:
        """The session, if it is open. Raises what opening it raised, and EngineError where it has stopped to answer."""
        if self._dead is not None:
            raise self._dead
        return self._session.result() if self._session.done() else None

    def wait(self, stopped: Callable[[], bool], timeout: float | None = None) -> Session | None:
        """The session as soon as it is open; None: `stopped`, or the time is up. Raises what opening it raised."""
        while not stopped() and not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                return self._session.result(0.1 if timeout is None else min(0.1, timeout))
            timeout = None if timeout is None else timeout - 0.1
            if timeout is not None and timeout <= 0:
                return None
        return None

    def about(self) -> dict[str, str]:
        """As `Session.about`; {}: it is not open, or failed."""
        done = self._session.done() and not self._session.cancelled() and self._session.exception() is None
        return self._session.result().about if done else {}

    def watch(self) -> None:
        """Give the engine up where it does not answer. Called again and again."""
        session = self.ready
        if session is None or (silent := session.silent()) <= self._patience:
            return
        self._dead = EngineError(
            f"the engine {session.engine} has not answered for {silent:.0f} s (patience: {self._patience:g} s): it hangs; "
            "start the program again"
        )
        session.give_up(self._dead)
        raise self._dead

    def close(self, timeout: float) -> bool:
        """Close it; False: it did not end within so many seconds, and is left alone."""
        self._closed.set()
        deadline = time.monotonic() + timeout
        if self._dead is not None:
            return False
        done, _ = wait([self._session], timeout)
        if not done or self._session.exception() is not None:
            return bool(done)
        closing = threading.Thread(target=self._session.result().close, name="engine-close", daemon=True)
        closing.start()
        closing.join(max(0.0, deadline - time.monotonic()))
        return not closing.is_alive()
