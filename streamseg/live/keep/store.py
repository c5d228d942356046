"""The data base of what happened: events with their thumbnails, recordings, gaps; searched by words, time, camera and kind.

SQLite in one file, `events.db` in the folder of recordings. What was committed survives a kill and a power cut. While it cannot be
written (a full disk, another program that locks it), what is new waits in memory, and is written when that is possible again.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.live.keep.rows import (
    COLUMNS,
    SCHEMA,
    VERSION,
    KeptEvent,
    KeptFile,
    event_row,
    kept_event,
    warning_row,
    words_of,
)
from streamseg.live.news import Happened, Warned
from streamseg.system.output_files import make_folder

__all__ = ["NAME", "EventStore"]

NAME = "events.db"
_PATIENCE = 5.0
"""Seconds to wait for another program that writes it."""
_MOST_WAITING = 20_000
_TERM = re.compile(r"\w+")


class EventStore:
    """Thread-safe. Reading raises OutputError where there is nothing to be read; writing does not raise."""

    def __init__(self, folder: Path, warn: Callable[[str], None] | None = None, *, there: bool = False) -> None:
        """`warn`: hears what a person should know of the data base. `there`: read the one that is there, make none.

        Raises OutputError where it cannot be opened.
        """
        if there and not (folder / NAME).is_file():
            raise OutputError(
                f"{folder}: no recordings of streamseg are here ({NAME} is missing); name their folder with --folder"
            )
        make_folder(folder)
        self.folder, self.path = folder, folder / NAME
        self._warn = warn or (lambda _: None)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, tuple[Any, ...], tuple[Any, ...] | None]] = deque(maxlen=_MOST_WAITING)
        """Statements that are to be done, in order; with an event's, its row for the words."""
        self._connection: sqlite3.Connection | None = None
        self._failed = ""
        if there:
            return
        with self._lock:
            try:
                self._open()
            except sqlite3.Error as error:
                if _is_damage(error):
                    self._set_aside(error)
                elif _passes(error):
                    self._fail(error)
                else:
                    raise OutputError(f"{self.path}: the data base of events cannot be opened: {error}") from error

    # -- writing -------------------------------------------------------------------------------------------------------------

    def add(self, news: Happened | Warned) -> None:
        """Keep an event or a warning; one whose id is there already is left out."""
        row = event_row(news) if isinstance(news, Happened) else warning_row(news)
        statement = (
            "INSERT OR IGNORE INTO events (id, camera, utc, kind, name, track_id, place, direction, seconds, frame, epoch, box, "
            "text, thumbnail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._do(statement, row, row)

    def add_file(self, file: KeptFile, events: Sequence[str] = ()) -> None:
        """Keep that a recording is there, and that it shows these events."""
        row = (file.path, file.camera, file.clip, file.begin_utc, file.end_utc, file.size, file.protected)
        self._do("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for id in events:
            self.add_clip(file.path, id)

    def add_clip(self, path: str, event: str) -> None:
        """Keep that a clip shows an event; the first one that does is kept."""
        self._do("UPDATE events SET clip = ? WHERE id = ? AND clip = ''", (path, event))

    def link(self, file: KeptFile) -> None:
        """A clip that was cut off shows what happened in it."""
        row = (file.path, file.camera, file.begin_utc, file.end_utc)
        self._do("UPDATE events SET clip = ? WHERE clip = '' AND camera = ? AND utc BETWEEN ? AND ?", row)

    def add_gap(self, camera: str, begin_utc: float, end_utc: float, reason: str) -> None:
        """Keep that nothing was recorded in between."""
        self._do("INSERT INTO gaps VALUES (?, ?, ?, ?)", (camera, begin_utc, end_utc, reason))

    def add_settings(self, camera: str, since_utc: float, config: str) -> None:
        """Keep with what settings (JSON of a pipeline) a camera is watched from now on."""
        self._do(
            "INSERT INTO settings SELECT ?1, ?2, ?3 WHERE ?3 IS NOT "
            "(SELECT config FROM settings WHERE camera = ?1 ORDER BY since_utc DESC LIMIT 1)",
            (camera, since_utc, config),
        )

    def forget_file(self, path: str) -> None:
        """A recording is gone."""
        self._do("DELETE FROM files WHERE path = ?", (path,), then=("UPDATE events SET clip = '' WHERE clip = ?", (path,)))

    def protect(self, path: str, protected: bool = True) -> None:
        """Whether a recording is never deleted."""
        self._do("UPDATE files SET protected = ? WHERE path = ?", (protected, path))

    def forget_events(self, before_utc: float, *, thumbnails: bool = False) -> None:
        """Events that are older go; or only their thumbnails."""
        if thumbnails:
            self._do("UPDATE events SET thumbnail = NULL WHERE thumbnail IS NOT NULL AND clip = '' AND utc < ?", (before_utc,))
            return
        self._do("DELETE FROM words WHERE rowid IN (SELECT number FROM events WHERE utc < ?)", (before_utc,))
        self._do("DELETE FROM events WHERE utc < ?", (before_utc,))
        self._do("DELETE FROM gaps WHERE end_utc < ?", (before_utc,))

    def _do(
        self,
        statement: str,
        values: tuple[Any, ...],
        words: tuple[Any, ...] | None = None,
        *,
        then: tuple[str, tuple[Any, ...]] | None = None,
    ) -> None:
        with self._lock:
            self._waiting.append((statement, values, words))
            if then is not None:
                self._waiting.append((*then, None))
            self._write()

    def flush(self) -> bool:
        """Try to write what waits; whether all of it is written."""
        with self._lock:
            if self._waiting:
                self._write()
            return not self._waiting

    def _write(self) -> None:
        try:
            connection = self._connection or self._open()
            with connection:
                for statement, values, words in self._waiting:
                    done = connection.execute(statement, values)
                    if words is not None and done.rowcount > 0:
                        connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (done.lastrowid, words_of(words)))
        except sqlite3.Error as error:
            self._fail(error)
        else:
            self._waiting.clear()
            if self._failed:
                self._failed = ""
                self._warn("the data base of events is written again")

    def _fail(self, error: sqlite3.Error) -> None:
        """Try again with a connection of its own: one that has failed may go on failing."""
        self._close()
        if _is_damage(error):
            with contextlib.suppress(OutputError):
                self._set_aside(error)
                return
        if not self._failed:
            self._failed = str(error)
            self._warn(f"{self.path}: the data base of events cannot be written: {error}; what is new waits in memory")

    def _set_aside(self, error: sqlite3.Error) -> None:
        """It is damaged: begin another, and leave this one to who can mend it."""
        self._close()
        aside = self.path.with_name(f"{NAME}.damaged-{time.strftime('%Y-%m-%d_%H-%M-%S')}")
        try:
            for ending in ("-wal", "-shm"):
                Path(f"{self.path}{ending}").unlink(missing_ok=True)
            self.path.rename(aside)
            self._open()
        except (OSError, sqlite3.Error) as worse:
            raise OutputError(
                f"{self.path}: the data base of events is damaged ({error}), and no new one can be made"
            ) from worse
        self._warn(
            f"{self.path}: the data base of events was damaged ({error}); it lies in {aside.name}, and a new one is begun"
        )

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, check_same_thread=False)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise OutputError(f"{self.path}: was written by a newer streamseg; use that, or another folder")
            # Where the file system has no shared memory, SQLite keeps the journal that it had.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        except (sqlite3.Error, OutputError):
            connection.close()
            raise
        self._connection = connection
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Write what waits, and close it."""
        self.flush()
        with self._lock:
            self._close()

    # -- reading -------------------------------------------------------------------------------------------------------------

    def search(
        self,
        text: str = "",
        *,
        since: float | None = None,
        until: float | None = None,
        camera: str | None = None,
        kind: str | None = None,
        not_kind: str | None = None,
        limit: int = 100,
    ) -> list[KeptEvent]:
        """Events, newest first: those that hold all words of `text` (or words that begin so), from `since` up to `until` (UTC).

        Raises OutputError where the data base cannot be read.
        """
        given = {"utc >= ?": since, "utc <= ?": until, "camera = ?": camera, "kind = ?": kind, "kind != ?": not_kind}
        wanted = [each for each, value in given.items() if value is not None]
        values: list[Any] = [value for value in given.values() if value is not None]
        terms = _TERM.findall(text)
        if terms:
            wanted.append("number IN (SELECT rowid FROM words WHERE words MATCH ?)")
            values.append(" ".join(f'"{term}"*' for term in terms))
        where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
        query = f"SELECT {COLUMNS} FROM events {where} ORDER BY utc DESC, number DESC LIMIT ?"  # all names are ours
        return [kept_event(row) for row in self._read(query, (*values, limit))]

    def thumbnail(self, id: str) -> bytes:
        """An event's JPEG; empty: none."""
        rows = self._read("SELECT thumbnail FROM events WHERE id = ?", (id,))
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else b""

    def event(self, id: str) -> KeptEvent | None:
        """An event by its id; None: it is not there."""
        rows = self._read(f"SELECT {COLUMNS} FROM events WHERE id = ?", (id,))  # all names are ours
        return kept_event(rows[0]) if rows else None

    def settings(self, camera: str, utc: float) -> str | None:
        """With what settings a camera was watched at a time; None: that is not known."""
        query = "SELECT config FROM settings WHERE camera = ? AND since_utc <= ? ORDER BY since_utc DESC LIMIT 1"
        rows = self._read(query, (camera, utc))
        return str(rows[0][0]) if rows else None

    def clip(self, id: str) -> Path | None:
        """The clip that shows an event; None: there is none."""
        rows = self._read("SELECT clip FROM events WHERE id = ? AND clip != ''", (id,))
        return self.folder / rows[0][0] if rows else None

    def files(self, camera: str | None = None, *, since: float = 0.0, until: float = 1e12) -> list[KeptFile]:
        """Recordings that show some of the time between, oldest first."""
        query = (
            "SELECT * FROM files WHERE end_utc >= ? AND begin_utc <= ? AND (? IS NULL OR camera = ?) ORDER BY begin_utc, path"
        )
        rows = self._read(query, (since, until, camera, camera))
        return [KeptFile(p, name, bool(clip), begin, end, size, bool(kept)) for p, name, clip, begin, end, size, kept in rows]

    def gaps(self, camera: str | None = None, *, since: float = 0.0) -> list[tuple[str, float, float, str]]:
        """(camera, from, to, why) of times without a recording, oldest first."""
        query = "SELECT * FROM gaps WHERE end_utc >= ? AND (? IS NULL OR camera = ?) ORDER BY begin_utc"
        return self._read(query, (since, camera, camera))

    def _read(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        """With a connection of its own, so that readers and the writer do not wait for each other."""
        try:
            with self._reading() as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutputError(f"{self.path}: the data base of events cannot be read: {error}") from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=_PATIENCE)
        try:
            yield connection
        finally:
            connection.close()


def _passes(error: sqlite3.Error) -> bool:
    """Whether there may be room on the disk, or nobody else at work, later."""
    passing = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in passing


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is not what it should be."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
