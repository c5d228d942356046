"""Film: what was found in a film, as a person edited it: whom a selection means there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from streamseg.core import masks
from streamseg.core.overlaps import front_first
from streamseg.core.types import Instances
from streamseg.edits.applied import Applied
from streamseg.edits.edits import Edits
from streamseg.edits.fit import check, there_are
from streamseg.errors import ConfigError
from streamseg.errors.describe import classes_known, did_you_mean
from streamseg.record import FrameRecord, Results, TrackSummary
from streamseg.record.tracks import Summing
from streamseg.select import Selection
from streamseg.select.terms import All, And, At, Largest, Name, Not, Nothing, Or, Term, Track, quoted

__all__ = ["Film"]

_NEAR = 10.0
"""Seconds around a time in which something is looked for under a point."""


class Film:
    """A results file with edits made on it.

    film = Film(streamseg.open_results("film.streamseg"), streamseg.Edits.read("film.streamseg.json"))
    film.resolve("Anna, largest car")   # Selection('#3 or #12')
    """

    def __init__(
        self,
        results: Results,
        edits: Edits | None = None,
        classes: Collection[str] | None = None,
        also: Collection[int] = (),
    ) -> None:
        """`classes`: those that are shown, None: all; `also`: tracks that are shown whatever their class.

        Raises ConfigError where the edits do not fit.
        """
        found = results.tracks()
        self.results, self.edits, self.classes = results, Edits() if edits is None else edits, classes
        self.also: frozenset[int] = frozenset(also)
        check(self.edits, results, found)
        self.applied = Applied(self.edits, found, results.class_names)
        self.frame_area: int = _area(results)
        """Pixels of the film's first frame; 0: it has none."""
        self.found: tuple[TrackSummary, ...] = found
        """Its tracks before the edits."""
        self.tracks: tuple[TrackSummary, ...] = self._summed() if self.edits else found
        """Its tracks as they are after them, by falling area."""
        self.tracks = tuple(t for t in self.tracks if classes is None or t.name in classes or t.track_id in self.also)

    def _summed(self) -> tuple[TrackSummary, ...]:
        results = self.results
        summing = Summing(results.class_names, results.time_base)
        for columns in results.columns():
            values = self.applied.columns(columns.values, float(columns.pts * results.time_base))
            summing.add(replace(columns, values=values))
        return summing.tracks()

    def words(self, track: TrackSummary) -> str:
        """How a selection calls a track: by the name that a person gave it, else as `person#3`."""
        name = self.edits.names.get(track.track_id)
        return quoted(name) if name else f"{quoted(track.name)}#{track.track_id}"

    def records(self) -> Iterator[FrameRecord]:
        """Its frames, edited, in order."""
        return map(self.edited, self.results)

    def edited(self, record: FrameRecord) -> FrameRecord:
        """One frame's record, edited."""
        return replace(record, instances=self.applied.instances(record.instances, record.time))

    # --- selections ---------------------------------------------------------------------------------------------------------------

    def resolve(self, selection: Selection | str, within: Selection | None = None) -> Selection:
        """The same selection, of classes and tracks alone. `within`, which is resolved: `largest` is the largest of these.

        Raises ConfigError for a track or a name that there is not, and for `at` where nothing is.
        """
        tracks = [track for track in self.tracks if within is None or _means(within.term, track)]
        return Selection.of(Selection.parse(selection).term.changed(lambda term: self._resolved(term, tracks)))

    def tracks_of(self, selection: Selection | str) -> list[TrackSummary]:
        """The tracks that a selection means, by falling area: as `resolve`."""
        term = self.resolve(selection).term
        return [track for track in self.tracks if _means(term, track)]

    def _resolved(self, term: Term, tracks: Sequence[TrackSummary]) -> Term:
        match term:
            case Name(name):
                return self._named(name)
            case Track(number, name):
                return self._track(number, name)
            case Largest(name):
                return self._largest(name, tracks)
            case At():
                return Track(self.under(term.time, term.x, term.y))
        return term

    def _named(self, name: str) -> Term:
        edits, classes = self.edits, self.results.class_names
        if name in classes:
            return Name(name)
        given = {called: track for track, called in edits.names.items()}
        if name in given:
            return Track(given[name])
        if name in edits.selections:
            return self.resolve(edits.selections[name]).term
        names = [*given, *edits.selections]
        hint = did_you_mean(name, names)
        known = hint or f"; {classes_known(name, classes)}"
        raise ConfigError(f"{quoted(name)} is neither a class nor a name that was given{known}")

    def _track(self, number: int, name: str) -> Term:
        kept = next((group[0] for group in self.edits.merges if number in group), number)
        if number in self.edits.forbidden:
            raise ConfigError(f"track {number} is forbidden by the edits of this film")
        found = next((track for track in self.tracks if track.track_id == kept), None)
        if found is None:
            gone = next((track for track in self.found if track.track_id == kept), None)
            if gone is not None and self.classes is not None and gone.name not in self.classes:
                shown = ", ".join(self.classes)
                raise ConfigError(f"track {number} is a {gone.name}, and shown are {shown} alone")
            raise ConfigError(f"there is no track {number}: {there_are([track.track_id for track in self.tracks])}")
        if name and name != found.name and name != self.edits.names.get(kept):
            raise ConfigError(
                f"track {number} is a {found.name}, not a {name}; write {quoted(found.name)}#{number}, or #{number}"
            )
        return Track(kept)

    def _largest(self, name: str, tracks: Sequence[TrackSummary]) -> Term:
        if name and name not in self.results.class_names:
            raise ConfigError(
                f"largest {quoted(name)}: there is no such class; {classes_known(name, self.results.class_names)}"
            )
        found = next((track for track in tracks if not name or track.name == name), None)
        if found is None:
            raise ConfigError(f"largest: no {name or 'object'} was found that is followed in this film")
        return Track(found.track_id)

    # --- points -------------------------------------------------------------------------------------------------------------------

    def under(self, time: float, x: float, y: float) -> int:
        """The track that is in front at a point (pixels) at a time (seconds). Raises ConfigError, which says what is near."""
        where = str(At(time, x, y))
        record = self._record_at(time, where)
        if not (0 <= x < record.width and 0 <= y < record.height):
            raise ConfigError(f"{where}: the picture is {record.width}x{record.height} pixels, from 0,0")
        found = self._front(record, x, y)
        if found:
            return found
        when = f"frame {record.index}, {record.time:.3f} s"
        near = [*self._near_in_place(record, x, y), *self._near_in_time(record, x, y)]
        raise ConfigError(f"{where}: nothing is there ({when}). {'; '.join(near) if near else 'Nothing is near either'}")

    def _record_at(self, time: float, where: str) -> FrameRecord:
        results = self.results
        if not len(results):
            raise ConfigError(f"{where}: the film has no frames")
        first, last = float(results.pts[0] * results.time_base), float(results.pts[-1] * results.time_base)
        try:
            record = self.edited(results.at(time + 1e-9))
        except IndexError:
            raise ConfigError(f"{where}: the film begins at {first:.3f} s") from None
        end = record.time + float(record.duration * record.time_base)
        if time > last and time >= end - 1e-9:
            raise ConfigError(f"{where}: the film ends at {end:.3f} s")
        return record

    def _front(self, record: FrameRecord, x: float, y: float) -> int:
        """The track in front at a point; 0: nothing that is followed and shown."""
        found = self._shown(record.instances)
        for i in front_first(found).tolist():
            if found.track_ids[i] and _covers(found, i, x, y, record.width, record.height):
                return int(found.track_ids[i])
        return 0

    def _shown(self, found: Instances) -> Instances:
        if self.classes is None:
            return found
        pairs = zip(found.names, found.track_ids.tolist(), strict=True)
        return found[np.array([name in self.classes or track in self.also for name, track in pairs], np.bool_)]

    def _near_in_place(self, record: FrameRecord, x: float, y: float) -> Iterator[str]:
        """The nearest three of the frame, by their boxes."""
        found = self._shown(record.instances)
        near = []
        for i, (x0, y0, x1, y1) in enumerate(found.boxes.tolist()):
            aside = max(x0 - x, x - x1, 0.0), max(y0 - y, y - y1, 0.0)
            if found.track_ids[i]:
                near.append((float(max(aside)), i, ((x0 + x1) / 2, (y0 + y1) / 2)))
        for away, i, (to_x, to_y) in sorted(near)[:3]:
            far = f"{away:.0f} pixels away" if away >= 1 else "around this point, which its mask leaves out"
            name = self.edits.names.get(int(found.track_ids[i]), f"{found.names[i]}#{found.track_ids[i]}")
            yield f"{name} is {far}; its middle is at {to_x:.0f},{to_y:.0f}"

    def _near_in_time(self, record: FrameRecord, x: float, y: float) -> Iterator[str]:
        """What is there before and after, within `_NEAR` seconds."""
        results = self.results
        times = [float(pts * results.time_base) for pts in results.pts]
        at = min(range(len(times)), key=lambda i: abs(times[i] - record.time))
        for way, word in ((-1, "until"), (1, "from")):
            step = at + way
            while 0 <= step < len(times) and abs(times[step] - record.time) <= _NEAR:
                there = self.edited(results[int(results.numbers[step])])
                if track := self._front(there, x, y):
                    name = next(self.words(each) for each in self.tracks if each.track_id == track)
                    yield f"at this point is {name} {word} {there.time:.3f} s"
                    break
                step += way


def _area(results: Results) -> int:
    for columns in results.columns():
        return columns.width * columns.height
    return 0


def _covers(found: Instances, i: int, x: float, y: float, width: int, height: int) -> bool:
    """Whether an instance's mask covers the pixel in which a point lies; its box, where there are no masks."""
    x0, y0, x1, y1 = found.boxes[i].tolist()
    if not (x0 <= x < x1 and y0 <= y < y1):
        return False
    if not found.has_masks:
        return True
    (left, top, right, bottom), soft = masks.paste(found.grids[i], found.boxes[i], width, height)
    column, row = int(x) - left, int(y) - top
    return 0 <= column < right - left and 0 <= row < bottom - top and bool(soft[row, column] >= 128)


def _means(term: Term, track: TrackSummary) -> bool:
    """Whether a resolved term means a track, by the class that it has in most frames."""
    match term:
        case All():
            return True
        case Name(name):
            return track.name == name
        case Track(number):
            return track.track_id == number
        case Not(inner):
            return not _means(inner, track)
        case And(terms):
            return all(_means(each, track) for each in terms)
        case Or(terms):
            return any(_means(each, track) for each in terms)
    assert isinstance(term, Nothing)
    return False
