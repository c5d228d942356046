"""A film that is encoded in parts, each by an encoder of its own, so that a run that was cut off goes on from the last whole part.

Parts have a fixed number of pictures, whether a run is ever cut off or not: what comes out is the same to the byte. Each begins
with a key frame and leans on nothing outside of it. Its packets are kept in a file; the output's container gets them, from that
file, once the part behind it is finished, too. By then all sound and text beside it has come out of the source, also where a file
stores them some seconds apart, so that they are put together in the same order however fast a run is.
"""

from __future__ import annotations

import heapq
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from streamseg.encode.video.containers import container_of
from streamseg.encode.video.encoder import KEYFRAME_SECONDS, Encoder
from streamseg.encode.video.muxer import add_video
from streamseg.encode.video.packet_file import PacketFile, read_packets
from streamseg.errors import OutputError
from streamseg.system.output_files import sha256_of

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from streamseg.core.types import Frame
    from streamseg.encode.video.codecs import Choice
    from streamseg.encode.video.encoder import Described

    Packet = av.Packet[Any]
    from streamseg.encode.sink import Keeper

__all__ = ["EncoderSetup", "PartsEncoder", "SegmentedEncoder", "Whole", "following", "nowhere"]

_MOST = 17
"""Packets: more are held back by no encoder."""


class Whole:
    """Which parts an earlier run has finished and are still as they were; may be asked from two threads."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._known: dict[int, bool] = {}

    def __contains__(self, number: int) -> bool:
        """Whether a part is there, whole; its file is read for that, once."""
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = self._sound(number)
        return known

    def _sound(self, number: int) -> bool:
        digest = self.keeper.digest(name_of(number))
        try:
            return digest is not None and sha256_of(self.keeper.path(name_of(number))) == digest
        except OSError:
            return False


def name_of(number: int) -> str:
    """The name of a part."""
    return f"{number:06d}.packets"


def nowhere(muxer: str) -> Any:
    """A container of FFmpeg's format `muxer` that is never written: an encoder is set up in it as for the real one."""
    return av.open(io.BytesIO(), "w", format=muxer)


@dataclass(frozen=True, slots=True)
class EncoderSetup:
    """How a film is encoded."""

    suffix: str
    """Of the output's name, which says the container."""
    choice: Choice
    picture: av.VideoFrame
    """The first one, drawn."""
    info: Described
    frame: Frame
    """The first one."""
    threads: int
    rate: Fraction
    """As the container stores it, pictures a second."""
    by_key: bool
    """What is written can be played only up to the last key frame: there are more of them."""

    def encoder(self, stream: VideoStream) -> Encoder:
        """One that is set up in a stream of a container. Raises OutputError."""
        made = Encoder(stream, self.choice, self.picture, self.info, self.frame, self.threads)
        if self.by_key:  # what a killed process leaves ends with the last one
            second = stream.codec_context.gop_size // KEYFRAME_SECONDS
            stream.codec_context.gop_size = max(1, min(second, round(self.info.rate or second)))
        return made

    def fresh(self) -> Encoder:
        """One that is set up as in the output, in a container that is never written."""
        container = nowhere(container_of(self.suffix).muxer)
        return self.encoder(add_video(container, self.choice, self.rate, self.frame.time_base))


class SegmentedEncoder:
    """Takes pictures as `Encoder` does, and gives the packets that can be written now."""

    def __init__(
        self, first: Encoder | None, make: Callable[[], Encoder], whole: Whole, time_base: Fraction, name: str
    ) -> None:
        """`first`: set up in the output's container, never given a picture; `make`: a fresh one like it; `name`: of the output."""
        self.first, self._make, self._whole, self._time_base, self._name = first, make, whole, time_base, name
        self._length = whole.keeper.length
        self._pictures = 0
        self._encoder: Encoder | None = None
        self._file: PacketFile | None = None
        self._written = 0
        """Parts that the output has."""
        self._before: list[int] = []
        """The last pts of what it has."""
        self.resized = 0

    def begin_with(self, number: int) -> None:
        """The next picture is the first one of that part."""
        self._pictures = number * self._length

    def finish_last(self) -> None:
        """Keep the part that is under way, full or not: nothing follows. Raises OutputError."""
        number, more = divmod(self._pictures, self._length)
        try:
            if more and number not in self._whole:
                self._finish(number)
        except OSError as error:
            raise self._failed(error) from error

    def encode(self, picture: av.VideoFrame, frame: Frame) -> Iterator[Packet]:
        """The packets that are due after one more picture. Raises OutputError."""
        number, at = divmod(self._pictures, self._length)
        self._pictures += 1
        if number not in self._whole:
            self._add(number, at, picture, frame)
        return self._due(number - 1) if at == self._length - 1 else iter(())

    def _add(self, number: int, at: int, picture: av.VideoFrame, frame: Frame) -> None:
        try:
            if at == 0:
                self._encoder, self._file = self._make(), PacketFile(self._whole.keeper.path(name_of(number)))
            assert self._encoder is not None
            assert self._file is not None
            for packet in self._encoder.encode(picture, frame):
                self._file.write(packet)
            if at == self._length - 1:
                self._finish(number)
        except OSError as error:
            raise self._failed(error) from error

    def _finish(self, number: int) -> None:
        assert self._encoder is not None
        assert self._file is not None
        for packet in self._encoder.flush():
            self._file.write(packet)
        self._whole.keeper.note(name_of(number), self._file.finish())
        self.resized += self._encoder.fit.resized
        self._encoder = self._file = None

    def flush(self) -> Iterator[Packet]:
        """The rest; a last part that is not full is not kept, since more pictures may follow in another run. Raises OutputError."""
        full, more = divmod(self._pictures, self._length)
        if more and full in self._whole:  # made elsewhere, where it was known to be the last one
            full += 1
        yield from self._due(full - 1)
        if self._encoder is None or self._file is None:
            return
        try:
            for packet in self._encoder.flush():
                self._file.write(packet)
            path = self._file.leave()
        except OSError as error:
            raise self._failed(error) from error
        yield from self._packets(path)
        self._encoder = None
        path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Give up the part that is under way."""
        if self._file is not None:
            self._file.discard()

    def _due(self, last: int) -> Iterator[Packet]:
        """The packets of all parts up to number `last` that the output does not have."""
        while self._written <= last:
            yield from self._packets(self._whole.keeper.path(name_of(self._written)))
            self._written += 1

    def _packets(self, path: Path) -> Iterator[Packet]:
        try:
            for packet in following(read_packets(path, self._time_base), self._before):
                if packet.pts is not None:
                    self._before = heapq.nlargest(_MOST, [*self._before, packet.pts])[::-1]
                yield packet
        except (OSError, EOFError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> OutputError:
        return OutputError(f"{self._name}: keeping or reading a part of it failed: {getattr(error, 'strerror', None) or error}")


class PartsEncoder:
    """Makes parts of a film, as a `SegmentedEncoder` makes them, and puts them nowhere."""

    def __init__(self, fresh: Callable[[], Encoder], whole: Whole, time_base: Fraction, name: str, number: int) -> None:
        """number: of the first part."""
        self._parts = SegmentedEncoder(None, fresh, whole, time_base, name)
        self._parts.begin_with(number)

    def __call__(self, picture: av.VideoFrame, frame: Frame) -> None:
        """Encode one more picture. Raises OutputError."""
        self._parts.encode(picture, frame)

    def finish(self) -> None:
        """The film ends here: keep a last part that is not full, too. Raises OutputError."""
        self._parts.finish_last()

    def leave(self) -> None:
        """Give up the part that is under way."""
        self._parts.leave()


def following(packets: Iterator[Packet], before: list[int]) -> Iterator[Packet]:
    """The packets of a part behind pictures whose last pts, rising, are `before`: with the decoding times of one encoder for all.

    An encoder that holds back d pictures decodes each at the time at which the picture d places before it is shown, and guesses for
    the first d, which have none before them. In a part that is not the first one they have.
    """
    if not before:
        yield from packets
        return
    opening: list[Packet] = []
    first = 0
    for packet in packets:
        opening.append(packet)
        first = min((each.pts for each in opening if each.pts is not None), default=0)
        if packet.dts is None or packet.dts >= first or len(opening) > _MOST:
            break
    early = [each for each in opening if each.dts is not None and each.dts < first]
    for packet, shown in zip(early, before[len(before) - min(len(early), len(before)) :], strict=False):
        packet.dts = shown
    yield from chain(opening, packets)
