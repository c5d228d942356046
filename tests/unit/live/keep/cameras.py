"""A camera for tests of recordings: a film's packets, given to a recorder as if they came from now on at their own speed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from streamseg.live.keep.recorder import CameraRecorder
from streamseg.live.keep.shelf import Recorded
from tests import clips


def film(
    path: Path, seconds: float = 4, *, b_frames: int = 0, audio: bool = True, first: int = 0, codec: str = "libx264"
) -> Path:
    """25 pictures a second that spell their number, a key frame each second, and a tone."""
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    video = clips.Video(
        gop=25, b_frames=b_frames, codec=codec, pix_fmt=pix_fmt, options={"sc_threshold": "0"} if codec == "libx264" else {}
    )
    times = range(round(25 * seconds))
    return clips.write(path, times, Fraction(1, 25), video, rate=Fraction(25), audio=audio, first_index=first)


def play(
    recorder: CameraRecorder, path: Path, at: float, *, until: float = 1e9, ends: str | None = "the camera is gone"
) -> float:
    """Give the packets of a film whose first one comes at `at`; when the last one came."""
    came = at
    with av.open(str(path)) as container:
        recorder.feed.opened(tuple(container.streams))
        for packet in container.demux():
            if packet.size:
                seconds = float((packet.dts or 0) * packet.time_base)
                if seconds >= until:
                    break
                came = at + max(0.0, seconds)
                recorder.feed.packet(packet, came)
        if ends is not None:
            recorder.feed.ended(ends)
    return came


@dataclass
class Notes:
    """A ledger that keeps what it is told."""

    files: list[Recorded] = field(default_factory=list)
    gaps: list[tuple[float, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def recorded(self, recorded: Recorded) -> None:
        self.files.append(recorded)

    def gap(self, camera: str, begin_utc: float, end_utc: float, reason: str) -> None:
        self.gaps.append((end_utc - begin_utc, reason))

    def shows(self, path: Path, event: str) -> None:
        assert path in self.clips
        self.late.append(event)

    def warn(self, camera: str, text: str) -> None:
        self.said.append(text)

    def make_room(self, path: Path) -> bool:
        return False

    @property
    def paths(self) -> list[Path]:
        return [each.path for each in self.files if not each.clip]

    @property
    def clips(self) -> list[Path]:
        return [each.path for each in self.files if each.clip]


def numbers(path: Path, *, damaged: bool = False) -> list[int]:
    """What the pictures of a recording spell; `damaged`: up to where it can be decoded."""
    seen = []
    try:
        with av.open(str(path)) as container:
            seen.extend(clips.read_index(clips.plane_array(picture)) for picture in container.decode(video=0))
    except av.InvalidDataError:
        if not damaged:
            raise
    return seen


def now() -> float:
    return time.monotonic()


def settle(recorder: CameraRecorder) -> None:
    """Wait until all that it was given is dealt with."""
    deadline = time.monotonic() + 10
    while not recorder.idle:
        assert time.monotonic() < deadline, "the recorder does not come to an end"
        time.sleep(0.01)
