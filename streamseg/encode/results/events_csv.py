"""Events as a table: one line an event, for spreadsheets and for pandas.

RFC 4180, UTF-8 with a byte order mark. `time` is seconds of the film, `utc` RFC 3339 where the source has it. Numbers that have no
column of their own stand in `details`, as `name=value; name=value`. Every line is on disk at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamseg.core.utc import as_iso
from streamseg.encode.csv_text import BOM, csv_line
from streamseg.encode.results.base import FormatSink
from streamseg.encode.results.event_cells import COLUMNS, event_row
from streamseg.system.output_files import OutputFile

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["EventsCsvSink", "cells"]


class EventsCsvSink(FormatSink):
    """Writes a line for each event, below a line of the columns' names."""

    def _begin(self, first: Result) -> None:
        self._file = OutputFile(self.path, self._overwrite)
        self._file.append(BOM + csv_line(COLUMNS))

    def _write(self, result: Result) -> None:
        named = result.instances.track_names
        for event in result.activity.events if result.activity else ():
            self._file.append(csv_line(cells(event_row(event, result.frame.index, named.get(event.track_id)))))
        self.counters.bytes = self._file.size

    def _finish(self) -> None:
        self._file.close()


def cells(row: dict[str, Any]) -> list[Any]:
    """A row of `event_row` as text and numbers of a table."""
    utc = row["utc"]
    more = "; ".join(f"{key}={value:.6g}" for key, value in row["details"].items())
    given = row | {"utc": None if utc is None else as_iso(utc), "details": more or None}
    return [given[name] for name in COLUMNS]
