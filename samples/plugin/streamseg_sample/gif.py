"""A sink: animated GIF, for a page that shows no video."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

from streamseg.composite import to_image
from streamseg.encode import FileSink, RenderedPicture
from streamseg.errors import OutputError

_TICK = Fraction(1, 100)  # of the format


class GifSink(FileSink):
    """Writes `NAME.gif`: 256 colours, every picture at its own time, to the hundredth of a second."""

    _file: Any = None
    _last = -1

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one picture. Raises OutputError."""
        frame = rendered.result.frame
        pts = round(frame.pts * frame.time_base / _TICK)
        if pts <= self._last:  # faster than the format's clock
            self.counters.dropped += 1
            return
        self._last = pts
        image = av.VideoFrame.from_ndarray(to_image(rendered.picture)).reformat(format="rgb8", threads=1)
        image.pts, image.time_base = pts, _TICK
        try:
            if self._file is None:
                self._file = av.open(str(self.path), "w", format="gif")
                self._stream = self._file.add_stream("gif", options={})
                self._stream.width, self._stream.height, self._stream.pix_fmt = image.width, image.height, "rgb8"
                self._stream.time_base = self._stream.codec_context.time_base = _TICK
            self._file.mux(self._stream.encode(image))
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self.name}: writing it failed: {error}") from error
        self.counters.frames += 1

    def close(self) -> None:
        """Finish the file. Raises OutputError."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.mux(self._stream.encode(None))
            file.close()
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self.name}: finishing it failed: {error}") from error

    def abort(self) -> None:
        """After an error: what is written stays."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
