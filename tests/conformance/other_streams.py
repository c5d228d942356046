"""Whether sound, subtitles and chapters came through."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.conformance.extras import CHAPTERS, SUBTITLES
from tests.conformance.observe import SeenTrack, essence

if TYPE_CHECKING:
    from tests.conformance.checks import Case

__all__ = ["problems", "words"]

_MPEG_AUDIO = {"mp2", "mp2float", "mp3", "mp3float"}
"""An mp4 file has one name for all layers."""


_OTHER_CODE = {"deu": "ger"}
"""Languages that ISO 639-2 gives two codes, of which libav reads QuickTime's numbers as the second one."""


def problems(case: Case) -> list[str]:
    """What is wrong beside the pictures."""
    return _sound(case) + _subtitles(case) + _chapters(case)


def _span(case: Case) -> tuple[Fraction, Fraction]:
    """Where on the source's clock the part that was asked for begins, and where on the output's clock that is put."""
    first = next((t for t in case.source.times() if t is not None), Fraction(0))
    start = Fraction(case.row.decode.get("start", 0)).limit_denominator(10**6)
    if start:
        shown = [t for t in case.row.clip.times() if t >= start]
        return first + shown[0], case.expected.times[0]
    return first, case.expected.times[0] if case.expected.times else Fraction(0)


def _sound(case: Case) -> list[str]:
    given, got = case.source.of("audio"), case.made.of("audio")
    if case.row.sound == "none" or not given:
        return [f"sound that is not in the source: {[t.codec for t in got]}"] if got else []
    if len(got) != len(given):
        return [f"sounds: expected {[t.codec for t in given]}, got {[t.codec for t in got]}"]
    wrong = []
    for before, after in zip(given, got, strict=True):
        name = f"sound {before.codec}"
        if case.row.sound == "copy":
            wrong += _copied(case, name, before, after)
        a, b = _length(case, before), _length(case, after)
        whole = not case.row.decode and not case.row.clip.change.startswith("joined")
        converted = case.row.sound == "convert"  # an encoder's lead-in may be as long as one packet
        if whole and abs(a - b) > Fraction(3 if converted else 2, 20):
            wrong.append(f"{name}: lasts {float(b):.3f} s, expected {float(a):.3f}")
        moved = (after.begin - case.shift - case.expected.times[0]) - (before.begin - _span(case)[0])
        loose = Fraction(3, 20) if converted else Fraction(1, 10) if case.row.out == "avi" else Fraction(0)
        if whole and abs(moved) > case.made.tick + Fraction(1, 900) + loose:
            wrong.append(f"{name}: moved against the pictures by {float(moved):.4f} s")
        same = {before.language, _OTHER_CODE.get(before.language or "")}
        if "language" not in case.row.loses and before.language and after.language not in same:
            wrong.append(f"{name}: language {before.language} became {after.language}")
    return wrong


def _length(case: Case, track: SeenTrack) -> Fraction:
    last = track.packets[-1]
    return (last[0] or Fraction(0)) + last[1] - track.begin


def _copied(case: Case, name: str, before: SeenTrack, after: SeenTrack) -> list[str]:
    if after.codec != before.codec and not {after.codec, before.codec} <= _MPEG_AUDIO:
        return [f"{name}: became {after.codec}"]
    wanted, got = essence(before.codec, before.packets), essence(after.codec, after.packets)
    if case.row.decode:
        joined, part = b"".join(wanted), b"".join(got)
        return [] if part and part in joined and len(part) < len(joined) else [f"{name}: not a part of the source's packets"]
    if case.row.out == "avi" and before.begin < case.source.times()[0]:  # it cannot say that sound begins before the picture
        wanted = wanted[len(wanted) - len(got) :] if 0 < len(wanted) - len(got) <= 2 else wanted
    if len(wanted) != len(got):
        return [f"{name}: {len(got)} packets of {len(wanted)}"]
    differ = [n for n, (a, b) in enumerate(zip(wanted, got, strict=True)) if a != b]
    return [f"{name}: packets {differ[:5]} have other bytes"] if differ else []


def words(track: SeenTrack) -> list[tuple[Fraction, str]]:
    """(time, text without markup) of the lines of a text subtitle."""
    found = []
    for time, _, data in track.packets:
        if track.codec == "mov_text":
            length = int.from_bytes(data[:2], "big")
            if not length:
                continue
            text = data[2 : 2 + length].decode()
        else:
            text = data.decode()
        if track.codec in ("ass", "ssa"):
            text = text.split(",", 8)[-1]
        text = re.sub(r"\{[^}]*\}", "", text).replace("\\N", "\n")
        if track.codec == "webvtt":
            text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        found.append((time or Fraction(0), text.strip()))
    return found


def _subtitles(case: Case) -> list[str]:
    kinds = case.row.clip.subtitles
    got = case.made.of("subtitle")
    if case.row.text == "none" or not kinds:
        return [f"subtitles that are not in the source: {[t.codec for t in got]}"] if got else []
    if len(got) != len(kinds):
        return [f"subtitles: expected {list(kinds)}, got {[t.codec for t in got]}"]
    wrong = []
    begin = case.source.times()[0] or Fraction(0)
    for kind, before, after in zip(kinds, case.source.of("subtitle"), got, strict=True):
        if SUBTITLES[kind].picture:
            if [p for _, _, p in before.packets] != [p for _, _, p in after.packets]:
                wrong.append(f"subtitles {kind}: the packets are not the source's")
            continue
        said, lines = words(after), SUBTITLES[kind].lines
        if [text for _, text in said] != [text for _, _, text in lines]:
            wrong.append(f"subtitles {kind}: {[text for _, text in said]}")
        elif any(
            abs(at - start - _shift(case, begin)) > Fraction(2, 1000)
            for (at, _), (start, _, _) in zip(said, lines, strict=True)
        ):
            wrong.append(f"subtitles {kind}: at {[float(at) for at, _ in said]}")
        if "language" not in case.row.loses and after.language != "eng":
            wrong.append(f"subtitles {kind}: language eng became {after.language}")
    return wrong


def _shift(case: Case, begin: Fraction) -> Fraction:
    return case.expected.times[0] + case.shift - begin


def _chapters(case: Case) -> list[str]:
    wanted = CHAPTERS[: case.row.clip.chapters]
    got = case.made.chapters
    if "chapters" in case.row.loses or not wanted:
        return []
    if [title for _, _, title in got] != [title for _, _, title in wanted]:
        return [f"chapters: expected {[c[2] for c in wanted]}, got {[c[2] for c in got]}"]
    off = [b for (a, _, _), (b, _, _) in zip(wanted, got, strict=True) if abs(a - b) > Fraction(2, 1000)]
    return [f"chapters: begin at {[float(b) for b in off]}"] if off else []
