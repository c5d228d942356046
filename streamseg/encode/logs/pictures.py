"""The pictures of a log: H.264 without B-frames, one access unit a picture, with its parameter sets before each key frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from av.video.format import VideoFormat

from streamseg.encode.stream.encoder import LiveEncoder, StreamSettings
from streamseg.encode.stream.fmp4 import TIMESCALE
from streamseg.encode.video.codecs import CODECS
from streamseg.encode.video.pixel_formats import losses
from streamseg.errors import OutputError

if TYPE_CHECKING:
    from streamseg.core.types import Frame
    from streamseg.decode import SourceInfo
    from streamseg.encode.sink import OutputRequest, RenderedPicture

__all__ = ["Coded", "LogPictures", "log_settings"]

_KEY_SECONDS = 1.0
"""From one key frame to the next. A viewer that jumps decodes from the one before; what a killed process leaves ends with one."""
_CRF = 20
_H264 = ("auto", "h264", "libx264", "h264_nvenc")


@dataclass(frozen=True, slots=True)
class Coded:
    """One picture."""

    data: bytes
    """NAL units with start codes."""
    key: bool
    """Decoding can begin here."""
    width: int
    """Pixels as coded: even."""
    height: int


def log_settings(request: OutputRequest) -> tuple[StreamSettings, list[str]]:
    """How it is encoded, and what is to be said of that. Raises OutputError for a quality that H.264 does not have."""
    name, crf, said = str(request.path), request.crf, list[str]()
    if request.codec not in _H264:
        said.append(
            f"{name}: its pictures are H.264, which viewers of logs decode; --codec {request.codec} is for the other outputs"
        )
        crf = None
    low, high = CODECS["h264"].crf_range
    if crf is not None and not low <= crf <= high:
        raise OutputError(f"{name}: crf {crf:g} is out of range for h264; allowed: {low} (best) to {high}")
    return StreamSettings(_CRF if crf is None else round(crf), threads=request.threads, to_file=True), said


class LogPictures:
    """Encodes the pictures of one output, of whatever sizes."""

    def __init__(self, name: str, info: SourceInfo, settings: StreamSettings, *, gpu: bool) -> None:
        """`name`: what messages call the output."""
        self._name, self._info, self._settings, self._gpu = name, info, settings, gpu
        self._encoder: LiveEncoder | None = None
        self._formats = 0
        self._ticks, self._key = -1, 0
        self.warnings: list[str] = []

    def __call__(self, rendered: RenderedPicture) -> Coded:
        """One picture, at once. Raises OutputError."""
        frame = replace(rendered.result.frame, picture=rendered.picture)
        if self._encoder is None or not self._encoder.fits(frame):
            self._encoder = LiveEncoder(frame, self._info, self._settings, self._formats, gpu=self._gpu)
            if self._formats == 0:
                self._say_what_is_lost(frame, self._encoder)
            self._formats += 1
        # The encoder's own clock, of which only the order counts: what is written is timed by LogClock.
        self._ticks = max(self._ticks + 1, round(frame.time * TIMESCALE))
        data, key = self._encoder.encode(frame, self._ticks, key=self._ticks - self._key >= _KEY_SECONDS * TIMESCALE)
        if key:
            self._key = self._ticks
        assert self._encoder.format is not None
        return Coded(data, key, self._encoder.format.width, self._encoder.format.height)

    def _say_what_is_lost(self, first: Frame, encoder: LiveEncoder) -> None:
        lost = losses(first.picture.format, VideoFormat("yuv420p", 16, 16), self._info.bit_depth)
        said = [f"{loss} (a limit of the H.264 that viewers decode)" for loss in lost]
        said += [encoder.padding] if encoder.padding else []
        aspect = self._info.sample_aspect_ratio
        if aspect not in (None, 1):
            said.append(f"pixels of {aspect} are shown as square ones")
        if any(stream.type in ("audio", "subtitle") for stream in self._info.streams):
            said.append("sound and subtitles are left out: a log has pictures, and what was found in them")
        self.warnings += [f"{self._name}: {each}" for each in said]
