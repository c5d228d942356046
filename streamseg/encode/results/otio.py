"""OpenTimelineIO: the film on V1 with a marker a track, and on V2 and above a clip a track, so that an editor can jump to each.

Times are pictures at the source's nominal rate, counted from its timecode where it has one. Those of a film of variable rate are
rounded to that. A clip lasts from the first picture of a track to its last; where it was not seen between stands in its metadata
as `gaps`. Crossed lines and entered zones are markers, too. The document is written at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.core.timecode import standard_rate
from streamseg.encode.results.base import FormatSink
from streamseg.errors import MissingExtra
from streamseg.system.output_files import replace_atomically
from streamseg.system.version import installed_version

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.types import Event, Frame

__all__ = ["OtioSink"]

# The seven hues of `core.palette`, by the names that OTIO has for them: a marker looks like the track in an overlay.
_COLORS = ("CYAN", "ORANGE", "GREEN", "PINK", "YELLOW", "BLUE", "RED")
_OFF_GRID = Fraction(1, 10)
"""Pictures by which a frame may be beside the nominal rate's grid; clocks of milliseconds are off by a sixtieth."""


@dataclass(slots=True)
class _Track:
    first: Fraction
    """Seconds, the start of its first picture."""
    last: Fraction
    """Seconds, the end of its last picture so far."""
    at: int
    """Of the last picture: how many the run had before it."""
    frames: int = 0
    score: float = 0.0
    """The sum."""
    votes: dict[str, float] = field(default_factory=dict)
    """Class → sum of scores."""
    gaps: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    """Seconds from and to which it was not seen."""

    @property
    def name(self) -> str:
        """Its class."""
        return max(self.votes, key=lambda name: self.votes[name])


class OtioSink(FormatSink):
    """Writes one `.otio` document, which other editors' formats can be made of by OTIO's adapters."""

    def open(self) -> None:
        """As of files. Raises MissingExtra without the package opentimelineio."""
        try:
            import opentimelineio  # noqa: F401
        except ImportError as error:
            raise MissingExtra("opentimelineio", "edit") from error
        super().open()

    def _begin(self, first: Result) -> None:
        self._first, self._end, self._count = first.frame, Fraction(0), 0
        self._tracks: dict[int, _Track] = {}
        self._events: list[Event] = []
        self._given: dict[int, str] = {}
        self._rate = standard_rate(self._info.rate) if self._info.rate else None
        self._uneven = False

    def _write(self, result: Result) -> None:
        frame, found = result.frame, result.instances
        self._given.update(found.track_names)
        start, self._end = _span(frame, self._rate)
        if self._rate is not None:
            place = (start - _start(self._first)) * self._rate
            self._uneven |= abs(place - round(place)) > _OFF_GRID
        for i, track_id in enumerate(found.track_ids.tolist()):
            if not track_id:
                self._untracked += 1
                continue
            track = self._tracks.setdefault(track_id, _Track(start, start, self._count - 1))
            if track.at < self._count - 1:
                track.gaps.append((track.last, start))
            name, score = found.class_names[found.labels[i]], float(found.scores[i])
            track.last, track.at, track.frames, track.score = self._end, self._count, track.frames + 1, track.score + score
            track.votes[name] = track.votes.get(name, 0.0) + score
        if result.activity is not None:
            self._events += [event for event in result.activity.events if event.kind != "count"]
        self._count += 1

    def _finish(self) -> None:
        import opentimelineio

        if self._uneven:
            self.warnings.append(
                f"{self.name}: the source's rate varies: times are rounded to {float(self._nominal):.6g} pictures a second"
            )
        text = opentimelineio.adapters.write_to_string(self._timeline(), "otio_json")
        data = text.encode()
        replace_atomically(self.path, data)
        self.counters.bytes = len(data)

    @property
    def _nominal(self) -> Fraction:
        """Pictures a second: what the source says, or what it had."""
        if self._rate is not None:
            return self._rate
        seconds = self._end - _start(self._first)
        return standard_rate(Fraction(self._count) / seconds) if seconds > 0 else Fraction(25)

    def _timeline(self) -> Any:
        from opentimelineio import schema

        clock = _Clock(self._nominal, self._first, self._info)
        film = self._film(clock)
        named = {i: self._given.get(i) or f"{track.name}#{i}" for i, track in self._tracks.items()}
        film.markers.extend(self._markers(clock, named))
        lowest = schema.Track(name="V1", kind=schema.TrackKind.Video, children=[film])
        lanes = [
            schema.Track(name=f"V{number}", kind=schema.TrackKind.Video, children=list(self._lane(clock, lane, named)))
            for number, lane in enumerate(_lanes([(i, *clock.pictures(t.first, t.last)) for i, t in self._tracks.items()]), 2)
        ]
        timeline = schema.Timeline(
            name=Path(self._info.name).stem or "film",
            tracks=[lowest, *lanes],
            global_start_time=clock.time(clock.first) if self._info.timecode else None,
            metadata={"streamseg": self._about()},
        )
        return timeline

    def _about(self) -> dict[str, Any]:
        rate, code = self._nominal, self._info.timecode
        about: dict[str, Any] = {"version": installed_version(), "source": self._info.name}
        about |= {"rate": f"{rate.numerator}/{rate.denominator}", "variable_rate": self._uneven, "frames": self._count}
        return about | ({} if code is None else {"timecode": str(code), "drop_frame": code.drop})

    def _film(self, clock: _Clock) -> Any:
        from opentimelineio import schema

        length = max(clock.place(self._end) - clock.first, 1)
        whole = max(round(Fraction(self._info.duration or 0) * clock.rate), clock.first - clock.begin + length)
        path = self._source
        url = self._info.name if path is None else path.resolve().as_uri()
        media = schema.ExternalReference(target_url=url, available_range=clock.range(clock.begin, clock.begin + whole))
        name = Path(self._info.name).name
        return schema.Clip(name=name, media_reference=media, source_range=clock.range(clock.first, clock.first + length))

    def _markers(self, clock: _Clock, named: dict[int, str]) -> Iterator[Any]:
        from opentimelineio import schema

        for i, track in sorted(self._tracks.items(), key=lambda item: (item[1].first, item[0])):
            span = clock.range(*clock.pictures(track.first, track.last))
            yield schema.Marker(
                name=named[i],
                marked_range=span,
                color=_COLORS[(i - 1) % len(_COLORS)],
                metadata={"streamseg": _facts(clock, i, track)},
            )
        for event in self._events:
            at = clock.place(Fraction(event.time).limit_denominator(1_000_000))
            who = named.get(event.track_id, f"{event.name}#{event.track_id}")
            words = " ".join(filter(None, [event.kind, event.place, event.direction]))
            facts = {"event": event.kind, "place": event.place, "direction": event.direction, "track_id": event.track_id}
            facts |= {"class": event.name, "time": event.time, "seconds": event.seconds}
            facts |= {"details": dict(event.details)} if event.details else {}
            yield schema.Marker(
                name=f"{who}: {words}", marked_range=clock.range(at, at + 1), color="WHITE", metadata={"streamseg": facts}
            )

    def _lane(self, clock: _Clock, lane: Sequence[tuple[int, int, int]], named: dict[int, str]) -> Iterator[Any]:
        from opentimelineio import schema

        place = clock.first
        for i, start, end in lane:
            if start > place:
                yield schema.Gap(source_range=clock.range(0, start - place))
            clip = self._film(clock)
            clip.name, clip.source_range = named[i], clock.range(start, end)
            clip.metadata["streamseg"] = _facts(clock, i, self._tracks[i])
            yield clip
            place = end


class _Clock:
    """Pictures of the nominal rate, numbered as the timecode counts them; without one from the film's beginning."""

    def __init__(self, rate: Fraction, first: Frame, info: Any) -> None:
        self.rate, self._zero = rate, _start(first)
        # A frame's number is its place, unless the rate varies: then the time says where it is.
        asked = Fraction(info.start).limit_denominator(1_000_000) * rate
        before = first.index if abs(first.index - asked) <= 1 else round(asked)
        self.first = before if info.timecode is None else info.timecode.number
        """The run's first picture."""
        self.begin = max(self.first - before, 0)
        """The source's first picture."""

    def place(self, seconds: Fraction) -> int:
        """The picture that is nearest to a time."""
        return self.first + round((seconds - self._zero) * self.rate)

    def pictures(self, start: Fraction, end: Fraction) -> tuple[int, int]:
        """First picture, and the one behind the last."""
        return self.place(start), max(self.place(end), self.place(start) + 1)

    def time(self, picture: int) -> Any:
        """As OTIO has it."""
        from opentimelineio.opentime import RationalTime

        return RationalTime(picture, float(self.rate))

    def range(self, start: int, end: int) -> Any:
        """As OTIO has it."""
        from opentimelineio.opentime import TimeRange

        return TimeRange(self.time(start), self.time(end - start))


def _start(frame: Frame) -> Fraction:
    return frame.pts * Fraction(frame.time_base)


def _span(frame: Frame, rate: Fraction | None) -> tuple[Fraction, Fraction]:
    """Seconds from and to which a frame is shown; where it does not say until when, one picture long."""
    start = _start(frame)
    return start, start + (frame.duration * Fraction(frame.time_base) or (1 / rate if rate else Fraction(0)))


def _facts(clock: _Clock, track_id: int, track: _Track) -> dict[str, Any]:
    gaps = [clock.pictures(*gap) for gap in track.gaps]
    return {
        "track_id": track_id,
        "class": track.name,
        "frames": track.frames,
        "mean_score": round(track.score / track.frames, 4),
        "first_time": round(float(track.first), 6),
        "last_time": round(float(track.last), 6),
        "gaps": [[start, end - start] for start, end in gaps],
        "longest_gap": round(max((float(end - start) for start, end in track.gaps), default=0.0), 6),
    }


def _lanes(spans: Sequence[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """(id, start, end) on as few lanes as hold them without overlapping, each in order of time."""
    lanes: list[list[tuple[int, int, int]]] = []
    for span in sorted(spans, key=lambda span: (span[1], span[0])):
        free = next((lane for lane in lanes if lane[-1][2] <= span[1]), None)
        if free is None:
            lanes.append([span])
        else:
            free.append(span)
    return lanes
