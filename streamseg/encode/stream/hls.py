"""HLS files (RFC 8216): a playlist and segments of two seconds beside it, for any web server to give out.

Of a camera the last twelve seconds are kept, and a run that is begun again goes on in the same playlist. Of a film all is kept, and
the playlist ends when it does. Files get their names when they are whole.
"""

from __future__ import annotations

import io
import os
from fractions import Fraction
from typing import Any, Unpack

import av

from streamseg.decode import SourceInfo
from streamseg.encode.file_sink import FileOptions, FileSink
from streamseg.encode.sink import OutputRequest, RenderedPicture
from streamseg.encode.stream.encoder import StreamSettings
from streamseg.encode.stream.fmp4 import TIMESCALE
from streamseg.encode.stream.shared import SharedStream
from streamseg.encode.stream.sinks import settings_of, without_sound
from streamseg.encode.stream.unit import StreamFormat, Unit
from streamseg.encode.video.remux import AV_ERRORS
from streamseg.errors import OutputError
from streamseg.system.output_files import make_folder

__all__ = ["HlsSink", "HlsWriter"]

_CLOCK = Fraction(1, TIMESCALE)
_SEGMENT = 2
_KEPT = 6
_FOREVER = 1e9


class HlsWriter:
    """One playlist that units are added to."""

    def __init__(self, path: str | os.PathLike[str], *, live: bool) -> None:
        """`live`: keep the newest segments alone, and go on with a playlist that is there. Nothing is written yet."""
        self._path, self._live = os.fspath(path), live
        self._container: Any = None
        self._stream: Any = None
        self._last = 0
        self._began = False

    def format(self, format: StreamFormat) -> None:
        """What follows is encoded so. Raises OutputError."""
        self.close()
        flags = ["independent_segments", "temp_file"]
        if self._live:
            flags += ["delete_segments", "program_date_time", "omit_endlist"]
        if self._live or self._began:
            flags += ["append_list"] if os.path.exists(self._path) else []
        name, _ = os.path.splitext(self._path)
        options = {
            "hls_time": str(_SEGMENT),
            "hls_list_size": str(_KEPT if self._live else 0),
            "hls_flags": "+".join(flags),
            "hls_segment_filename": f"{name.replace('%', '%%')}-%06d.ts",
        }
        try:
            template = av.open(io.BytesIO(format.init)).streams.video[0]
            self._container = av.open(self._path, "w", format="hls", container_options=options)
            self._stream = self._container.add_stream_from_template(template)
            self._stream.time_base = _CLOCK
            self._container.start_encoding()
        except AV_ERRORS as error:
            raise self._failed(error) from error
        self._began = True

    def unit(self, unit: Unit) -> None:
        """Add one picture. Raises OutputError."""
        packet: av.Packet[Any] = av.Packet(unit.sample)
        packet.stream, packet.time_base, packet.is_keyframe = self._stream, _CLOCK, unit.key
        packet.pts = packet.dts = unit.ticks
        packet.duration, self._last = max(0, unit.ticks - self._last), unit.ticks
        try:
            self._container.mux_one(packet)
        except AV_ERRORS as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Finish the last segment and the playlist. Raises OutputError."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            container.close()
        except AV_ERRORS as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> OutputError:
        return OutputError(f"{self._path}: {getattr(error, 'strerror', None) or error}")


class HlsSink(FileSink):
    """Writes the pictures as HLS."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: SourceInfo,
        settings: StreamSettings,
        *,
        gpu: bool,
        **place: Unpack[FileOptions],
    ) -> None:
        super().__init__(path, info, **place)
        self._shared = SharedStream(str(path), settings, gpu=gpu)
        self._shared.about = info
        self._listener = self._shared.listen(patience=_FOREVER)
        self._writer = HlsWriter(path, live=info.live)
        self.warnings += without_sound(str(path), info)

    @classmethod
    def make(cls, request: OutputRequest) -> HlsSink:
        """See OutputKind."""
        settings = settings_of(str(request.path), request.codec, request.crf)
        place = FileOptions(overwrite=request.overwrite, source=request.source)
        return cls(request.path, request.info, settings, gpu=request.gpu, **place)

    def open(self) -> None:
        """Check that it can be written; the playlist of a camera may be there already. Raises OutputError."""
        if self._info.live:
            make_folder(self.path.parent)
        else:
            super().open()

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Add one picture. Raises OutputError."""
        self._shared.put(rendered)
        if self._shared.failed:
            raise OutputError(f"{self.name}: {self._shared.failed}")
        while (message := self._listener.take()) is not None:
            if isinstance(message, StreamFormat):
                self._writer.format(message)
            else:
                self._writer.unit(message)
                self.counters.bytes += len(message.sample)
        self.counters.frames += 1

    def close(self) -> None:
        """Finish the last segment and the playlist. Raises OutputError."""
        self._shared.close()
        self._writer.close()

    def abort(self) -> None:
        """As `close`: what was written can be played."""
        self.close()
