"""What could not be judged of films, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence

from streamseg.report.charts import clock
from streamseg.report.summary import FilmSummary

__all__ = ["why_not_judged"]

_LITTLE = 0.02
"""Share below which nothing is said."""


def why_not_judged(films: Sequence[FilmSummary]) -> list[str]:
    """One sentence for each reason."""
    told = []
    looked = [film for film in films if film.watched]
    blind = [film for film in films if not film.watched]
    if blind:
        told.append(
            f"no time to collision, distance or way ahead in {_named(blind)}: looked at without a driving scene (scene: on)"
        )
    if flat := [film for film in looked if not film.metres and film.approaches]:
        told.append(f"no distances in {_named(flat)}: the height of the camera was not given (--camera-height)")
    if lost := [film for film in films if not film.way]:
        told.append(f"no way and no speed of {_named(lost)}: no positions came with the film")
    seen = sum(each.frames for film in looked for each in film.approaches.values())
    judged = sum(each.judged for film in looked for each in film.approaches.values())
    if seen and (left := 1 - judged / seen) > _LITTLE:
        told.append(
            f"of {left:.0%} of all that was seen of road users no time to collision could be said: they were too new, cut by the "
            "frame's border, hidden, or too small"
        )
    brief = sum(1 for film in looked for each in film.approaches.values() if not each.judged)
    if brief:
        told.append(f"{brief} of {sum(len(film.approaches) for film in looked)} road users could not be judged at any time")
    for film in films:
        told += _of(film)
    return told


def _break(begin: float, end: float) -> str:
    if clock(begin) == clock(end):
        return f"at {clock(begin)} the film does not go on as it was: tracks end there"
    return f"nothing is known from {clock(begin)} to {clock(end)}"


def _of(film: FilmSummary) -> list[str]:
    told = [f"{film.name}: {_break(film.shown(a), film.shown(b))}" for a, b in film.breaks[:5]]
    if len(film.breaks) > 5:
        told.append(f"{film.name}: {len(film.breaks) - 5} more such gaps")
    if film.frames and film.carried / film.frames > _LITTLE:
        told.append(
            f"{film.name}: at {film.carried / film.frames:.0%} of the frames the network did not look: objects were carried on"
        )
    if film.cut:
        told.append(f"{film.name}: its results end in the middle of a line at {clock(film.seconds)}: the run was cut off")
    if film.nonsense:
        told.append(f"{film.name}: {film.nonsense} lines of its results cannot be read")
    if not film.frames:
        told.append(f"{film.name}: its results hold no frame")
    return told


def _named(films: Sequence[FilmSummary]) -> str:
    return films[0].name if len(films) == 1 else f"{len(films)} films"
