"""The files of a trip, read one after the other as one source with one clock.

One file is open at a time, beside the first, whose streams stand for those of all; the beginning of the next one is looked at
meanwhile. A file goes on where the one before ended, unless their clocks tell that more than about a second is missing: then the
pause is kept, and a new epoch begins. Pictures and sound that a file repeats are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from streamseg.decode.address import Address, limits
from streamseg.decode.container import open_container
from streamseg.decode.demux import demux
from streamseg.decode.ending import Guarded
from streamseg.decode.faults import AV_ERRORS, fault
from streamseg.decode.joint import Beginning, Peek, Sketch, repeated, sketch
from streamseg.decode.passthrough import PassThroughHub
from streamseg.decode.picture import DecodedPicture
from streamseg.decode.reader import PacketReader
from streamseg.decode.shared import SharedState
from streamseg.errors import NoVideo, SourceError, SourceNotFound, Unreadable
from streamseg.trip import Part

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

    Packet = av.Packet[Any]

__all__ = ["JoinedReader", "Joint"]

MISSING = 1.5
"""Seconds between two files, by clocks of whole seconds, from which on something is missing."""
OVERLAP = 2.0
"""Seconds by which clocks say that two files overlap, from which on that is believed where the pictures do not tell."""
LONGEST = 6 * 3600.0
"""Seconds: a longer pause, such as a night, or years until a clock was set, is made one of a second."""
_TAIL = 4.0
"""Seconds at the end of a file whose pictures are remembered, at least."""
_MOST_SKETCHES = 480
_DAMAGE = (Unreadable, NoVideo, SourceNotFound)


@dataclass(frozen=True, slots=True)
class Joint:
    """Where a file begins in the trip."""

    at: float
    """Seconds of the trip's clock."""
    shift: float
    """Seconds from the file's own clock to that of the trip."""
    part: Part


class JoinedReader:
    """Pictures of the files of a trip."""

    def __init__(self, address: Address, shared: SharedState, timeout: float) -> None:
        """`address`: of the trip."""
        self._shared, self._timeout = shared, timeout
        self._parts = list(address.parts)
        self.first: InputContainer | None = None
        """The first file's, whose streams are those of the trip; the caller closes it."""
        self.joints: list[Joint] = []
        """Of the files so far; it grows while they are read."""
        self._open: InputContainer | None = None
        self._at = 0
        """Which file is read."""
        self._end: Fraction | None = None
        """When the last picture so far ends, seconds of the trip."""
        self._shown = self._step = Fraction(0)
        """When it is shown, and how long after the one before."""
        self._tail: deque[tuple[Fraction, Sketch]] = deque(maxlen=_MOST_SKETCHES)
        """The last pictures, and when they are shown."""
        self._size = (0, 0)
        """Width and height of the last picture, as stored."""
        self._sound: dict[int, Fraction] = {}
        """Where each stream of sound has come to, seconds of the trip."""
        self._said = set[str]()
        self._peeked: Peek | None = None

    def open(self) -> PacketReader:
        """The reader of the first file that can be read; those before are left out, and said. Raises the error of the last one."""
        problem: SourceError | None = None
        for number in range(len(self._parts)):
            try:
                reader, container = self._reader(number)
            except _DAMAGE as error:
                problem = error
                self._say(f"{error}: left out")
                continue
            self.first = container
            self._at = number
            return reader
        assert problem is not None
        raise problem

    def pictures(self, reader: PacketReader) -> Iterator[DecodedPicture]:
        """Those of all files; `reader`: what `open` gave. Files that cannot be read, or break off, are said."""
        broken = False
        drop, before = 0, None
        shift = Fraction(0)
        while True:
            part = self._parts[self._at]
            peek = self._peek()
            begin: Fraction | None = None
            packets = Guarded(demux(reader.container))
            for picture in reader.pictures(packets):
                time = None if picture.pts is None else picture.pts * picture.time_base
                if begin is None:
                    begin = time if time is not None else shift
                    self.joints.append(Joint(float(begin), float(shift), part))
                if drop > 0 or (before is not None and time is not None and time < before):
                    drop -= 1
                    continue
                drop, before = 0, None
                picture.broken |= broken
                broken = False
                self._note(picture, time, part, begin)
                yield picture
            if self._shared.stopped():
                return
            self._judge(reader, packets.problem)
            self._close_part()
            found = self._next(peek, part, begin)
            if found is None:
                return
            reader, shift, drop, before, broken = found

    def _next(
        self, peek: Peek | None, part: Part, begin: Fraction | None
    ) -> tuple[PacketReader, Fraction, int, Fraction | None, bool] | None:
        """The reader of the next file that can be read, how its clock is shifted, how many pictures are repeated, the time before
        which they are, and whether something is missing before it; None: there is none."""
        while peek is not None and not self._shared.stopped():
            self._at += 1
            now = self._parts[self._at]
            seen = peek.result()
            if seen.problem is None:
                try:
                    reader, _ = self._reader(self._at)
                except _DAMAGE as error:
                    seen.problem = error
                else:
                    return reader, *self._place(reader, seen, part, now, begin)
            self._say(f"{seen.problem}: left out")
            peek = self._peek()
        return None

    def _place(
        self, reader: PacketReader, seen: Beginning, part: Part, now: Part, begin: Fraction | None
    ) -> tuple[Fraction, int, Fraction | None, bool]:
        """Put the next file on the trip's clock, and say what of it is repeated."""
        end = self._end if self._end is not None else Fraction(0)
        gap = self._gap(part, now, float(end - begin) if begin is not None else 0.0)
        drop, before, broken, at = 0, None, now.clock_set, end
        if gap is not None and gap > MISSING:
            if gap > LONGEST:
                self._say(
                    f"{now.path.name}: begins {gap / 3600:.1f} h after {part.path.name} ends; the pause is made one of 1 s"
                )
                gap = 1.0
            at, broken = end + Fraction(round(gap * 1000), 1000), True
        elif not broken:
            drop = repeated([each for _, each in self._tail], seen.head) if seen.size == self._size else 0
            if drop:
                at = end - drop * self._step
            elif gap is not None and gap < -OVERLAP:
                at, before = end + Fraction(round(gap * 1000), 1000), end
        shift = at - seen.first
        self._shared.splicer.begin_at(shift)
        reader.log.shift = float(shift)
        if broken:
            self._tail.clear()
        return shift, drop, before, broken

    @staticmethod
    def _gap(part: Part, now: Part, lasted: float) -> float | None:
        """Seconds from where a file really ended to where the next one begins, by the recorder's clock; None: it does not tell."""
        if now.follows:
            return max(0.0, (part.lasts or 0.0) - lasted) if part.lasts is not None and part.lasts - lasted > MISSING else 0.0
        if now.clock_set or part.start is None or now.start is None:
            return None
        return now.start - part.start - lasted

    def _note(self, picture: DecodedPicture, time: Fraction | None, part: Part, begin: Fraction) -> None:
        """Remember where the trip has come to, and what the last pictures of a file look like."""
        if time is not None:
            if self._end is not None and time > self._shown:
                self._step = time - self._shown if time - self._shown < 1 else self._step
            lasts = picture.duration * picture.time_base
            self._shown, self._end = time, time + (self._step or lasts or Fraction(1, 25))
        self._size = picture.image.width, picture.image.height
        window = self._remembered(part)
        ends = part.lasts is None or time is None or float(time - begin) > part.lasts - window
        if ends and window and (seen := sketch(picture.image)) is not None:
            self._tail.append((self._shown, seen))
            while float(self._shown - self._tail[0][0]) > window:
                self._tail.popleft()

    def _remembered(self, part: Part) -> float:
        """Seconds at the end of a file whose pictures are remembered: a little more than the next one repeats by its clock."""
        if self._at + 1 >= len(self._parts):
            return 0.0
        gap = self._gap(part, self._parts[self._at + 1], part.lasts or 0.0)
        return max(_TAIL, min(15.0, 2.0 - (gap or 0.0)))

    def _judge(self, reader: PacketReader, problem: BaseException | None) -> None:
        try:
            reader.judge_end(problem)
        except Unreadable as error:
            more = "; the trip goes on with the next file" if self._at + 1 < len(self._parts) else ""
            self._say(f"{error}{more}")

    def _peek(self) -> Peek | None:
        """A look at the next file; None: there is none."""
        number = self._at + 1
        self._peeked = Peek(_address(self._parts[number]), self._timeout) if number < len(self._parts) else None
        return self._peeked

    def _reader(self, number: int) -> tuple[PacketReader, InputContainer]:
        address = _address(self._parts[number])
        problem: SourceError | None = None
        try:
            container = open_container(address, self._timeout, accel=self._shared.accel)
        except _DAMAGE:
            raise
        except AV_ERRORS as error:
            found = fault(error, address.name)
            problem = found if isinstance(found, SourceError) else Unreadable(str(found))
        if problem is not None:
            raise problem
        if self.first is not None:
            self._open = container
        try:
            return PacketReader(container, replace(self._shared, address=address, hub=_Rehung(self))), container
        except SourceError:
            container.close()
            self._open = None
            raise

    def _say(self, text: str) -> None:
        self._shared.warnings.append(text)

    def _close_part(self) -> None:
        container, self._open = self._open, None
        if container is not None:
            container.close()

    def close(self) -> None:
        """Close what is open but the first file."""
        self._close_part()
        if self._peeked is not None:
            self._peeked.close()

    def offer(self, packet: Packet) -> None:
        """Pass on a packet of a file that is not the first, as one of the stream of the first that is like its own."""
        if self._open is not None and self.first is not None:
            stream = _like(packet.stream, self.first)
            if stream is None:
                self._say_once(f"its {packet.stream.type} is other than in the first file, and left out")
                return
            packet.stream = stream
        if packet.stream.type == "audio" and self._heard(packet):
            return
        self._shared.hub.offer(packet)

    def _heard(self, packet: Packet) -> bool:
        """Whether the sound of a packet was there already, at the end of the file before."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None:
            return False
        begin, lasts = ticks * packet.time_base, (packet.duration or 0) * packet.time_base
        end = self._sound.get(packet.stream_index)
        if end is not None and begin + lasts / 2 < end:
            return True
        self._sound[packet.stream_index] = begin + lasts
        return False

    def _say_once(self, what: str) -> None:
        """`what` is of a file, and probably of all after it."""
        if what not in self._said:
            self._said.add(what)
            self._say(f"{self._parts[self._at].path.name}: {what}")


class _Rehung(PassThroughHub):
    """Takes the packets of a file, and passes on those that go on where the sound, or the text, of the one before ended."""

    def __init__(self, joined: JoinedReader) -> None:
        super().__init__()
        self._joined = joined

    def offer(self, packet: Packet) -> None:
        self._joined.offer(packet)


def _address(part: Part) -> Address:
    path = part.path
    return Address("file", f"file:{path.resolve()}", str(path), "file", options=limits("file"))


def _like(stream: Stream, first: InputContainer) -> Stream | None:
    """The stream of the first file that one of another file goes on with: of its kind and codec, sound of its rate and layout."""
    own = [s for s in stream.container.streams if s.type == stream.type]
    others = [s for s in first.streams if s.type == stream.type]
    at = next((i for i, s in enumerate(own) if s.index == stream.index), 0)
    if at >= len(others):
        return None
    other = others[at]
    return other if _kind(other) == _kind(stream) else None


def _kind(stream: Any) -> tuple[Any, ...]:
    context = stream.codec_context
    if context is None:
        return (stream.type,)
    if stream.type == "audio":
        return context.name, context.sample_rate, context.layout.name
    return (context.name,)
