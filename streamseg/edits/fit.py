"""Whether edits fit a film: what they say of tracks that there are not, or that cannot be, is refused with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamseg.edits.applied import EARLY, Applied
from streamseg.edits.edits import Edits
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, classes_known
from streamseg.record import Results, TrackSummary
from streamseg.record.source_key import same_source

__all__ = ["check", "found_key", "there_are"]

_ANEW = "numbers change where a film is looked at anew"


def check(edits: Edits, results: Results, tracks: Sequence[TrackSummary] | None = None) -> None:
    """Raise ConfigError for edits that do not fit what was found; `tracks`: `results.tracks()`, where they are at hand."""
    there = results.head.get("source")
    if edits.source is not None and there is not None and not same_source(edits.source, there):
        raise ConfigError(
            f"these edits are of another film ({brief(edits.source.get('name'))}), not of {brief(there.get('name'))}, whose "
            "tracks have other numbers"
        )
    if edits.found is not None and (here := found_key(results)) is not None and edits.found != here:
        raise ConfigError(
            "these edits are of what another model or other settings found, whose tracks have other numbers; use those, or make "
            "the edits anew (streamseg tracks)"
        )
    known = {track.track_id: track for track in (results.tracks() if tracks is None else tracks)}
    _check_splits(edits, known)
    _check_there(edits, known)
    _check_names(edits, results.class_names)
    _check_apart(edits, results)


def found_key(results: Results) -> str | None:
    """What tells results whose tracks have the same numbers: of the model, its precision and engine, settings, and the part of the
    film. None: the file does not say."""
    head = results.head
    model, settings = head.get("model"), head.get("settings")
    if not isinstance(model, dict) or settings is None:
        return None
    told = {name: model.get(name) for name in ("sha256", "size", "engine", "precision", "masks")}
    told |= {name: head.get(name) for name in ("settings", "start", "span")}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def there_are(numbers: Sequence[int]) -> str:
    """Which tracks there are, for a message."""
    if not numbers:
        return "no track was found"
    if len(numbers) == 1:
        return f"the only one is {numbers[0]}"
    some = ", ".join(map(str, sorted(numbers)[:12]))
    return f"there are tracks {some}{f' and {len(numbers) - 12} more' if len(numbers) > 12 else ''}"


def _check_there(edits: Edits, known: Mapping[int, TrackSummary]) -> None:
    every = {*known, *(each.into for each in edits.splits)}
    told = [(track, f"names: {brief(name)}") for track, name in edits.names.items()]
    told += [(track, f"classes: {brief(name)}") for track, name in edits.classes.items()]
    told += [(track, f"merge: {list(group)}") for group in edits.merges for track in group]
    told += [(track, "forbid") for track in edits.forbidden]
    for track, where in told:
        if track not in every:
            raise ConfigError(f"{where}: there is no track {track}: {there_are(sorted(every))} ({_ANEW})")


def _check_splits(edits: Edits, known: Mapping[int, TrackSummary]) -> None:
    begins = {number: (track.first_time, track) for number, track in known.items()}
    left = sorted(edits.splits, key=lambda each: each.at)
    for each in left:
        if each.into in known:
            free = max([*known, *(other.into for other in edits.splits)]) + 1
            raise ConfigError(f"split: track {each.track} into {each.into}: there is a track {each.into} already; take {free}")
        if each.track not in begins:
            raise ConfigError(f"split: there is no track {each.track} at {each.at:g} s: {there_are(sorted(begins))} ({_ANEW})")
        begin, whole = begins[each.track]
        if not begin + EARLY < each.at <= whole.last_time + EARLY:
            raise ConfigError(
                f"split: track {each.track} is seen from {begin:.3f} to {whole.last_time:.3f} s: {each.at:g} s is not between "
                "two of its frames"
            )
        begins[each.into] = (each.at, whole)
        begins[each.track] = (begin, whole)


def _check_names(edits: Edits, classes: Sequence[str]) -> None:
    for track, name in edits.classes.items():
        if name not in classes:
            raise ConfigError(f"classes: track {track}: there is no class {brief(name)}; {classes_known(name, classes)}")
    for name in [*edits.names.values(), *edits.selections]:
        if name in classes:
            raise ConfigError(f"{brief(name)} is the name of a class: a selection could not tell them apart; give another")


def _check_apart(edits: Edits, results: Results) -> None:
    """Merged tracks are never seen in the same frame: they would be two objects."""
    if not edits.merges:
        return
    members = {track for group in edits.merges for track in group}
    kept = {track: group for group in edits.merges for track in group}
    alone = Applied(replace(edits, merges=(), names={}))
    for columns in results.columns():
        time = float(columns.pts * results.time_base)
        numbers = alone.numbers(columns.values["track_ids"], time).tolist()
        seen: dict[int, int] = {}
        for number in numbers:
            if number in members:
                first = kept[number][0]
                if first in seen:
                    raise ConfigError(
                        f"merge: {list(kept[number])}: tracks {seen[first]} and {number} are seen at once in frame "
                        f"{columns.index}, at {time:.3f} s: they are two objects; where one of them took over the other, split it "
                        "before"
                    )
                seen[first] = number
