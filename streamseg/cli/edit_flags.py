"""The flags of `streamseg tracks` that change edits: `--name 3=Anna`, `--merge 3,9`, `--split 4@12.48` and their opposites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamseg.core.seconds import parse_seconds
from streamseg.edits import Edits
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, classes_known
from streamseg.record import Results
from streamseg.select import Selection
from streamseg.select.terms import Name, Track
from streamseg.sheet.rows import clock

__all__ = ["Changes", "made"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What was typed, flag by flag."""

    unmerge: Sequence[str] = ()
    unsplit: Sequence[str] = ()
    allow: Sequence[str] = ()
    split: Sequence[str] = ()
    merge: Sequence[str] = ()
    forbid: Sequence[str] = ()
    relabel: Sequence[str] = ()
    name: Sequence[str] = ()
    save: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any(
            (self.unmerge, self.unsplit, self.allow, self.split, self.merge, self.forbid, self.relabel, self.name, self.save)
        )


def made(changes: Changes, edits: Edits, results: Results) -> tuple[Edits, list[str]]:
    """The edits with the changes made on them, in the order of the fields, and what was done, in a line each.

    Raises ConfigError, which names the flag.
    """
    said: list[str] = []
    for flag, texts in ((name, getattr(changes, name)) for name in Changes.__slots__):
        for text in texts:
            try:
                edits, line = _CHANGE[flag](edits, text, results)
            except ConfigError as error:
                raise ConfigError(f"--{flag} {text}: {error}") from error
            said.append(line)
    return edits, said


def _unmerge(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    tracks = _tracks(edits, text)
    if not any(track in group for group in edits.merges for track in tracks):
        raise ConfigError("it is not merged with others")
    return edits.unmerge(*tracks), f"apart again: {_list(tracks)}"


def _unsplit(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    (track,) = _tracks(edits, text, 1)
    whole = next((each.track for each in edits.splits if each.into == track), None)
    if whole is None:
        raise ConfigError(f"#{track} was not split off")
    return edits.unsplit(track), f"#{track} is #{whole} again"


def _allow(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    tracks = _tracks(edits, text)
    if not set(tracks) & set(edits.forbidden):
        raise ConfigError("it is not forbidden")
    return edits.allow(*tracks), f"shown again: {_list(tracks)}"


def _split(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    which, at, when = text.partition("@")
    try:
        seconds = parse_seconds(when) if at else None
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if seconds is None:
        raise ConfigError("write TRACK@TIME, as 4@12.48")
    (track,) = _tracks(edits, which, 1)
    seconds = _frame_time(results, float(seconds))
    known = [each.track_id for each in results.tracks()]
    into = max([*known, *(each.into for each in edits.splits)], default=0) + 1
    return edits.split(track, seconds, into), f"#{track} is #{into} from {clock(seconds)} on"


def _frame_time(results: Results, seconds: float) -> float:
    """The time of the frame that is nearest: people write times with few digits."""
    times = results.pts * float(results.time_base)
    return seconds if not len(times) else round(float(times[np.abs(times - seconds).argmin()]), 6)


def _merge(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    tracks = _tracks(edits, text)
    if len(tracks) < 2:
        raise ConfigError("write two tracks or more, as 3,9")
    changed = edits.merge(*tracks)
    group = next(group for group in changed.merges if tracks[0] in group)
    gone = [track for track in group[1:] if track in changed.names]
    if gone and group[0] not in changed.names:  # the one that keeps its number takes the name
        changed = edits.rename(gone[0], "").merge(*tracks).rename(group[0], edits.names[gone[0]])
    return changed, f"one object: {_list(group)}, called #{group[0]}"


def _forbid(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    tracks = _tracks(edits, text)
    return edits.forbid(*tracks), f"never shown: {_list(tracks)}"


def _assigned(edits: Edits, text: str, form: str) -> tuple[int, str]:
    """The track before "=", and what is behind it. Raises ConfigError."""
    which, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"write {form}")
    (track,) = _tracks(edits, which, 1)
    return track, value.strip()


def _name(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    track, name = _assigned(edits, text, "TRACK=NAME, as 3=Anna, or 3= to take the name away")
    return edits.rename(track, name), f"#{track} is called {name}" if name else f"#{track} has no name"


def _relabel(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    track, name = _assigned(edits, text, "TRACK=CLASS, as 16=truck, or 16= to take that back")
    if name and name not in results.class_names:
        raise ConfigError(f"there is no class {brief(name)}; {classes_known(name, results.class_names)}")
    return edits.relabel(
        track, name
    ), f"#{track} is of the class {name}" if name else f"#{track} is of the class that was found"


def _save(edits: Edits, text: str, results: Results) -> tuple[Edits, str]:
    name, equals, selection = text.partition("=")
    name = name.strip()
    if not equals:
        raise ConfigError("write NAME=SELECTION, as hero='person#3, #9', or hero= to take it away")
    if not selection.strip() and name not in edits.selections:
        raise ConfigError(f"no selection is kept as {brief(name)}")
    changed = edits.select(name, selection.strip())
    return changed, f"kept: {name} = {changed.selections[name]}" if selection.strip() else f"no longer kept: {name}"


_CHANGE = {
    "unmerge": _unmerge,
    "unsplit": _unsplit,
    "allow": _allow,
    "split": _split,
    "merge": _merge,
    "forbid": _forbid,
    "relabel": _relabel,
    "name": _name,
    "save": _save,
}


def _tracks(edits: Edits, text: str, count: int | None = None) -> list[int]:
    """The tracks that are written as 3,9 or #3, person#9 or by their names. Raises ConfigError."""
    found = [_track(edits, part.strip()) for part in text.split(",")]
    if count is not None and len(found) != count:
        raise ConfigError("one track is needed here")
    return found


def _track(edits: Edits, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    term = Selection.parse(text).term
    if isinstance(term, Track):
        return term.track_id
    named = {name: track for track, name in edits.names.items()}
    if isinstance(term, Name) and term.name in named:
        return named[term.name]
    raise ConfigError(f"{brief(text)} is no track: write its number, as 3, or a name that it was given")


def _list(tracks: Sequence[int]) -> str:
    return ", ".join(f"#{track}" for track in tracks)
