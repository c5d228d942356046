"""The contact sheet as a web page: one file that needs nothing else, no script and no other address."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from streamseg.core.palette import text_color
from streamseg.sheet.rows import BINS, Row, clock

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --line: #c8c8c8; --soft: #5a5a5a; --bar: #d9d9d9 }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #b0b0b0; --bar: #3a3a3a } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; color: var(--soft); padding-bottom: .5rem }
th, td { text-align: left; vertical-align: top; padding: .6rem .8rem .6rem 0; border-top: 1px solid var(--line) }
thead th { border-top: 0; font-size: .85rem; color: var(--soft) }
tbody th { min-width: 9rem; font-weight: 600; overflow-wrap: anywhere }
.id { display: inline-block; padding: 0 .5em; border-radius: .3em; margin-right: .3em }
.class, dl { font-weight: 400; color: var(--soft); font-size: .85rem }
dl { margin: 0; display: grid; grid-template-columns: auto auto; gap: 0 .7em; white-space: nowrap; justify-content: start }
dd { margin: 0; color: CanvasText; font-variant-numeric: tabular-nums }
ol { list-style: none; display: flex; flex-wrap: wrap; gap: .4rem; margin: 0; padding: 0 }
li { font-size: .8rem; color: var(--soft); font-variant-numeric: tabular-nums }
img { display: block; width: 9rem; height: 9rem; border-radius: .2rem }
svg { display: block; width: 100%; height: .6rem; margin-top: .4rem; background: var(--bar) }
code { font-size: 1em }
"""
_DOCUMENT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style></head><body>
<h1>{title}</h1>
{notes}{pages}
<table>
<caption>A row a track, the longest first. Choose with <code>--select '{example}'</code>.</caption>
<thead><tr><th scope="col">Track</th><th scope="col">Seen</th><th scope="col">Over time</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</body></html>
"""


def page(rows: Sequence[Row], title: str, notes: Sequence[str], pages: Sequence[str], number: int) -> str:
    """The text of page `number` of those whose files are `pages`."""
    return _DOCUMENT.format(
        title=escape(title if len(pages) == 1 else f"{title}, page {number + 1} of {len(pages)}"),
        style=_STYLE,
        notes="".join(f"<p>{escape(note)}</p>\n" for note in notes),
        pages=_links(pages, number),
        example=escape(rows[0].words if rows else "person#3"),
        rows="\n".join(map(_row, rows)),
    )


def _links(pages: Sequence[str], number: int) -> str:
    if len(pages) == 1:
        return ""
    links = [
        f'<b aria-current="page">{i + 1}</b>' if i == number else f'<a href="{quote(name)}">{i + 1}</a>'
        for i, name in enumerate(pages)
    ]
    return f'<nav aria-label="Pages"><p>Pages: {" ".join(links)}</p></nav>'


def _row(row: Row) -> str:
    track, (r, g, b) = row.track, row.colour
    ink = "#{:02x}{:02x}{:02x}".format(*text_color(row.colour))
    chip = f'<span class="id" style="background:#{r:02x}{g:02x}{b:02x};color:{ink}">#{track.track_id}</span>'
    of = f'<br><span class="class">{escape(track.name)}</span>' if row.name else ""
    called = f"{chip}{escape(row.name or track.name)}{of}"
    facts = (
        ("first", clock(track.first_time)),
        ("last", clock(track.last_time)),
        ("frames", str(track.frames)),
        ("longest gap", f"{track.longest_gap:.2f} s"),
        ("confidence", f"{track.score:.0%}"),
    )
    told = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    items = "".join(_picture(row, time, data) for time, data in row.pictures)
    return f'<tr><th scope="row">{called}</th><td><dl>{told}</dl></td><td><ol>{items}</ol>{_bar(row)}</td></tr>'


def _picture(row: Row, time: float, data: bytes) -> str:
    alt = escape(f"{row.words} at {clock(time)}", quote=True)
    return f'<li><img alt="{alt}" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">{clock(time)}</li>'


def _bar(row: Row) -> str:
    """When it is seen, from the film's first frame to its last."""
    r, g, b = row.colour
    parts, begin = [], None
    for at, seen in enumerate((*row.seen, False)):
        if seen and begin is None:
            begin = at
        elif not seen and begin is not None:
            parts.append(f'<rect x="{begin}" y="0" width="{at - begin}" height="1"/>')
            begin = None
    label = f"seen from {clock(row.track.first_time)} to {clock(row.track.last_time)}"
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {BINS} 1" preserveAspectRatio="none" '
        f'fill="#{r:02x}{g:02x}{b:02x}">{"".join(parts)}</svg>'
    )
