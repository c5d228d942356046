"""Results without pictures: one JSON object a line.

The first line describes the run: `{"schema": "streamseg.results/1", "source", "width", "height", "time_base", "rate", "classes"}`,
and of a live source `utc`, when its first frame was captured.
Every other line is `Result.to_json()` of one frame, or, after the frame with which it became certain, an event: it has the key
`event`. All lines are described by `results.schema.json`, beside this file. Lines are complete on disk as soon as they are
written.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, ClassVar

from streamseg.core.utc import as_iso
from streamseg.encode.file_sink import FileSink
from streamseg.encode.sink import RenderedPicture
from streamseg.errors import OutputError
from streamseg.system.output_files import OutputFile

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.types import Event

__all__ = ["SCHEMA", "JsonlSink"]

SCHEMA = "streamseg.results/1"


class JsonlSink(FileSink):
    """Writes results as JSON lines, UTF-8."""

    results: ClassVar[bool] = True
    _file: OutputFile | None = None

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one line. Raises OutputError."""
        if self._file is None:
            self._file = OutputFile(self.path, self._overwrite)
            self._line(self._file, self._header(rendered.result))
        result = rendered.result
        self._line(self._file, result.to_json())
        for event in result.activity.events if result.activity else ():
            self._line(self._file, _event_json(event, result.frame.index))
        self.counters.frames += 1
        self.counters.bytes = self._file.size

    def _header(self, first: Result) -> dict[str, Any]:
        info, frame = self._info, first.frame
        header = {
            "schema": SCHEMA,
            "source": info.name,
            "width": frame.width,
            "height": frame.height,
            "time_base": str(frame.time_base),
            "rate": str(info.rate) if info.rate else None,
            "classes": list(first.instances.class_names),
        }
        return header if frame.utc is None else header | {"utc": as_iso(frame.utc)}

    def _line(self, file: OutputFile, value: dict[str, Any]) -> None:
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
            file.append(text.encode() + b"\n")
        except ValueError as error:
            raise OutputError(f"{self.path}: a result cannot be written as JSON: {error}") from error
        except OSError as error:
            raise OutputError(
                f"{self.path}: writing it failed: {error.strerror or error}; the lines before are kept"
            ) from error

    def close(self) -> None:
        """Close the file. Raises OutputError."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise OutputError(f"{self.path}: closing it failed: {error.strerror or error}") from error

    def abort(self) -> None:
        """Close the file; what is written stays. Does not raise."""
        with contextlib.suppress(OutputError):
            self.close()


def _event_json(event: Event, frame: int) -> dict[str, Any]:
    """An event as plain data; `frame` is the one with which it became certain."""
    data: dict[str, Any] = {"event": event.kind, "time": round(event.time, 6), "frame": frame, "track_id": event.track_id}
    data["class"] = event.name
    if event.utc is not None:
        data["utc"] = as_iso(event.utc)
    if event.place:
        data["place"] = event.place
    if event.direction:
        data["direction"] = event.direction
    if event.seconds is not None:
        data["seconds"] = round(event.seconds, 6)
    if event.details:
        data["details"] = {name: round(value, 4) for name, value in event.details.items()}
    return data
