"""RRD (rerun.io): what Rerun's viewer opens. Its entities are listed in docs/logs.md.

The file is written by rerun's own writer, in a thread of its own, a second of film at a time.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from streamseg.encode.logs.clock import LogClock
from streamseg.encode.logs.marks import has_marks, marks_in
from streamseg.encode.logs.pictures import Coded
from streamseg.encode.logs.placing import camera_of, placed_in
from streamseg.encode.logs.seen import seen_in
from streamseg.encode.logs.sink import LogSink
from streamseg.encode.logs.words import Happenings
from streamseg.errors import MissingExtra, OutputError
from streamseg.system.output_files import Claim, refuse_existing

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["RrdSink"]

_INDEXED = 3600.0
"""Seconds up to which a film gets an index, for which memory grows; longer ones, and live sources, are read from front to back."""
_PATIENCE = 60.0
"""Seconds within which a second of film has to be written."""


class RrdSink(LogSink):
    """Writes the pictures and what was found in them for Rerun."""

    _recording: Any = None
    _claim: Claim | None = None
    _whole = 0
    """Bytes of the file that are whole messages."""

    def _need(self) -> None:
        if "rerun" not in sys.modules:  # it would print a failed write in its own words, beside our error
            os.environ.setdefault("RUST_LOG", "off")
        try:
            import rerun
        except ImportError as error:
            raise MissingExtra("rerun-sdk", "drive") from error
        del rerun

    def _begin(self, first: Result, clock: LogClock) -> None:
        from streamseg.encode.logs.rerun_columns import Columns
        from streamseg.encode.logs.rerun_file import begin
        from streamseg.encode.logs.rerun_layout import layout

        refuse_existing(self.path, self._source, self._overwrite)
        self._claim = Claim(self.path.parent, self.path.name)
        road, camera = first.scene is not None, camera_of(first) is not None
        # The viewer keeps one layout for each of these names.
        name = "streamseg-road" if road else "streamseg"
        seconds = None if self._info.live else self._info.duration
        index = seconds is not None and seconds <= _INDEXED
        recording = begin(self.path, name, layout(road=road, camera=camera), index=index)
        recording.send_recording_name(PurePath(self._info.name).name or self._info.name)
        self._recording = recording
        self._columns = Columns(recording, first.instances.class_names, absolute=clock.absolute, road=road)
        self._happened = Happenings()

    def _write(self, result: Result, coded: Coded, clock: LogClock) -> None:
        if coded.key:
            self._flush()
        time, number, columns = clock.at(result.frame), result.frame.index, self._columns
        columns.picture(time, number, coded)
        seen = seen_in(result)
        columns.seen(time, number, seen, outlined=result.instances.has_shapes)
        if has_marks(result):
            columns.marks(time, number, list(marks_in(result)))
        if result.activity is not None:
            columns.counted(time, number, result.activity.now)
        if result.scene is not None:
            camera = camera_of(result)
            if camera is not None:
                columns.camera(time, number, camera, result.scene.horizon)
            columns.road(time, number, placed_in(result, seen), result.scene)
            columns.numbers(time, number, seen, result.scene)
        for each in self._happened(result):
            columns.happened(time if each.seconds is None else clock.moment(each.seconds), number, each)

    def _flush(self, *, last: bool = False) -> None:
        try:
            self._columns.send(last=last)
            self._recording.flush(timeout_sec=_PATIENCE)
        except RuntimeError as error:
            self._leave()
            raise OutputError(
                f"{self.name}: writing it failed ({error}); is the disk full? What was written before the last second is kept"
            ) from error
        self._whole = self.counters.bytes = self.path.stat().st_size

    def _leave(self) -> None:
        """End rerun's writer, and take off the message that it did not finish: readers refuse a file that ends amid one."""
        self._ended = True
        recording, self._recording = self._recording, None
        with contextlib.suppress(RuntimeError, OSError):
            recording.disconnect()
            os.truncate(self.path, self._whole)
        del recording
        self._release()

    def _release(self) -> None:
        from streamseg.encode.logs.rerun_file import sweep

        del self._columns
        sweep()
        if self._claim is not None:
            self._claim.release()

    def _finish(self) -> None:
        self._flush(last=True)
        recording, self._recording = self._recording, None
        try:
            recording.disconnect()
        except RuntimeError as error:
            raise OutputError(f"{self.name}: finishing it failed: {error}") from error
        finally:
            del recording
            self._release()
        self.counters.bytes = self.path.stat().st_size
