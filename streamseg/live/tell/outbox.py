"""Messages that wait to be delivered, on disk: they outlive a receiver that is down, and the program itself.

At most so many bytes; then the oldest is given up for the newest, and counted. While the disk takes nothing, a bounded number waits
in memory. An SQLite file: a write is there whole or not at all, whatever ends the program.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.system.callbacks import Message
from streamseg.system.folders import make_folder
from streamseg.system.output_files import open_locked

__all__ = ["Letter", "Outbox"]

_IN_MEMORY = 1000
"""Letters that wait there while the disk takes none."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, topic TEXT NOT NULL, utc REAL NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message."""

    number: int
    """Its place in the order."""
    id: str
    topic: str
    """What it is about, as its sender sorts it; may be empty."""
    utc: float
    """When it was written: seconds since 1970, UTC."""
    body: bytes


class Outbox:
    """Letters in the order in which they were put. Thread-safe; no call waits for a receiver."""

    def __init__(
        self, path: Path, max_bytes: int = 64 << 20, max_age: float = 0.0, on_message: Message = lambda _: None
    ) -> None:
        """The file is made where it is not there, and taken for this program alone.

        max_bytes: of all bodies. max_age: seconds after which a letter is not worth delivering; 0: it always is.

        Raises OutputError where it cannot be made, or another program has it.
        """
        self.path = path
        self.dropped = 0
        """Letters that were given up: too many waited, or they were too old."""
        self._max_bytes, self._max_age, self._say = max_bytes, max_age, on_message
        self._lock = threading.RLock()
        self._memory: OrderedDict[int, Letter] = OrderedDict()
        make_folder(path.parent)
        try:
            self._guard = open_locked(path.with_name(f".{path.name}.lock"), path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        try:
            self._database = self._open()
            self._last = int(self._database.execute("SELECT COALESCE(MAX(number), 0) FROM letters").fetchone()[0])
        except (sqlite3.Error, OSError) as error:
            self._let_go()
            raise OutputError(f"{path}: cannot be opened: {error}") from error

    def put(self, id: str, body: bytes, topic: str = "") -> None:
        """Add a letter; one of this id that waits already is not put twice. Does not raise."""
        now = time.time()
        with self._lock:
            if self._memory:
                self._remember(id, body, topic, now)
                return
            try:
                with self._database:
                    values = (self._last + 1, id, topic, now, body)
                    self._database.execute("INSERT OR IGNORE INTO letters VALUES (?, ?, ?, ?, ?)", values)
                    self._make_room()
                self._last += 1
            except sqlite3.Error as error:
                self._say(f"{self.path}: cannot be written ({error}); messages wait in memory")
                self._remember(id, body, topic, now)

    def first(self, most: int = 1, after: int = 0) -> list[Letter]:
        """The oldest that wait, of those behind number `after`."""
        with self._lock:
            self._forget_old()
            rows = self._rows(
                "SELECT number, id, topic, utc, body FROM letters WHERE number > ? ORDER BY number LIMIT ?", after, most
            )
            found = [Letter(*row) for row in rows]
            found += [letter for number, letter in self._memory.items() if number > after]
            return found[:most]

    def done(self, letter: Letter) -> None:
        """It was delivered, or is given up: forget it. Does not raise."""
        with self._lock:
            if self._memory.pop(letter.number, None) is None:
                self._change("DELETE FROM letters WHERE number = ?", letter.number)

    def __len__(self) -> int:
        with self._lock:
            return sum(int(count) for (count,) in self._rows("SELECT COUNT(*) FROM letters")) + len(self._memory)

    def note(self, name: str, text: str) -> None:
        """Keep a text beside the letters, in place of the one of that name. Does not raise."""
        with self._lock:
            self._change("INSERT OR REPLACE INTO notes (name, text) VALUES (?, ?)", name, text)

    def noted(self, name: str) -> str:
        """That text; empty: there is none."""
        with self._lock:
            return next((str(text) for (text,) in self._rows("SELECT text FROM notes WHERE name = ?", name)), "")

    def close(self) -> None:
        """What waits stays on disk. Twice is harmless; does not raise."""
        with self._lock:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._let_go()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            damaged = self.path.with_name(f"{self.path.name}.damaged")
            self.path.replace(damaged)
            self._say(f"{self.path}: is damaged ({error}); it was put aside as {damaged.name}, and what waited in it is lost")
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=5.0, check_same_thread=False)
        try:
            # A log, not flushed at each letter, which takes an SD card 0.1 s. What was put is there after a kill; a power cut may
            # take the last ones, but damages nothing. Exclusive, so that no shared memory is needed beside the file.
            modes = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
            database.executescript(f"{modes} {_SCHEMA}")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _let_go(self) -> None:
        import os

        if self._guard >= 0:
            os.close(self._guard)
            self._guard = -1

    def _remember(self, id: str, body: bytes, topic: str, now: float) -> None:
        if any(letter.id == id for letter in self._memory.values()):
            return
        self._last += 1
        self._memory[self._last] = Letter(self._last, id, topic, now, body)
        while len(self._memory) > _IN_MEMORY:
            self._memory.popitem(last=False)
            self.dropped += 1

    def _make_room(self) -> None:
        over = self._database.execute("SELECT COALESCE(SUM(LENGTH(body)), 0) FROM letters").fetchone()[0] - self._max_bytes
        while over > 0:
            number, size = self._database.execute("SELECT number, LENGTH(body) FROM letters ORDER BY number LIMIT 1").fetchone()
            self._database.execute("DELETE FROM letters WHERE number = ?", (number,))
            self.dropped += 1
            over -= size

    def _forget_old(self) -> None:
        if self._max_age:
            before = time.time() - self._max_age
            self.dropped += self._change("DELETE FROM letters WHERE utc < ?", before)
            for number in [number for number, letter in self._memory.items() if letter.utc < before]:
                del self._memory[number]
                self.dropped += 1

    def _change(self, statement: str, *values: Any) -> int:
        try:
            with self._database:
                return self._database.execute(statement, values).rowcount
        except sqlite3.Error as error:
            self._say(f"{self.path}: cannot be written ({error})")
            return 0

    def _rows(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._say(f"{self.path}: cannot be read ({error})")
            return []
