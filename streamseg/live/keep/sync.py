"""Forces a growing file onto the disk, in a thread of its own: a slow card may take seconds, for which nothing else waits."""

from __future__ import annotations

import os
import threading

__all__ = ["Syncer"]


class Syncer:
    """Syncs one file at a time. `ask`, `close` are for one thread."""

    def __init__(self, name: str) -> None:
        self._changed = threading.Condition()
        self._descriptor: int | None = None
        self._busy = self._closed = False
        self._error: OSError | None = None
        self.done = 0
        """Files that were synced without an error."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def ask(self, descriptor: int) -> None:
        """Sync the file of a descriptor, which is closed then. Left out while the one before takes its time.

        Raises OSError where that one has failed.
        """
        with self._changed:
            error, self._error = self._error, None
            if error is None and not self._busy and not self._closed:
                self._descriptor, self._busy = descriptor, True
                self._changed.notify_all()
                if self._thread.ident is None:
                    self._thread.start()
                return
        os.close(descriptor)
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._descriptor is not None or self._closed)
                descriptor, self._descriptor = self._descriptor, None
            if descriptor is None:
                return
            error: OSError | None = None
            try:
                os.fsync(descriptor)
            except OSError as problem:
                error = problem
            os.close(descriptor)
            with self._changed:
                self._busy, self._error = False, error
                self.done += error is None

    def close(self) -> None:
        """Sync nothing more; does not wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
