"""Parquet: tables for analysis, of instances (`.parquet`), frames (`.frames.parquet`) and events (`.events.parquet`).

The columns are always the same, null where nothing is known. A frame without instances has a row in the table of instances, too,
whose columns of an instance are null, as a left join has it: `count(class)` counts instances, and no frame is missing. Groups of
rows are written while the video runs, so that memory does not grow; what a reader needs stands at the file's end, which has its
place on the disk before anything is written behind it: a full disk leaves a table of what came before.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from streamseg.encode.results.base import FormatSink
from streamseg.encode.results.event_cells import event_row
from streamseg.encode.results.parquet_columns import EVENTS, FRAMES, INSTANCES, Columns, frame_row, schema_of
from streamseg.errors import MissingExtra
from streamseg.system.output_files import open_part, part_of
from streamseg.system.version import installed_version

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["EventsParquetSink", "FramesParquetSink", "InstancesParquetSink"]

_GROUP = 10_000
"""Rows of a group, which wait in memory: some megabytes."""
_FOOTER, _OF_GROUP, _OF_COLUMN = 1 << 17, 1 << 15, 1 << 9
"""Bytes that the end of the file takes at most: at all, and for each group, and for each column of a group."""


class _Table(FormatSink):
    """Base of the tables."""

    columns: ClassVar[Columns]
    about: ClassVar[str]
    _whole = True

    def open(self) -> None:
        """As of files. Raises MissingExtra without the package pyarrow."""
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise MissingExtra("pyarrow", "drive") from error
        super().open()

    def abort(self) -> None:
        """As `close`; the file says that it was cut off."""
        self._whole = False
        super().abort()

    def _begin(self, first: Result) -> None:
        from pyarrow import parquet

        self._schema = schema_of(self.columns)
        self._file = _Roomy(open_part(self.path), "r+b")
        kept = [name for name, kind in self.columns if name != "mask"]  # of which the least and the largest say nothing
        try:
            self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd", write_statistics=kept)
        except OSError:
            self._file.close()
            part_of(self.path).unlink()
            raise
        self._waiting: list[dict[str, Any]] = []
        self._groups = 0
        info, frame = self._info, first.frame
        self._head = {
            "schema": f"streamseg.{self.about}/1",
            "written_by": f"streamseg {installed_version()}",
            "source": info.name,
            "width": frame.width,
            "height": frame.height,
            "time_base": str(frame.time_base),
            "rate": str(info.rate) if info.rate else None,
            "classes": list(first.instances.class_names),
        }

    def _write(self, result: Result) -> None:
        self._waiting += self._rows(result)
        if len(self._waiting) >= _GROUP:
            self._flush()

    def _rows(self, result: Result) -> Iterator[dict[str, Any]]:
        raise NotImplementedError

    def _flush(self) -> None:
        """Write what waits as a group. Raises OSError, and then nothing of it is written."""
        import pyarrow

        if not self._waiting:
            return
        # NaN is null, too: to pandas they are one, to a data base they are not.
        arrays = [
            pyarrow.array([row.get(field.name) for row in self._waiting], field.type, from_pandas=True)
            for field in self._schema
        ]
        table = pyarrow.Table.from_arrays(arrays, schema=self._schema)
        self._file.reserve(round(1.1 * table.nbytes) + self._room(self._groups + 1))
        self._writer.write_table(table)
        self._groups += 1
        self._waiting = []
        self.counters.bytes = self._file.tell()

    def _room(self, groups: int) -> int:
        return _FOOTER + groups * (_OF_GROUP + _OF_COLUMN * len(self.columns))

    def _finish(self) -> None:
        failed: OSError | None = None
        try:
            self._flush()
        except OSError as error:
            failed, self._whole = error, False
        told = self._head | {"frames": self.counters.frames, "complete": self._whole}
        self._writer.add_key_value_metadata({"streamseg": json.dumps(told, ensure_ascii=False)})
        try:
            self._writer.close()
        except OSError:  # not even an empty table fits
            self._file.close()
            part_of(self.path).unlink()
            raise
        self._file.truncate()
        self.counters.bytes = self._file.tell()
        self._file.close()
        part_of(self.path).replace(self.path)
        if failed is not None:
            raise failed


class InstancesParquetSink(_Table):
    """Writes a row for each instance of each frame."""

    columns = INSTANCES
    about = "instances"

    def _rows(self, result: Result) -> Iterator[dict[str, Any]]:
        frame = frame_row(result)
        for row in result.rows(masks=True):
            mask = row.pop("mask")
            yield frame | row | {"mask": None if mask is None else mask["counts"]}
        if not len(result):
            yield frame


class FramesParquetSink(_Table):
    """Writes a row for each frame: its time, how the camera moves, where the vehicle is."""

    columns = FRAMES
    about = "frames"

    def _rows(self, result: Result) -> Iterator[dict[str, Any]]:
        yield frame_row(result)


class EventsParquetSink(_Table):
    """Writes a row for each event, with the columns of the CSV."""

    columns = EVENTS
    about = "events"

    def _rows(self, result: Result) -> Iterator[dict[str, Any]]:
        named = result.instances.track_names
        for event in result.activity.events if result.activity else ():
            row = event_row(event, result.frame.index, named.get(event.track_id))
            utc = None if event.utc is None else round(1e6 * event.utc)
            yield row | {"utc": utc, "details": json.dumps(row["details"]) if row["details"] else None}


class _Roomy(io.FileIO):
    """A file that takes its place on the disk before it is needed; its writes are never short."""

    def reserve(self, size: int) -> None:
        """Have `size` bytes behind the present place. Raises OSError, and then leaves what was there."""
        here = self.tell()
        missing = here + size - self.seek(0, io.SEEK_END)
        try:
            while missing > 0:
                missing -= self.write(bytes(min(missing, 1 << 20)))
        finally:
            self.seek(here)

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        size = view.nbytes
        while view:
            view = view[super().write(view) :]
        return size
