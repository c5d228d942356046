"""The report as a web page: one file that needs nothing else, no script and no other address."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from streamseg.report.charts import COLOURS, WORDS, clock, film_line, map_of, metres_between, whisker
from streamseg.report.clips import Clip
from streamseg.report.judged import why_not_judged
from streamseg.report.summary import Approach, FilmSummary, Happening

__all__ = ["MOST_APPROACHES", "page"]

MOST_APPROACHES = 25
_STYLE = """
:root { color-scheme: light dark; --line: #c8c8c8; --soft: #5a5a5a; --bar: #d9d9d9; --way: #0072b2 }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #b0b0b0; --bar: #3a3a3a; --way: #56b4e9 } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem }
h2 { margin: 2.2rem 0 .6rem } h3 { margin: 1.2rem 0 .2rem; overflow-wrap: anywhere }
table { border-collapse: collapse }
th, td { text-align: left; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid var(--line) }
td, li, dd { font-variant-numeric: tabular-nums } th { font-weight: 600 } thead th { font-size: .85rem; color: var(--soft) }
.soft { color: var(--soft) } .scroll { overflow-x: auto }
svg { max-width: 100%; fill: none; stroke-linecap: round } svg text { fill: var(--soft); font-size: 13px }
.map { max-height: 32rem; width: 100%; border: 1px solid var(--line) }
.map polyline { stroke: var(--way); stroke-width: 3; stroke-linejoin: round }
.scale, .north { stroke: var(--soft); stroke-width: 2 } .line { width: 100% } .bar { fill: var(--bar) } .gap { fill: CanvasText }
circle { stroke: Canvas; stroke-width: 1.5 } .whisker { width: 12rem; height: .8rem; vertical-align: middle }
.whisker path { stroke: var(--soft); stroke-width: 1.5 } .whisker circle { fill: var(--way) }
.events { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem }
.events li { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem; scroll-margin: 4rem }
.events li:target { outline: 3px solid var(--way) }
video { width: 100%; display: block; margin-top: .4rem; border-radius: .2rem }
.kind { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em }
"""
_DOCUMENT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style></head><body>
<h1>{title}</h1>
<p>{sums}</p>
<h2>The way</h2>
{map}
<h2>What happened</h2>
{happened}
<h2>Closest approaches</h2>
{approaches}
<h2>Road users</h2>
{counts}
<h2>Films</h2>
{films}
<h2>What could not be judged, and why</h2>
{judged}
</body></html>
"""


def page(title: str, films: Sequence[FilmSummary], clips: Mapping[tuple[int, int], Clip], notes: Sequence[str] = ()) -> str:
    """The text of the page. `clips`: of film and event, by their numbers; `notes`: what else could not be judged."""
    return _DOCUMENT.format(
        title=escape(title),
        style=_STYLE,
        sums=_sums(films),
        map=map_of(films) or "<p>No film says where it was made.</p>",
        happened=_happened(films, clips),
        approaches=_approaches(films),
        counts=_counts(films),
        films="".join(_film(film, number) for number, film in enumerate(films)),
        judged=_listed([*why_not_judged(films), *notes]) or "<p>All could be judged.</p>",
    )


def _sums(films: Sequence[FilmSummary]) -> str:
    seconds = sum(film.seconds for film in films)
    told = ["1 film" if len(films) == 1 else f"{len(films)} films", clock(seconds)]
    metres = sum(metres_between(a, b) for film in films for a, b in zip(film.way, film.way[1:], strict=False))
    told += [f"{metres / 1000:.1f} km"] if metres else []
    kinds = Counter(each.kind for film in films for each in film.happenings if each.kind in COLOURS)
    told += [f"{kinds[kind]} &times; {WORDS[kind]}" for kind in COLOURS if kinds[kind]]
    return " &middot; ".join(told)


def _listed(texts: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>" if texts else ""


def _happened(films: Sequence[FilmSummary], clips: Mapping[tuple[int, int], Clip]) -> str:
    items = [
        _event(film, each, f"e{number}-{i}", clips.get((number, i)))
        for number, film in enumerate(films)
        for i, each in enumerate(film.happenings)
    ]
    return f'{_legend(films)}<ol class="events">{"".join(items)}</ol>' if items else "<p>Nothing of note.</p>"


def _legend(films: Sequence[FilmSummary]) -> str:
    """Of the dots on the map and the films' times: the kinds that there are."""
    there = {each.kind for film in films for each in film.happenings}
    dots = [f'<span class="kind" style="background:{COLOURS[kind]}"></span>{WORDS[kind]}' for kind in COLOURS if kind in there]
    return f'<p class="soft">{" &emsp; ".join(dots)}</p>' if dots else ""


def _event(film: FilmSummary, event: Happening, name: str, clip: Clip | None) -> str:
    colour = COLOURS.get(event.kind, "#808080")
    word = escape(WORDS.get(event.kind, event.kind))
    shown = ""
    if clip is not None:
        poster, video = (base64.b64encode(data).decode() for data in (clip.poster, clip.video))
        shown = (
            f'<video controls muted playsinline preload="none" poster="data:image/jpeg;base64,{poster}" '
            f'src="data:video/mp4;base64,{video}"></video>'
        )
    where = f" at {escape(event.place)}" if event.place else ""
    return (
        f'<li id="{name}"><span class="kind" style="background:{colour}"></span><b>{word}</b>{where}: '
        f"{escape(event.name)} {event.track_id}<br>"
        f'<span class="soft">{escape(film.name)}, {clock(film.shown(event.time))}</span>{_numbers(event.details)}{shown}</li>'
    )


def _numbers(details: Mapping[str, float]) -> str:
    told = []
    for name, unit in (("ttc", "s to collision"), ("distance", "m away"), ("speed", "m/s"), ("lateral", "m to the side")):
        if name in details:
            bar = f" &plusmn; {details[f'{name}_std']:.1f}" if f"{name}_std" in details else ""
            told.append(f"{details[name]:.1f}{bar} {unit}")
    return f"<br>{', '.join(told)}" if told else ""


def _approaches(films: Sequence[FilmSummary]) -> str:
    found = [
        (film, each) for film in films for each in film.approaches.values() if each.ttc is not None or each.distance is not None
    ]
    if not found:
        return "<p>Of no road user it is known how near it came.</p>"
    found.sort(key=lambda pair: _rank(pair[1]))
    chosen = found[:MOST_APPROACHES]
    times = max((each.ttc + 2 * each.ttc_std for _, each in chosen if each.ttc is not None), default=1.0)
    metres = max((each.distance + 2 * each.distance_std for _, each in chosen if each.distance is not None), default=1.0)
    rows = "".join(_approach(film, each, times, metres) for film, each in chosen)
    more = f'<p class="soft">The {MOST_APPROACHES} nearest of {len(found)}.</p>' if len(found) > MOST_APPROACHES else ""
    return (
        '<p class="soft">The bars are two standard deviations to each side.</p><div class="scroll"><table><thead><tr>'
        '<th scope="col">Road user</th><th scope="col">Film</th><th scope="col" colspan="2">Least time to collision</th>'
        f'<th scope="col" colspan="2">Least distance</th></tr></thead><tbody>{rows}</tbody></table></div>{more}'
    )


def _rank(each: Approach) -> tuple[bool, float, float]:
    """Those in the way ahead first, then the soonest, by what is nearly certain, then the nearest."""
    soon = float("inf") if each.ttc is None else each.ttc + each.ttc_std
    return not each.in_path, soon, float("inf") if each.distance is None else each.distance + each.distance_std


def _approach(film: FilmSummary, each: Approach, times: float, metres: float) -> str:
    cells = [f"<td>{escape(each.name)} {each.track_id}{'' if each.in_path else ' <span class=soft>beside the way</span>'}</td>"]
    cells.append(f'<td class="soft">{escape(film.name)}</td>')
    for value, std, at, unit, most in (
        (each.ttc, each.ttc_std, each.ttc_at, "s", times),
        (each.distance, each.distance_std, each.distance_at, "m", metres),
    ):
        if value is None:
            why = "never came nearer" if unit == "s" and each.judged > each.frames / 2 else "not known"
            cells.append(f'<td colspan="2" class="soft">{why}</td>')
        else:
            cells.append(f"<td>{value:.1f} &plusmn; {std:.1f} {unit} <span class=soft>at {clock(film.shown(at))}</span></td>")
            cells.append(f"<td>{whisker(value, std, most)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _counts(films: Sequence[FilmSummary]) -> str:
    total: Counter[str] = Counter()
    for film in films:
        total.update(film.counts)
    if not total:
        return "<p>None were counted.</p>"
    rows = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{number}</td></tr>' for name, number in total.most_common())
    return f"<table><tbody>{rows}</tbody></table>"


def _film(film: FilmSummary, number: int) -> str:
    began = f", {escape(film.utc[:19].replace('T', ' '))} UTC" if film.utc else ""
    counted = ", ".join(f"{n} {name}" for name, n in film.counts.items()) or "nobody counted"
    return (
        f"<h3>{escape(film.name)}</h3><p class=soft>{clock(film.seconds)}{began}, {film.width}x{film.height}: {escape(counted)}</p>"
        f"{film_line(film, number)}"
    )
