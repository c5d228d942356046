"""What the logs share: the life of a sink that writes each picture, encoded, with what was found in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, cast

from streamseg.encode.file_sink import FileSink
from streamseg.encode.logs.clock import LogClock
from streamseg.encode.logs.pictures import Coded, LogPictures, log_settings
from streamseg.encode.sink import OutputRequest, RenderedPicture, Sink
from streamseg.encode.video.codecs import CODECS, Choice
from streamseg.encode.video.sizes import bytes_a_picture
from streamseg.errors import OutputError

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["LogSink"]


class LogSink(FileSink):
    """Base of the sinks of logs.

    A subclass writes in `_begin` (the first frame), `_write` (each frame) and `_finish` (once, if there was a frame; also after an
    error). They may raise OSError.
    """

    plain: ClassVar[bool] = True
    one_file: ClassVar[bool] = True

    def __init__(self, request: OutputRequest) -> None:
        super().__init__(request.path, request.info, overwrite=request.overwrite, source=request.source)
        self._settings, self.warnings = log_settings(request)
        self._pictures = LogPictures(self.name, request.info, self._settings, gpu=request.gpu)
        self._clock: LogClock | None = None
        self._last: int | None = None
        self._ended = False

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        if request.alpha:
            raise OutputError(f"{request.path}: a log cannot hold transparency; use .mov, .mkv or .webm, or PNG images")
        return cast("Sink", cls(request))

    def open(self) -> None:
        """Check the path, and that the packages are there. Raises OutputError, MissingExtra."""
        self._need()
        super().open()

    def expected(self) -> float:
        """See OutputKind."""
        choice = Choice("h264", CODECS["h264"], "yuv420p", {})
        return bytes_a_picture(choice, self._settings.crf, self._info.width, self._info.height)

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one frame. Raises OutputError."""
        result = rendered.result
        if self._last is not None and result.frame.pts <= self._last:
            self.counters.dropped += 1
            return
        self._last = result.frame.pts
        coded = self._pictures(rendered)
        with self._failing("writing"):
            if self._clock is None:
                self._clock = LogClock(result)
                self._begin(result, self._clock)
                self.warnings += self._pictures.warnings
            self._write(result, coded, self._clock)
        self.counters.frames += 1

    def close(self) -> None:
        """Finish the file. Raises OutputError."""
        if self._clock is None or self._ended:
            return
        self._ended = True
        with self._failing("finishing"):
            self._finish()

    def abort(self) -> None:
        """As `close`, of what could be written; does not raise."""
        with contextlib.suppress(OutputError):
            self.close()

    @contextlib.contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = f"what was written before ({self.counters.frames} frames, but for the last second) is kept"
            raise OutputError(f"{self.name}: {doing} it failed: {error.strerror or error}; {kept}") from error

    def _need(self) -> None:
        raise NotImplementedError

    def _begin(self, first: Result, clock: LogClock) -> None:
        raise NotImplementedError

    def _write(self, result: Result, coded: Coded, clock: LogClock) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError
