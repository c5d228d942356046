"""The service that keeps what cameras show and what happens there: recordings, clips, events, within the limits that were given."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from collections import deque
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamseg.config.live_record import CameraRecord, RecordConfig
from streamseg.config.schema import PipelineConfig
from streamseg.decode.tap import PacketTap
from streamseg.encode.stream import SharedStream
from streamseg.errors import OutputError
from streamseg.live.bus import Bus
from streamseg.live.keep.archive import Archive
from streamseg.live.keep.recorder import CameraRecorder
from streamseg.live.keep.retention import Retention, protect
from streamseg.live.keep.rows import KeptFile
from streamseg.live.keep.settings import as_json
from streamseg.live.keep.shelf import Recorded
from streamseg.live.keep.shown import ShownPackets
from streamseg.live.keep.store import EventStore
from streamseg.live.news import CameraRemoved, Happened, Warned
from streamseg.system.file_names import file_name
from streamseg.system.folders import make_folder
from streamseg.system.output_files import open_locked

__all__ = ["Keeper"]

_SWEEP = 60.0
"""Seconds between two looks at what is too old."""


def _held(folder: Path) -> int | None:
    """The lock of a folder of recordings, which ends with the process; None on a disk without room for it. Raises OutputError."""
    make_folder(folder)
    try:
        return open_locked(folder / ".lock", folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # what is old may make room: nobody is kept from watching
            return None
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another folder for recordings") from error


class Keeper:
    """All recordings of a `Live`. It is the ledger of its recorders, too. Thread-safe."""

    name = "recordings"

    def __init__(self, config: RecordConfig, bus: Bus) -> None:
        """Raises OutputError where the folder cannot be written, or another run keeps recordings there: this one would take
        files that are being written for ones that were cut off, and each would delete what the other wrote.
        """
        self.folder = Path(config.folder).expanduser().absolute()
        self._held: int | None = _held(self.folder)
        self._bus = bus
        self.store = EventStore(self.folder, self._say)
        self.archive = Archive(self.store)
        self._retention = Retention(self.store, config, self._say)
        self._deleting = threading.Lock()
        self._recorders: dict[str, tuple[CameraRecorder, CameraRecord]] = {}
        self._shown: dict[str, ShownPackets] = {}
        self._lock = threading.Lock()
        self._news = bus.subscribe(Happened, Warned, CameraRemoved, size=4096)
        self._settings: deque[tuple[str, float, str]] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamseg-keeper", daemon=True)
        self._last: dict[str, float] = {}
        """When the last recording of each camera ended, before this run."""
        self._adopted = self._adopt()

    def _adopt(self) -> bool:
        """Look what is there; False where the data base cannot be read now, which it has said."""
        try:
            self._retention.adopt()
            files = [file for file in self.store.files() if not file.clip]
        except OutputError:
            return False
        for file in files:
            self._last[file.camera] = max(file.end_utc, self._last.get(file.camera, 0.0))
        return True

    # -- the service ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to keep events, and to delete what is old."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Finish all recordings within `timeout` seconds; what a slow disk keeps longer is finished at the next start."""
        deadline = time.monotonic() + timeout
        with self._lock:
            recorders, self._recorders = [each for each, _ in self._recorders.values()], {}
            shown, self._shown = list(self._shown.values()), {}
        for stream in shown:
            stream.close()
        for each in recorders:
            each.feed.close()
        for each in recorders:
            each.stop(max(0.1, deadline - time.monotonic()))
        self._news.close()
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(max(0.1, deadline - time.monotonic()))
        if not self._thread.is_alive():  # else it hangs in the disk, and so would this
            self.store.close()
            held, self._held = self._held, None
            if held is not None:
                os.close(held)

    def tap(self, camera: str, options: CameraRecord | None, config: PipelineConfig, stream: SharedStream) -> PacketTap | None:
        """Asked each time that a camera is opened: who wants its packets.

        `options`: see `record_of`; `config`: what is found in it, and how; `stream`: what it shows.
        """
        self.note(camera, config)
        with self._lock:
            found = self._recorders.get(camera)
        if options is None:
            self.release(camera)
            return None
        recorder = found[0] if found is not None and found[1] == options else self.recorder(camera, options)
        if options.what == "camera":
            return recorder.feed
        with self._lock:
            if camera not in self._shown:
                self._shown[camera] = ShownPackets(camera, stream, recorder.feed)
        return None

    def note(self, camera: str, config: PipelineConfig) -> None:
        """From now on this is found in a camera, in this way."""
        self._settings.append((camera, time.time(), as_json(config)))  # a camera waits for no disk

    def recorder(self, camera: str, options: CameraRecord) -> CameraRecorder:
        """Begin to record a camera: its `feed` is the tap of the camera's decoder, over all its connections."""
        last = self._last.pop(camera, None)
        before = None if last is None or not options.continuous else (last, "streamseg did not run")
        made = CameraRecorder(camera, self.folder, options, self, before)
        self.release(camera)
        with self._lock:
            self._recorders[camera] = made, options
        made.start()
        return made

    def release(self, camera: str, timeout: float = 5.0) -> None:
        """Record a camera no more; its files are finished."""
        with self._lock:
            former, shown = self._recorders.pop(camera, None), self._shown.pop(camera, None)
        if shown is not None:
            shown.close()
        if former is not None:
            former[0].stop(timeout)

    def path(self, camera: str) -> str:
        """The file that is being written of a camera; empty: none."""
        with self._lock:
            found = self._recorders.get(camera)
        return found[0].path if found is not None else ""

    def protect(self, path: str, protected: bool = True) -> None:
        """See `retention.protect`."""
        protect(self.store, path, protected)

    def _run(self) -> None:
        swept = 0.0
        while not self._stopped.is_set() or self._news.waiting:
            news = self._news.get(timeout=1.0)
            while self._settings:
                self.store.add_settings(*self._settings.popleft())
            if isinstance(news, Happened):
                self._happened(news)
            elif isinstance(news, Warned):
                self.store.add(news)
            elif isinstance(news, CameraRemoved):
                self.release(news.name)
            elif self.store.flush() and not self._adopted:
                self._adopted = self._adopt()
            if time.monotonic() - swept > _SWEEP and not self._stopped.is_set():
                swept = time.monotonic()
                with self._deleting:
                    self._retention.sweep()

    def _happened(self, news: Happened) -> None:
        with self._lock:
            found = self._recorders.get(news.camera)
        self.store.add(news)
        self._log(news)
        if found is None or (clips := found[1].clips) is None:
            return
        if news.event.kind in clips.events and (clips.classes is None or news.event.name in clips.classes):
            found[0].notice(news.id, news.at or news.utc + time.monotonic() - time.time())

    def _log(self, news: Happened) -> None:
        """The event as a line of JSON, beside the recordings of its day."""
        when = datetime.fromtimestamp(news.utc, UTC)
        folder = self.folder / file_name(news.camera) / when.astimezone().strftime("%Y-%m-%d")
        event = {key: value for key, value in asdict(news.event).items() if value not in ("", None) and key != "time"}
        line: dict[str, Any] = {"id": news.id, "time": when.isoformat(timespec="milliseconds"), "camera": news.camera, **event}
        line |= {"frame": news.frame, "epoch": news.epoch}
        if news.box is not None:
            line["box"] = [round(float(each), 1) for each in news.box]
        with contextlib.suppress(OSError):  # a full disk: the data base says so, and keeps it until there is room
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "events.jsonl").open("ab") as file:
                file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    # -- the ledger of its recorders -----------------------------------------------------------------------------------------

    def recorded(self, recorded: Recorded) -> None:
        """See `Ledger`."""
        path = recorded.path.relative_to(self.folder).as_posix()
        times = (recorded.begin_utc, recorded.end_utc)
        self.store.add_file(KeptFile(path, recorded.camera, recorded.clip, *times, recorded.size), recorded.events)

    def shows(self, path: Path, event: str) -> None:
        """See `Ledger`."""
        self.store.add_clip(path.relative_to(self.folder).as_posix(), event)

    def gap(self, camera: str, begin_utc: float, end_utc: float, reason: str) -> None:
        """See `Ledger`."""
        self.store.add_gap(camera, begin_utc, end_utc, reason)

    def warn(self, camera: str, text: str) -> None:
        """See `Ledger`."""
        self._bus.publish(Warned(camera, text, time.time()))

    def make_room(self, path: Path) -> bool:
        """See `Ledger`."""
        with self._deleting:
            return self._retention.make_room()

    def _say(self, text: str) -> None:
        self.warn("", text)
