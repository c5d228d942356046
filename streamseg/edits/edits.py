"""Edits: names, merges, splits, forbidden tracks and kept selections, as one value that never changes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Self

import numpy as np

from streamseg.edits import file
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.select import Selection
from streamseg.select.terms import RESERVED, Largest, Name, Track
from streamseg.system.unchanging import unchanging

__all__ = ["Edits", "Split"]

_NOT_NAMES = (*RESERVED, "background", "instances")


@unchanging
@dataclass(frozen=True, slots=True)
class Split:
    """From a time on, a track is another object."""

    track: int
    at: float
    """Seconds: the first frame that is shown then or later is the other's."""
    into: int
    """The other's number, which no track has."""


@unchanging
@dataclass(frozen=True, slots=True)
class Edits:
    """What a person decided about the tracks of a film. It never changes: each method gives another.

        edits = streamseg.Edits.read("film.streamseg.json")
        edits.rename(3, "Anna").merge(3, 9).forbid(7).select("hero", "Anna, largest car").save("film.streamseg.json")

    Splits come first, then merges, then names: a part that was split off may be merged and named. Raises ConfigError for what
    contradicts itself; whether it fits a film is checked where it is applied.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    """Track → what the person calls it."""
    merges: tuple[tuple[int, ...], ...] = ()
    """Tracks that are one object, which has the first one's number and class."""
    splits: tuple[Split, ...] = ()
    forbidden: tuple[int, ...] = ()
    """Tracks that are never shown."""
    selections: Mapping[str, Selection] = field(default_factory=dict)
    """Name → which objects."""
    source: Mapping[str, Any] | None = None
    """Key of the film (`record.source_key`) that the numbers are those of; None: it is not said."""
    found: str | None = None
    """Key of how it was found (`edits.fit.found_key`): another model gives tracks other numbers; None: it is not said."""
    classes: Mapping[int, str] = field(default_factory=dict)
    """Track → the class that it is of, where the model took it for another."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """What else stands in the file: not understood, and kept."""

    def __post_init__(self) -> None:
        for name, at in (*((name, f"names: {track}") for track, name in self.names.items()), *_keys(self.selections)):
            _check_name(name, at)
        self._check_numbers()
        self._check_merges()
        self._check_splits()
        self._check_names()

    # --- what a person does -------------------------------------------------------------------------------------------------------

    def rename(self, track: int, name: str) -> Self:
        """Call a track so; "" takes its name away."""
        names = {each: old for each, old in self.names.items() if each != track}
        return replace(self, names=names | ({track: name} if name else {}))

    def relabel(self, track: int, name: str) -> Self:
        """A track is of this class; "" takes that back."""
        classes = {each: old for each, old in self.classes.items() if each != track}
        return replace(self, classes=classes | ({track: name} if name else {}))

    def merge(self, *tracks: int) -> Self:
        """These are one object, which keeps the first one's number; with the merges in which one of them stands already."""
        joined = [group for group in self.merges if set(group) & set(tracks)]
        every = tuple(dict.fromkeys([*(joined[0] if joined and tracks[0] in joined[0] else ()), *tracks, *sum(joined, ())]))
        return replace(self, merges=(*(group for group in self.merges if group not in joined), every))

    def unmerge(self, *tracks: int) -> Self:
        """These are objects of their own again."""
        left = (tuple(track for track in group if track not in tracks) for group in self.merges)
        return replace(self, merges=tuple(group for group in left if len(group) > 1))

    def split(self, track: int, at: float, into: int) -> Self:
        """From `at` seconds on, `track` is another object, number `into`."""
        return replace(self, splits=(*self.splits, Split(track, float(at), into)))

    def unsplit(self, into: int) -> Self:
        """What was split off as `into` belongs to its track again."""
        return replace(self, splits=tuple(each for each in self.splits if each.into != into))

    def forbid(self, *tracks: int) -> Self:
        """Never show these."""
        return replace(self, forbidden=tuple(dict.fromkeys((*self.forbidden, *tracks))))

    def allow(self, *tracks: int) -> Self:
        """Show these again."""
        return replace(self, forbidden=tuple(track for track in self.forbidden if track not in tracks))

    def select(self, name: str, selection: str | Selection) -> Self:
        """Keep a selection under a name; "" takes it away."""
        kept = {each: old for each, old in self.selections.items() if each != name}
        return replace(self, selections=kept | ({name: Selection.parse(selection)} if selection else {}))

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Those of a file, as film.streamseg.json. Raises ConfigError, which names the file and what is wrong."""
        name, found, others = file.read(path)
        try:
            return cls(
                {_number(track): called for track, called in found.names.items()},
                tuple(map(tuple, found.merge)),
                tuple(Split(each.track, each.at, each.into) for each in found.split),
                tuple(found.forbid),
                {called: _selection(called, text) for called, text in found.selections.items()},
                found.source,
                found.found,
                {_number(track): called for track, called in found.classes.items()},
                others,
            )
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error

    def save(self, path: str | PathLike[str]) -> None:
        """Write them to a file, which is whole at every moment, with what others wrote into it. Raises OutputError."""
        file.write(path, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As a file holds them."""
        keys = ({} if self.source is None else {"source": dict(self.source)}) | (
            {} if not self.found else {"found": self.found}
        )
        return keys | {
            "names": {str(track): name for track, name in sorted(self.names.items())},
            **({"classes": {str(track): name for track, name in sorted(self.classes.items())}} if self.classes else {}),
            "merge": [list(group) for group in self.merges],
            "split": [{"track": each.track, "at": each.at, "into": each.into} for each in self.splits],
            "forbid": list(self.forbidden),
            "selections": {name: str(selection) for name, selection in self.selections.items()},
            **self.others,
        }

    def __bool__(self) -> bool:
        """Whether anything is decided."""
        return bool(self.names or self.classes or self.merges or self.splits or self.forbidden or self.selections)

    def named_in(self, selection: Selection) -> tuple[list[str], list[int]]:
        """What a selection names itself: names that may be classes, and tracks, by their numbers or the names given to them."""
        given, merged = {name: track for track, name in self.names.items()}, {t: g[0] for g in self.merges for t in g}
        names, tracks = list[str](), list[int]()
        for term in selection:
            if isinstance(term, Track):
                tracks.append(merged.get(term.track_id, term.track_id))
            elif isinstance(term, Name | Largest) and term.name in given:
                tracks.append(given[term.name])
            elif isinstance(term, Name) and term.name in self.selections:
                inner = self.named_in(self.selections[term.name])
                names, tracks = names + inner[0], tracks + inner[1]
            elif isinstance(term, Name | Largest) and term.name:
                names.append(term.name)
        return list(dict.fromkeys(names)), list(dict.fromkeys(tracks))

    # --- what cannot be -----------------------------------------------------------------------------------------------------------

    def _check_numbers(self) -> None:
        told = [*((track, "names") for track in self.names), *((track, "forbid") for track in self.forbidden)]
        told += [(track, "classes") for track in self.classes]
        told += [(track, "merge") for group in self.merges for track in group]
        told += [(track, "split") for each in self.splits for track in (each.track, each.into)]
        for track, where in told:
            if isinstance(track, bool) or not isinstance(track, int | np.integer) or not 0 < track < 2**63:
                raise ConfigError(f"{where}: {brief(track)} is no track: they have whole numbers from 1 on")

    def _check_merges(self) -> None:
        for group in self.merges:
            if len(set(group)) < 2 or len(set(group)) < len(group):
                raise ConfigError(f"merge: {list(group)}: two tracks or more are merged, each once")
        seen: dict[int, tuple[int, ...]] = {}
        for group in self.merges:
            for track in group:
                if track in seen:
                    both = list(dict.fromkeys((*seen[track], *group)))
                    raise ConfigError(f"merge: track {track} stands in two merges; write one: {both}")
                seen[track] = group
        if twice := sorted(set(seen) & set(self.forbidden)):
            raise ConfigError(f"track {twice[0]} is merged with others, and forbidden; take it out of one of both")

    def _check_splits(self) -> None:
        into = [each.into for each in self.splits]
        for each in self.splits:
            if not 0 <= each.at < 1e9:
                raise ConfigError(f"split: track {each.track}: {brief(each.at)} is not a time in seconds")
            if each.into == each.track or into.count(each.into) > 1:
                raise ConfigError(
                    f"split: track {each.track}: into is {each.into}, which is taken; give it a number of its own"
                )
            if [other.at for other in self.splits if other.track == each.track].count(each.at) > 1:
                raise ConfigError(f"split: track {each.track} is split twice at {each.at:g} s")
        came_from = {each.into: each.track for each in self.splits}
        for begin in came_from:
            at, steps = begin, 0
            while at in came_from and steps <= len(came_from):
                at, steps = came_from[at], steps + 1
            if steps > len(came_from):
                raise ConfigError(f"split: track {begin} comes from itself: the splits go in a circle")

    def _check_names(self) -> None:
        merged = {track: group[0] for group in self.merges for track in group[1:]}
        called: dict[str, str] = {}
        for track in self.classes:
            if track in merged:
                raise ConfigError(f"classes: track {track} is merged into {merged[track]}: give that one a class")
        for track, name in self.names.items():
            if track in merged:
                raise ConfigError(f"names: track {track} is merged into {merged[track]}: name that one")
            if track in self.forbidden:
                raise ConfigError(f"names: track {track} ({brief(name)}) is forbidden: take it out of one of both")
            if name in called:
                raise ConfigError(f"names: {brief(name)} is the name of track {called[name]} and of track {track}")
            called[name] = str(track)
        for name in self.selections:
            if name in called:
                raise ConfigError(f"selections: {brief(name)} is the name of track {called[name]}, too; give it another")
        for name in self.selections:
            self._check_circle(name, ())

    def _check_circle(self, name: str, within: Sequence[str]) -> None:
        if name in within:
            raise ConfigError(f"selections: {' → '.join((*within, name))}: a selection that means itself")
        for inner in self.selections[name].names:
            if inner in self.selections:
                self._check_circle(inner, (*within, name))


def _keys(selections: Mapping[str, Selection]) -> list[tuple[str, str]]:
    return [(name, "selections") for name in selections]


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not name.strip() or name != name.strip() or len(name) > 100 or not name.isprintable():
        raise ConfigError(f"{where}: {brief(name)} is no name: a line of 1 to 100 characters, without blanks around it")
    if name.lower() in _NOT_NAMES:
        raise ConfigError(f"{where}: {brief(name)} means something in a selection already; give another name")
    if ('"' in name and "'" in name) or re.fullmatch(r"#?\s*\d+", name):
        raise ConfigError(f"{where}: {brief(name)} could not be written in a selection; give another name")


def _number(track: str) -> int:
    if not track.isascii() or not track.isdigit() or len(track) > 18:
        raise ConfigError(f"{brief(track)} is no track: they have whole numbers from 1 on")
    return int(track)


def _selection(name: str, text: str) -> Selection:
    try:
        return Selection.parse(text)
    except ConfigError as error:
        raise ConfigError(f"selections: {name}: {error}") from error
