"""Finds the files of a trip in a folder, and puts them in order.

They are ordered by the time in their names, else by that in their headers, else by their numbers. A recorder's clock that starts
wrong and is set on the way is met by the numbers: where they are consecutive and contradict the times, they go first.
"""

from __future__ import annotations

import glob
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamseg.errors import ConfigError, SourceNotFound, Unreadable
from streamseg.errors.describe import counted
from streamseg.trip.movie_header import MovieHeader, read_movie_header
from streamseg.trip.parts import Name, Part, read_name

__all__ = ["FILMS", "Trip", "find_trip"]

FILMS = frozenset((".mp4", ".mov", ".ts", ".m2ts", ".mts", ".avi", ".mkv", ".m4v", ".3gp", ".insv"))
_SAID = 5
"""Files that are left out are named one by one up to so many."""


@dataclass(frozen=True, slots=True)
class Trip:
    """The files of one camera of a trip, in order."""

    name: str
    """As it was given."""
    parts: tuple[Part, ...]
    view: str
    """Which camera."""
    others: Mapping[str, int]
    """The recorder's other cameras, and how many files each has."""
    said: tuple[str, ...] = ()
    """What was unusual: files that are left out, clocks that were set."""

    @property
    def lasts(self) -> float | None:
        """Seconds from the beginning of the first to the end of the last, pauses between with them; None: not known."""
        total = 0.0
        for before, part in zip((None, *self.parts), self.parts, strict=False):
            if part.lasts is None:
                return None
            gap = gap_between(before, part) if before is not None else None
            total += part.lasts + max(0.0, gap or 0.0)
        return total


def gap_between(before: Part, part: Part) -> float | None:
    """Seconds from the end of one to the beginning of the next, below 0 where they overlap, by their clocks; None: not known."""
    if part.follows:
        return 0.0
    if part.clock_set or before.start is None or part.start is None or before.lasts is None:
        return None
    return part.start - (before.start + before.lasts)


def find_trip(source: str | Path, view: str = "front") -> Trip:
    """The trip in a folder and those below it, of a glob, or of a list (`@files.txt`).

    view: which of the recorder's cameras. Raises SourceNotFound where none is there, ConfigError where it is not told which are
    meant, Unreadable where none can be read.
    """
    name = str(source)
    files = _files(name)
    if not files:
        raise SourceNotFound(f"{name}: no films are there ({' '.join(sorted(FILMS))})")
    named = {path: read_name(path) for path in files}
    _refuse_several(name, named)
    named, foreign = _of_recorder(named)
    by_view = _by_view(named)
    if view not in by_view:
        there = ", ".join(f"{each} ({counted(len(paths), 'file')})" for each, paths in by_view.items())
        raise ConfigError(f"{name}: has no camera {view!r}; there are: {there}; --trip {next(iter(by_view))}")
    chosen, said = _without_copies(by_view[view], named)
    said = [f"{path.name}: is not named as the others, and left out" for path in foreign[:_SAID]] + said
    headers = {path: read_movie_header(path) for path in chosen}
    whole = [path for path in chosen if not headers[path].why_not]
    said += _left_out([f"{path.name} {headers[path].why_not}" for path in chosen if headers[path].why_not])
    if not whole:
        raise Unreadable(f"{name}: none of {counted(len(chosen), 'film')} can be read: {'; '.join(said[-_SAID:])}")
    parts, set_at = _ordered(whole, named, headers)
    said += [f"the recorder's clock was set before {path.name}: ordered by their numbers" for path in set_at]
    others = {each: len(paths) for each, paths in by_view.items() if each != view}
    return Trip(name, tuple(parts), view, others, tuple(said))


def _files(text: str) -> list[Path]:
    """All films, hidden ones (and macOS's ._NAME) left out. Raises SourceNotFound for a list that cannot be read."""
    path = Path(text).expanduser()
    found: Iterable[Path]
    if text.startswith("@"):
        book = Path(text[1:]).expanduser()
        try:
            lines = [line.strip() for line in book.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeError) as error:
            raise SourceNotFound(f"{text}: this list cannot be read: {getattr(error, 'strerror', None) or error}") from error
        found = [beside if (beside := book.parent / line).exists() else Path(line) for line in lines if line and line[0] != "#"]
    elif path.is_dir():
        found = path.rglob("*")
    elif path.exists():
        raise ConfigError(f"{text}: is one film; --trip joins those of a folder: leave it out, or give the folder")
    elif glob.has_magic(text):
        found = map(Path, glob.glob(text, recursive=True))
    else:
        raise SourceNotFound(f"{text}: no such folder")
    return sorted(
        each
        for each in found
        if each.suffix.lower() in FILMS and not each.name.startswith(".") and (text.startswith("@") or each.is_file())
    )


def _refuse_several(name: str, named: Mapping[Path, Name]) -> None:
    makers = Counter(each.recorder for each in named.values() if each.recorder)
    if len(makers) > 1:
        told = ", ".join(f"{maker} ({counted(count, 'file')})" for maker, count in makers.most_common())
        raise ConfigError(
            f"{name}: holds the files of several recorders: {told}; give those of one, as a glob: '{name}/*F.MP4'"
        )


def _of_recorder(named: Mapping[Path, Name]) -> tuple[dict[Path, Name], list[Path]]:
    """Files named as a recorder names its own, and the others; where no maker is known, those that name a time, or a number."""
    marks: tuple[Callable[[Name], bool], ...] = (
        lambda told: bool(told.recorder),
        lambda told: told.time is not None,
        lambda told: told.number is not None,
        lambda told: True,
    )
    mark = next(mark for mark in marks if any(map(mark, named.values())))
    return {path: told for path, told in named.items() if mark(told)}, [path for path, told in named.items() if not mark(told)]


def _by_view(named: Mapping[Path, Name]) -> dict[str, list[Path]]:
    """Files of each camera, the front first; a camera that no name tells is the front one."""
    found = defaultdict[str, list[Path]](list)
    for path, told in named.items():
        found[told.view or "front"].append(path)
    return dict(sorted(found.items(), key=lambda item: (item[0] != "front", item[0] != "rear", item[0])))


def _without_copies(paths: Sequence[Path], named: Mapping[Path, Name]) -> tuple[list[Path], list[str]]:
    """Each recording once: event folders hold copies under the same name, and some recorders write a small copy of each."""
    best: dict[object, Path] = {}
    for path in paths:
        told = named[path]
        key = (told.time, told.number, told.chapter) if told.time is not None else path.name.lower()
        kept = best.get(key)
        if kept is None or (told.small, -_size(path)) < (named[kept].small, -_size(kept)):
            best[key] = path
    left = [path for path in paths if path not in best.values()]
    said = [f"{counted(len(left), 'file')} that repeat others left out, as {left[0].name}"] if left else []
    return list(best.values()), said


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _left_out(why: Sequence[str]) -> list[str]:
    more = [f"... and {len(why) - _SAID} more left out"] if len(why) > _SAID else []
    return [f"{each}: left out" for each in why[:_SAID]] + more


def _ordered(
    paths: Sequence[Path], named: Mapping[Path, Name], headers: Mapping[Path, MovieHeader]
) -> tuple[list[Part], list[Path]]:
    """The parts in order, and those before which the clock was set."""
    starts = {path: _start(named[path], headers[path]) for path in paths}
    first = dict[int | None, float]()  # of the chapters of one recording, which all say the same time, or each its own
    for path in paths:
        key = named[path].number
        if named[path].chapter is not None and starts[path] is not None:
            first[key] = min(first.get(key, float("inf")), starts[path] or 0.0)

    def by_time(path: Path) -> tuple[float, int, int, str]:
        told, start = named[path], starts[path]
        if told.chapter is not None:
            start = first.get(told.number)
        return start if start is not None else float("inf"), told.number or 0, told.chapter or 0, path.name

    order = sorted(paths, key=by_time)
    numbered = sorted(paths, key=lambda path: (named[path].number or 0, named[path].chapter or 0))
    if _numbers_first(numbered, order, named):
        order = numbered
    parts, set_at = list[Part](), list[Path]()
    for before, path in zip((None, *order), order, strict=False):
        told = named[path]
        follows = before is not None and told.chapter is not None and named[before].number == told.number
        begin, last = starts[path], None if before is None else starts[before]
        back = before is not None and begin is not None and last is not None and begin < last and not follows
        if back:
            set_at.append(path)
        parts.append(Part(path, begin, headers[path].lasts, follows, back))
    return parts, set_at


def _start(told: Name, header: MovieHeader) -> float | None:
    return told.time if told.time is not None else header.created


def _numbers_first(numbered: Sequence[Path], timed: Sequence[Path], named: Mapping[Path, Name]) -> bool:
    """Whether numbers are to be believed where they contradict the times: all have one, each another, nearly consecutive."""
    if list(numbered) == list(timed):
        return False
    numbers = [named[path].number for path in numbered]
    known = [number for number in numbers if number is not None]
    chaptered = any(named[path].chapter is not None for path in numbered)
    if chaptered or len(known) < len(numbers) or len(set(known)) < len(known):
        return False
    return known[-1] - known[0] < 1.5 * len(known)
