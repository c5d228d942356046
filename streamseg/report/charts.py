"""The drawings of the page, as SVG: the way on a map without tiles, what happened over time, and values with their bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from streamseg.report.summary import FilmSummary, Happening, Place

__all__ = ["COLOURS", "WORDS", "clock", "film_line", "map_of", "metres_between", "whisker"]

WORDS = {
    "alert": "alert",
    "near_miss": "near miss",
    "cut_in": "cut in",
    "crossing": "crossing",
    "stop": "stop",
    "hidden": "went behind another",
    "reappear": "came out again",
    "cross": "crossed a line",
    "enter": "entered a zone",
    "leave": "left a zone",
    "dwell": "stayed in a zone",
}
"""Kinds of events."""
COLOURS = {
    "near_miss": "#d55e00",
    "alert": "#e69f00",
    "cut_in": "#cc79a7",
    "crossing": "#0072b2",
    "stop": "#009e73",
}
"""Okabe and Ito's; other kinds are grey."""
_OTHER = "#808080"
_EARTH = 6371008.8
"""Mean radius, metres."""
_GAP = 15.0
"""Seconds without a place after which the line on the map is interrupted."""


def clock(seconds: float) -> str:
    """`1:02:03`, `2:03`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def metres_between(a: Place, b: Place) -> float:
    """On the ground, over the sphere (haversine)."""
    p, q = math.radians(a.latitude), math.radians(b.latitude)
    half = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    return 2 * _EARTH * math.asin(min(1.0, math.sqrt(half)))


def film_line(film: FilmSummary, number: int) -> str:
    """What happened in a film, over its time."""
    length = max(film.seconds, 1e-3)

    def at(time: float) -> float:
        return round(1000 * min(max((time - film.began) / length, 0), 1), 1)

    step = next((s for s in (1, 5, 15, 60, 300, 900, 3600, 14400) if length / s <= 12), 86400)
    parts = ['<rect class="bar" x="0" y="14" width="1000" height="12"/>']
    for begin, end in film.breaks:
        parts.append(f'<rect class="gap" x="{at(begin)}" y="14" width="{max(at(end) - at(begin), 2)}" height="12"/>')
    ticks = [k * step for k in range(int(length // step) + 1)]
    parts += [f'<text x="{at(film.began + tick)}" y="42">{clock(film.shown(film.began + tick))}</text>' for tick in ticks]
    parts += [_mark(each, f"e{number}-{i}", at(each.time), 20, 7) for i, each in enumerate(film.happenings)]
    return f'<svg class="line" viewBox="-10 0 1030 46" role="img" aria-label="Events over time">{"".join(parts)}</svg>'


def _mark(event: Happening, name: str, x: float, y: float, radius: int) -> str:
    """A dot that leads to what is told of an event."""
    told = escape(f"{WORDS.get(event.kind, event.kind)}: {event.name} {event.track_id}")
    dot = f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{COLOURS.get(event.kind, _OTHER)}"><title>{told}</title></circle>'
    return f'<a href="#{name}">{dot}</a>'


def map_of(films: Sequence[FilmSummary]) -> str:
    """The ways of all films, north up, with what happened on them; empty where no place is known."""
    places = [place for film in films for place in film.way]
    if len(places) < 2:
        return ""
    south, north = min(p.latitude for p in places), max(p.latitude for p in places)
    middle = _middle([p.longitude for p in places])
    narrow = math.cos(math.radians((south + north) / 2)) or 1e-6

    def east(place: Place) -> float:
        return ((place.longitude - middle + 180) % 360 - 180) * narrow

    west, east_end = min(map(east, places)), max(map(east, places))
    span = max(east_end - west, (north - south), 1e-5)
    factor = 760 / span
    width, height = (east_end - west) * factor + 80, (north - south) * factor + 100

    def point(place: Place) -> tuple[float, float]:
        return round((east(place) - west) * factor + 40, 1), round((north - place.latitude) * factor + 40, 1)

    parts = []
    for number, film in enumerate(films):
        for piece in _pieces(film.way):
            line = " ".join(f"{x},{y}" for x, y in map(point, piece))
            parts.append(f'<polyline points="{line}"><title>{escape(film.name)}</title></polyline>')
        for i, each in enumerate(film.happenings):
            near = min(film.way, key=lambda place: abs(place.time - each.time), default=None)
            if near is not None and abs(near.time - each.time) <= _GAP and each.kind in COLOURS:
                parts.append(_mark(each, f"e{number}-{i}", *point(near), 6))
    parts.append(_scale(factor, height))
    parts.append(
        f'<path class="north" d="M {width - 24} 38 l 0 -22 m -5 8 l 5 -8 l 5 8"/><text x="{width - 29}" y="52">N</text>'
    )
    size = f"{width:.0f} {height:.0f}"
    return f'<svg class="map" viewBox="0 0 {size}" role="img" aria-label="The way, north up">{"".join(parts)}</svg>'


def _middle(longitudes: Sequence[float]) -> float:
    """A longitude round which all lie, also where they are on both sides of the date line."""
    x = sum(math.cos(math.radians(each)) for each in longitudes)
    y = sum(math.sin(math.radians(each)) for each in longitudes)
    return math.degrees(math.atan2(y, x))


def _pieces(way: Sequence[Place]) -> list[list[Place]]:
    pieces: list[list[Place]] = []
    for place in way:
        if not pieces or place.time - pieces[-1][-1].time > _GAP:
            pieces.append([])
        pieces[-1].append(place)
    return pieces


def _scale(factor: float, height: float) -> str:
    metre = factor / math.radians(1) / _EARTH
    length = max((s * 10**e for e in range(7) for s in (1, 2, 5) if s * 10**e * metre <= 200), default=1)
    named = f"{length} m" if length < 1000 else f"{length // 1000} km"
    y = round(height - 24, 1)
    return f'<path class="scale" d="M 40 {y} h {length * metre:.1f}"/><text x="40" y="{y - 6}">{named}</text>'


def whisker(value: float, std: float, most: float) -> str:
    """A value with its two-sigma bar, on a scale from 0 to `most`."""

    def at(x: float) -> float:
        return round(200 * min(max(x / most, 0), 1), 1)

    low, high = at(value - 2 * std), at(value + 2 * std)
    return (
        f'<svg class="whisker" viewBox="0 0 200 12" aria-hidden="true"><path d="M {low} 6 H {high} M {low} 2 v 8 M {high} 2 v 8"/>'
        f'<circle cx="{at(value)}" cy="6" r="4"/></svg>'
    )
