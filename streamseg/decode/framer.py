"""Makes frames of decoded pictures: gives them times and numbers, turns them upright, completes colour tags, cuts to the span."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

import av
from av.codec.hwaccel import HWAccel

from streamseg.core.types import Frame
from streamseg.decode.header import Header
from streamseg.decode.picture import DecodedPicture
from streamseg.decode.timeline import DecodeCounters, Timeline
from streamseg.decode.wallclock import WallClock
from streamseg.errors import StreamsegError
from streamseg.pixels import sidedata
from streamseg.pixels.fields import FieldOrder
from streamseg.pixels.orient import UPRIGHT, Orientation, display_orientation, turn
from streamseg.pixels.picture import AnyPicture
from streamseg.pixels.planes import supported

__all__ = ["Framer", "HardwareDecoding"]


class HardwareDecoding(Protocol):
    """Decodes on a GPU where it can, and puts pictures there; `streamseg.gpu.DeviceDecoding` is the one that we have."""

    @property
    def accel(self) -> HWAccel | None:
        """What to open the source with; None: the CPU decodes."""

    def give_up(self, reason: str) -> bool:
        """Decode this source on the CPU after all, if that is allowed; False: it is not."""

    def close(self) -> None:
        """Let go of what belongs to the decoder. Twice is harmless."""

    def __call__(self, picture: av.VideoFrame, orientation: Orientation, /, *, fresh: bool) -> AnyPicture:
        """The picture, upright, where it is to live. Raises SourceError."""


class Framer:
    """Makes the frames of one run.

    header, origin: of the source; origin is the pts of its first picture. start, duration: seconds from there; None: to the end.
    hardware: turns a picture upright and puts it where frames are to live; None: they stay in host memory.
    before: so many pictures of the source are shown before the first one given to `frames`. mount: how to turn pictures beyond what
    they ask for themselves.
    """

    def __init__(
        self,
        header: Header,
        origin: int,
        start: Fraction,
        duration: Fraction | None,
        counters: DecodeCounters,
        warnings: list[str],
        hardware: HardwareDecoding | None = None,
        before: int = 0,
        mount: Orientation = UPRIGHT,
    ) -> None:
        self._header = header
        self._hardware = hardware
        self._mount = mount
        self._origin = origin
        self._counters = counters
        self._warnings = warnings
        self._timeline = Timeline(header.time_base, header.rate, counters)
        self.first = origin + -(-start // header.time_base) if start else None
        """The lowest pts that is wanted, None if all are."""
        self.before_first: float | None = None
        """When the last picture before the span begins, seconds from the source's first one; None if there is none."""
        self._duration = duration
        self.end = None if duration is None or header.live else origin + (start + duration) / header.time_base
        """The pts from which on nothing is wanted, None if there is no end (live: until `begin_with` says where it begins)."""
        self.orientation: Orientation = UPRIGHT
        """How the last picture was turned."""
        self._wall = self._wall_clock()
        self._epoch = 0
        self._before, self._left_out = before, 0
        self._shape: tuple[int, int, str] | None = None
        self._last = 0
        self._began: float | None = None
        self._rotation: int | None = None
        self._interlaced: bool | None = None
        self._sideways = False
        self._cut = False
        self._lasts = Fraction(0)
        """How long the last picture says that it lasts, seconds."""
        self.beside: tuple[sidedata.Kept, ...] | None = None
        """What libav keeps beside the first picture, as decoded."""
        self.picture_metadata: dict[str, str] = {}
        """What the first picture says of itself, as a photo's EXIF."""

    def _wall_clock(self) -> WallClock | None:
        name = self._header.name
        return WallClock(lambda text: self._warnings.append(f"{name}: {text}")) if self._header.live else None

    def frames(self, pictures: Iterable[DecodedPicture]) -> Iterator[Frame]:
        """The frames within the span; ends at the first picture beyond it.

        A frame lasts until the next one. So each is held back until the next comes, unless the source is live or its frames are
        only counted. Durations that containers state are not used: where pictures are reordered, they reach to the next decoded
        one.
        """
        if self._header.live or self._header.counted:
            yield from self._made(pictures)
            return
        held: Frame | None = None
        step = 0
        try:
            for frame in self._made(pictures):
                if held is not None:
                    step = frame.pts - held.pts
                    yield replace(held, duration=step)
                held = frame
        except StreamsegError:
            if held is not None:
                yield held
            raise
        if held is not None:
            yield replace(held, duration=self._last_duration(held, step))

    def _last_duration(self, frame: Frame, step: int) -> int:
        """How long the last frame lasts. step: ticks from the frame before it; 0: there was none."""
        time_base, end = self._header.time_base, self._header.end
        until = None if self.end is None else round(self.end) - frame.pts
        if until is not None and self._cut:
            return until
        if end is not None and end / time_base > frame.pts and not self._counters.jumps + self._counters.ended_early:
            lasts = round(end / time_base) - frame.pts
        else:
            # A wrong one is that of a picture before a pause.
            lasts = min((d for d in (frame.duration, step) if d > 0), default=0)
        return lasts if until is None else min(lasts, until)

    def _made(self, pictures: Iterable[DecodedPicture]) -> Iterator[Frame]:
        time_base = self._header.time_base
        for index, picture in enumerate(self._with_first_pts(pictures), self._before):
            pts, synthetic, jumped = self._stamp(picture)
            if self.end is not None and pts >= self.end:
                self._cut = True
                return
            if self.first is not None and pts < self.first:
                self.before_first = float((pts - self._origin) * time_base)
                continue
            corrupt = bool(picture.image.is_corrupt)
            image = self._upright(picture.image, anew=picture.broken or jumped)
            self._count(image, pts, picture.broken or jumped, away=bool(picture.lost))
            self._counters.corrupt += corrupt
            duration = 1 if self._header.counted else round(picture.duration * picture.time_base / time_base)
            order = self._field_order(picture, pts)
            arrived = time.monotonic() if picture.arrived is None else picture.arrived
            came, utc = arrived if picture.came is None else picture.came, None
            if self._wall is not None:
                utc = self._wall.utc(float(pts * time_base), came, picture.told, self._epoch)
            yield Frame(
                image,
                index - self._left_out,
                pts,
                time_base,
                duration,
                self._epoch,
                arrived,
                synthetic,
                corrupt,
                order,
                utc,
                picture.lost,
            )

    def begin_with(self, frame: Frame) -> Frame:
        """Live: let `frame` be the first one that is given. Frame numbers, the duration and arrival times count from it."""
        time_base = self._header.time_base
        if self._header.by_arrival:
            self._began = frame.arrived
            self._timeline = Timeline(time_base, self._header.rate, self._counters)
            self._timeline.stamp(0, time_base)
            self._last = 0
            self._wall = self._wall_clock()
        first = replace(frame, index=0, pts=0 if self._header.by_arrival else frame.pts)
        self._left_out += frame.index
        self._counters.gaps = 0  # what was left out before is no loss of the source's
        self.end = None if self._duration is None else first.pts + self._duration / time_base
        return first

    def _with_first_pts(self, pictures: Iterable[DecodedPicture]) -> Iterator[DecodedPicture]:
        """A first picture without pts gets one from the next: RTSP does not give it before the first sender report."""
        held: DecodedPicture | None = None
        fresh = True
        for picture in pictures:
            if held is not None:
                if picture.pts is not None and not picture.broken:
                    step = picture.duration * picture.time_base or 1 / (self._header.rate or Fraction(25))
                    held.pts, held.time_base, held.guessed = (
                        picture.pts - round(step / picture.time_base),
                        picture.time_base,
                        True,
                    )
                    held.told = None if picture.told is None else picture.told - float(step)
                yield held
                held = None
            if (fresh or picture.broken) and picture.pts is None and not self._header.timeless:
                held = picture
            else:
                yield picture
            fresh = False
        if held is not None:
            yield held

    def _stamp(self, picture: DecodedPicture) -> tuple[int, bool, bool]:
        """(pts, whether it was made up, whether time jumped back)."""
        header = self._header
        if not header.by_arrival:
            told = None if header.counted else picture.pts
            lasted, self._lasts = self._lasts, Fraction(0) if header.timeless else picture.duration * picture.time_base
            pts, synthetic, jumped = self._timeline.stamp(told, picture.time_base, first=self._origin, lasted=lasted)
            made_up = picture.guessed or header.timeless
            self._counters.synthetic_pts += made_up and not synthetic
            return pts, synthetic or made_up, jumped
        now = time.monotonic() if picture.arrived is None else picture.arrived
        self._began = now if self._began is None else self._began
        self._counters.synthetic_pts += 1
        pts, _, _ = self._timeline.stamp(round((now - self._began) / self._header.time_base), self._header.time_base)
        return pts, True, False

    def _field_order(self, picture: DecodedPicture, pts: int) -> FieldOrder | None:
        """The order of the upright picture's fields; says once that films change, and that a quarter turn leaves no fields."""
        order, name = picture.field_order, self._header.name
        if order is not None and self.orientation.transpose:
            if not self._sideways:
                self._sideways = True
                self._warnings.append(
                    f"{name}: interlaced and rotated by 90 degrees: no file can mark fields of columns; use --deinterlace frame"
                )
            return None
        if self._interlaced is False and order is not None:
            at = float(pts * self._header.time_base)
            self._warnings.append(
                f"{name}: progressive at first, interlaced from {at:.2f} s on; --deinterlace frame makes all of it progressive"
            )
            self._interlaced = True
        self._interlaced = order is not None if self._interlaced is None else self._interlaced
        if order is not None and self.orientation.flip_y and picture.image.height % 2 == 0:
            return "bff" if order == "tff" else "tff"
        return order

    def _count(self, image: AnyPicture, pts: int, broken: bool, away: bool) -> None:
        """Begin a new epoch where continuity is lost; count gaps of a live source. away: this is a placeholder."""
        time_base, shape = self._header.time_base, (image.width, image.height, image.format.name)
        if self._shape is not None:
            if shape != self._shape:
                self._counters.format_changes += 1
                at = float(pts * time_base)
                self._warnings.append(
                    f"{self._header.name}: changes to {shape[0]}x{shape[1]} {shape[2]} at {at:.2f} s: a new epoch"
                )
                broken = True
            rate = self._header.rate
            self._counters.gaps += bool(
                self._header.live and rate and not (broken or away) and (pts - self._last) * time_base > 1.5 / rate
            )
            self._epoch += broken
        self._shape, self._last = shape, pts

    def _upright(self, picture: av.VideoFrame, anew: bool) -> AnyPicture:
        """Fill in the stream's colour tags where the picture has none, make its planes plain, and turn it.

        Formats whose planes numpy cannot view are converted here, once, and not by every branch that reads the picture.

        anew: look at its side data. That takes some time, so it is done once an epoch, where the angle changes, and for stills.
        """
        tags = self._header.tags
        if picture.colorspace == 2:
            picture.colorspace = tags.space
        if picture.color_range == 0:
            picture.color_range = tags.range
        if picture.color_primaries == 2:
            picture.color_primaries = tags.primaries
        if picture.color_trc == 2:
            picture.color_trc = tags.transfer
        # The angle of a mirrored photo may be that of one that is not.
        fresh = picture.rotation != self._rotation or anew or self._header.kind == "images"
        if fresh:
            self._rotation = picture.rotation
            if self.beside is None:
                self.beside, self.picture_metadata = sidedata.copies(picture), _metadata(picture)
            orientation = display_orientation(picture)
            if orientation is None:
                self._warnings.append(
                    f"{self._header.name}: its rotation is not a multiple of 90 degrees, so it is not rotated"
                )
            self.orientation = (orientation or UPRIGHT).then(self._mount)
        if self._hardware is not None:
            return self._hardware(picture, self.orientation, fresh=fresh)
        return turn(supported(picture), self.orientation)


def _metadata(picture: av.VideoFrame) -> dict[str, str]:
    """What a picture says of itself, as a photo's EXIF; nothing where that is no text: damaged."""
    try:
        return dict(getattr(picture, "metadata", {}))
    except UnicodeDecodeError:
        return {}
