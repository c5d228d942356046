"""The log: each event, each change of a camera, each warning and what libraries say, a line each.

As JSON a line has `utc`, `level`, `what` (event, camera, warning, library) and what belongs to it. Passwords are taken out.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

from streamseg.config.live_log import LogConfig
from streamseg.errors import OutputError, scrub
from streamseg.live.bus import Bus
from streamseg.live.news import CameraChanged, CameraRemoved, Happened, News, Warned
from streamseg.live.tell.event_json import as_data, utc_text
from streamseg.live.tell.log_file import LogFile
from streamseg.system.output_files import make_folder

__all__ = ["Log"]

_OURS = "streamseg.live.log"
_WAITING = 4096


class Log:
    """A service: `start`, `stop`."""

    name = "log"

    def __init__(self, config: LogConfig, bus: Bus) -> None:
        """Nothing is opened yet; what is told from now on is written."""
        self._config = config
        self._news = bus.subscribe(size=_WAITING)
        self._states: dict[str, tuple[str, str]] = {}
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._handler: _Lines | None = None
        self._level_before = logging.WARNING
        self._logger = logging.getLogger(_OURS)

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._handler.lost if self._handler is not None else 0

    def start(self) -> None:
        """Raises OutputError where the file cannot be written."""
        handler = _Lines(self._open())
        handler.setFormatter(_Json() if self._config.format == "json" else _Plain())
        handler.setLevel(self._config.level.upper())
        self._handler = handler
        root = logging.getLogger()
        root.addHandler(handler)
        self._logger.setLevel(logging.DEBUG)
        self._level_before = root.level
        if self._config.level == "debug":
            root.setLevel(logging.DEBUG)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Write what was told until now, and close the file."""
        self._news.close()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        handler, self._handler = self._handler, None
        if handler is not None:
            root = logging.getLogger()
            root.removeHandler(handler)
            root.setLevel(self._level_before)
            handler.close()

    def _open(self) -> LogFile | None:
        config = self._config
        if config.file == "-":
            return None
        path = Path(config.file)
        make_folder(path.parent)
        try:
            return LogFile(path, config.size, config.keep)
        except OSError as error:
            raise OutputError(f"log: cannot write {path}: {error.strerror or error}") from error

    def _run(self) -> None:
        dropped = 0
        for news in self._news:
            level, data = self._line(news)
            if data is not None:
                self._logger.log(level, data.get("text", ""), extra={"streamseg": data})
            if self._news.dropped > dropped:
                lost, dropped = self._news.dropped - dropped, self._news.dropped
                data = {"what": "warning", "text": f"{lost} lines are missing here: the disk is too slow"}
                self._logger.warning(data["text"], extra={"streamseg": data})

    def _line(self, news: News) -> tuple[int, dict[str, Any] | None]:
        if isinstance(news, Happened):
            return logging.INFO, {"what": "event"} | as_data(news)
        if isinstance(news, Warned):
            camera = {"camera": news.camera} if news.camera else {}
            return logging.WARNING, {"what": "warning", "utc": utc_text(news.utc)} | camera | {"text": news.text}
        if isinstance(news, CameraRemoved):
            self._states.pop(news.name, None)
            return logging.INFO, {"what": "camera", "camera": news.name, "state": "removed"}
        return self._change(news)

    def _change(self, news: CameraChanged) -> tuple[int, dict[str, Any] | None]:
        status = news.status
        now = (status.state, status.reason)
        if self._states.get(status.name) == now:
            return logging.INFO, None
        self._states[status.name] = now
        data = {
            "what": "camera",
            "utc": utc_text(time.time()),
            "camera": status.name,
            "state": status.state,
            "source": status.source,
        }
        data |= {"reason": status.reason} if status.reason else {}
        return (logging.WARNING if status.state in ("lost", "failed") else logging.INFO), data


def _data(record: logging.LogRecord) -> dict[str, Any]:
    """A line's contents, whoever wrote it."""
    told: dict[str, Any] | None = getattr(record, "streamseg", None)
    if told is None:
        told = {"what": "library", "library": record.name, "text": record.getMessage()}
        if record.exc_info:
            told["trace"] = logging.Formatter().formatException(record.exc_info)
    return {"utc": utc_text(record.created), "level": record.levelname.lower()} | told


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        data = {key: scrub(value) if isinstance(value, str) else value for key, value in _data(record).items()}
        return json.dumps(data, ensure_ascii=False)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        data = _data(record)
        head = [str(data.pop(key)) for key in ("utc", "level", "what")]
        camera, text = data.pop("camera", ""), data.pop("text", "")
        rest = " ".join(f"{key}={value}" for key, value in data.items() if key not in ("id", "trace"))
        line = " ".join(part for part in (*head, camera and f"{camera}:", text, rest) if part)
        # One line is one record, whatever a camera calls itself.
        return scrub(line).replace("\n", "\\n").replace("\r", "\\r").replace("\x1b", "\\x1b")


class _Lines(logging.Handler):
    """Writes lines to a file, or to standard error; what cannot be written is counted, and nobody is told a traceback."""

    def __init__(self, file: LogFile | None) -> None:
        super().__init__()
        self._file = file
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Does not raise."""
        try:
            line = self.format(record)
            if self._file is not None:
                self._file.write(line)
            else:
                print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError, TypeError):  # the disk is full; standard error is closed; a library's own mistake
            self.lost += 1

    def close(self) -> None:
        """Twice is harmless."""
        if self._file is not None:
            self._file.close()
        super().close()
