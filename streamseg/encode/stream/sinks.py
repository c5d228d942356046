"""Streams as outputs of a run: `-o rtsp://server/door` is pushed to a media server, `-o door.m3u8` is HLS for a web server.

A push goes at the film's own speed: a media server passes on what it gets, when it gets it.
"""

from __future__ import annotations

import time

from streamseg.decode import SourceInfo
from streamseg.encode.sink import OutputKind, OutputRequest, RenderedPicture, SinkCounters
from streamseg.encode.stream.encoder import StreamSettings
from streamseg.encode.stream.push import Pusher, PushState
from streamseg.encode.stream.shared import SharedStream
from streamseg.errors import OutputError

__all__ = ["PushSink", "settings_of", "without_sound"]

_FIRST = 12.0
"""Seconds for which the first picture of a film waits for the server."""


def settings_of(name: str, codec: str, crf: float | None) -> StreamSettings:
    """How a stream is encoded. Raises OutputError for another codec than H.264, or a quality that it does not have."""
    if codec not in ("auto", "h264", "libx264", "h264_nvenc"):
        raise OutputError(f"{name}: a stream is H.264, which all servers and players take; leave out --codec {codec}")
    if crf is None:
        return StreamSettings()
    if not 0 <= crf <= 51:
        raise OutputError(f"{name}: crf {crf:g} is out of range for h264; allowed: 0 (best) to 51")
    return StreamSettings(crf=round(crf))


def without_sound(name: str, info: SourceInfo) -> list[str]:
    """What to say where a source has sound, which is left out."""
    there = any(stream.type == "audio" for stream in info.streams)
    return [f"{name}: the sound is left out: a stream has pictures alone"] if there else []


class PushSink(OutputKind):
    """Pushes the pictures to a media server (rtsp, rtmp, srt, udp, whip)."""

    def __init__(self, address: str, info: SourceInfo, settings: StreamSettings, *, gpu: bool = False) -> None:
        self.counters = SinkCounters()
        self._info, self._settings, self._gpu = info, settings, gpu
        self._stream = SharedStream(address, settings, gpu=gpu)
        self._stream.about = info
        self._pusher = Pusher(self._stream, address, self._hear)
        self.warnings: list[str] = without_sound(self.name, info)
        self._begun: tuple[float, float] | None = None
        self._open = False

    @classmethod
    def make(cls, request: OutputRequest) -> PushSink:
        """See OutputKind."""
        address = str(request.path)
        return cls(address, request.info, settings_of(address, request.codec, request.crf), gpu=request.gpu)

    @property
    def name(self) -> str:
        """The address, without credentials."""
        return self._pusher.target.name

    def open(self) -> None:
        """Begin to connect, with the first picture."""
        if self._open:
            return
        self._open = True
        self._pusher.start()

    def _hear(self, state: PushState, reason: str) -> None:
        said = f"{self.name}: {reason}; it is tried again"
        if state == "waiting" and said not in self.warnings and len(self.warnings) < 20:
            self.warnings.append(said)

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Push one picture; the server is not waited for. Raises OutputError where the first one of a film cannot be pushed."""
        frame, live = rendered.result.frame, self._info.live
        if self._begun is None:
            self._stream.put(rendered)
            if not live and not self._pusher.wait(_FIRST):
                raise OutputError(f"{self.name}: {self._pusher.reason or 'the server did not answer'}")
            self._begun = time.monotonic(), frame.time
        else:
            if not live:
                time.sleep(max(0.0, self._begun[0] + frame.time - self._begun[1] - time.monotonic()))
            self._stream.put(rendered)
        self.counters.frames += 1
        self.counters.bytes = self._pusher.bytes
        if self._stream.failed:
            raise OutputError(f"{self.name}: {self._stream.failed}")

    def close(self) -> None:
        """Say farewell to the server. Raises OutputError if it never took anything."""
        if not self._open:
            return
        self._open = False
        self._pusher.close()
        self._stream.close()
        self.counters.bytes = self._pusher.bytes
        self.counters.dropped = max(0, self.counters.frames - self._pusher.pictures)
        if self.counters.frames and not self._pusher.connections:
            raise OutputError(f"{self.name}: nothing was pushed: {self._pusher.reason or 'the server did not answer'}")

    def abort(self) -> None:
        """End at once."""
        self._open = False
        self._pusher.close()
        self._stream.close()
