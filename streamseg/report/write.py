"""Finds the films of results, cuts the clips, and writes the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from streamseg.errors import OutputError, StreamsegError
from streamseg.report.clips import Clip, Clips
from streamseg.report.page import page
from streamseg.report.summary import FilmSummary
from streamseg.system.output_files import replace_atomically

__all__ = ["MOST_CLIPS", "write_report"]

MOST_CLIPS = 40
"""About 6 MB."""
_FIRST = ("near_miss", "alert", "cut_in", "crossing", "stop", "dwell", "cross", "enter", "leave")
"""Kinds of events of which clips are cut, in this order where there are too many."""


def write_report(
    path: Path,
    films: Sequence[FilmSummary],
    *,
    title: str,
    notes: Iterable[str] = (),
    clips: int = MOST_CLIPS,
    on_message: Callable[[str], None] | None = None,
) -> None:
    """Write the page. `clips`: how many events are shown as clips. Raises OutputError where it cannot be written."""
    told = list(notes)
    cut = _cut(films, clips, told, on_message)
    try:
        replace_atomically(path, page(title, films, cut, told).encode())
    except OSError as error:
        raise OutputError(f"{path}: the report cannot be written: {error.strerror or error}") from error


def _cut(
    films: Sequence[FilmSummary], most: int, told: list[str], on_message: Callable[[str], None] | None
) -> dict[tuple[int, int], Clip]:
    wanted = [
        (_FIRST.index(each.kind), number, i)
        for number, film in enumerate(films)
        for i, each in enumerate(film.happenings)
        if each.kind in _FIRST
    ]
    chosen = sorted(wanted)[:most]
    if len(wanted) > len(chosen):
        told.append(
            f"{len(wanted) - len(chosen)} of {len(wanted)} events are shown without a clip: there are too many for one page"
        )
    made: dict[tuple[int, int], Clip] = {}
    for number in sorted({number for _, number, _ in chosen}):
        film = films[number]
        if film.source is None:
            told.append(f"{film.name}: no clips: the film was not found beside its results ({film.results})")
            continue
        if on_message is not None:
            on_message(f"clips of {film.name}")
        source = Clips(film.source)
        try:
            for _, _, i in (each for each in chosen if each[1] == number):
                made[number, i] = source.cut(film.happenings[i].time, film.happenings[i].box)
        except StreamsegError as error:
            told.append(f"{film.name}: no more clips: {error}")
    return made
