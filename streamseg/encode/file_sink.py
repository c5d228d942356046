"""What all sinks that write files share: their path, counters and warnings, and the check before the first picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

from streamseg.encode.sink import OutputKind, OutputRequest, Sink, SinkCounters
from streamseg.system.output_files import check_file, local_path
from streamseg.system.standard_streams import is_stdout

if TYPE_CHECKING:
    from streamseg.decode import SourceInfo

__all__ = ["FileOptions", "FileSink"]


class FileOptions(TypedDict, total=False):
    """What a sink is told of where it may write."""

    overwrite: bool
    """Replace what exists; False if not given."""
    source: str | int | os.PathLike[str] | None
    """What is read, which is never written onto; as given to the decoder."""


class FileSink(OutputKind):
    """Base of the sinks that write a file (or, with an `open` of their own, a folder)."""

    def __init__(self, path: str | os.PathLike[str], info: SourceInfo, **place: Unpack[FileOptions]) -> None:
        self.path = Path(path)
        self.name = "standard output" if is_stdout(path) else str(path)
        self.counters = SinkCounters()
        self.warnings: list[str] = []
        self._info, self._overwrite = info, place.get("overwrite", False)
        self._source = local_path(place.get("source"))

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        return cast("Sink", cls(request.path, request.info, overwrite=request.overwrite, source=request.source))

    def open(self) -> None:
        """Check that the output can be written. Raises OutputError."""
        check_file(self.path, self._source, self._overwrite)
