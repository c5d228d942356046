"""The stored references: one text file a group, one line a row, so that any change of what comes out shows.

    name  key=value key~number±bound ...

`=` is compared exactly; `~` within its bound, where SIMD or an encoder's own arithmetic may make the last bit differ.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from tests.conformance import pixels
from tests.conformance.checks import Case
from tests.conformance.observe import digest, essence

__all__ = ["FOLDER", "accept", "differences", "line_of", "stored"]

FOLDER = Path(__file__).parent / "refs"
_ABOUT = re.compile(r"(?P<value>-?[\d.]+)±(?P<bound>[\d.]+)")
_SAME_EVERYWHERE = ("pcm_", "adpcm_ima", "adpcm_ms")


def line_of(case: Case) -> dict[str, str]:
    """What is kept of a video, as `key` or `key~` and text."""
    made = case.made
    first = made.pictures[0]
    step = [f"{float(t):.4f}" if t is not None else "-" for t in made.times()]
    line = {
        "frames": str(len(made.pictures)),
        "first": step[0],
        "pts": digest(*step),
        "end~": f"{float(made.end):.3f}±0.002",
        "format": f"{made.container.split(',')[0]},{made.codec},{first.pix_fmt},{first.width}x{first.height}",
        "colour": ",".join(map(str, first.colour)),
    }
    line |= _planes(case)
    for number, track in enumerate(made.tracks):
        if track.packets:
            line[f"{track.kind}{number}"] = _track(track.kind, track.codec, track.packets)
    if made.sar:
        line["sar"] = str(made.sar)
    if made.chapters:
        line["chapters"] = digest(*(f"{float(a):.2f} {title}" for a, _, title in made.chapters))
    return line


def _planes(case: Case) -> dict[str, str]:
    """A hash of what nothing is drawn on where that is the same on every CPU; of everything the mean within a bound."""
    line: dict[str, str] = {}
    made = case.made.pictures
    if case.row.reproducible:
        data = []
        for place, picture in enumerate(made):
            for name, values in sorted(picture.parts.items()):
                free = pixels.untouched(case.row.effect, place, picture.width, picture.height)
                data.append(name.encode() + values[pixels.shrunk(free, values.shape)].tobytes())
        line["planes"] = digest(*data)
    for name in sorted(made[0].parts):
        mean = sum(float(p.parts[name].mean()) for p in made) / len(made)
        bound = 1.0 * (1 if made[0].parts[name].max() < 256 else made[0].parts[name].max() / 256)
        line[f"{name}~"] = f"{mean:.1f}±{bound:.1f}"
    return line


def _track(kind: str, codec: str, packets: list[tuple[Fraction | None, Fraction, bytes]]) -> str:
    parts = [codec, f"{float(packets[0][0] or 0):.3f}"]
    if codec.startswith(_SAME_EVERYWHERE):
        parts.append(digest(*essence(codec, packets)))
    elif kind == "subtitle":
        parts += [str(len(packets)), digest(*(data for _, _, data in packets))]
    else:
        parts.append(str(len(packets)))
    return ",".join(parts)


def stored(group: str) -> dict[str, dict[str, str]]:
    """The lines of a group by name of the row."""
    path, found = FOLDER / f"{group}.txt", {}
    for text in path.read_text("utf-8").splitlines() if path.exists() else ():
        if text and not text.startswith("#"):
            name, *entries = text.split()
            found[name] = {key + mark: value for key, mark, value in (_entry(entry) for entry in entries)}
    return found


def _entry(text: str) -> tuple[str, str, str]:
    at = min(p for p in (text.find("="), text.find("~")) if p >= 0)
    return text[:at], "~" if text[at] == "~" else "", text[at + 1 :]


def differences(old: dict[str, str] | None, new: dict[str, str]) -> list[str]:
    """Sentences, one for each thing that changed against the reference."""
    if old is None:
        return ["there is no reference of this row: look at it, then --accept it"]
    changed = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before is None or after is None or not _equal(key, before, after):
            changed.append(f"{key.rstrip('~')}: the reference has {before or 'nothing'}, now {after or 'nothing'}")
    return changed


def _equal(key: str, before: str, after: str) -> bool:
    if not key.endswith("~"):
        return before == after
    first, second = _ABOUT.fullmatch(before), _ABOUT.fullmatch(after)
    return bool(first and second and abs(float(first["value"]) - float(second["value"])) <= float(first["bound"]))


def accept(group: str, lines: dict[str, dict[str, str]], names: list[str], reason: str) -> None:
    """Take over what rows give now; `names` are all rows of the group, in their order. The reason stands above the rows."""
    path = FOLDER / f"{group}.txt"
    old = stored(group)
    history = [t for t in path.read_text("utf-8").splitlines() if t.startswith("#")] if path.exists() else []
    touched = [name for name in names if name in lines and differences(old.get(name), lines[name])]
    gone = [name for name in old if name not in names]
    if not touched and not gone:
        return
    which = ", ".join((touched + gone)[:8]) + (f" and {len(touched + gone) - 8} more" if len(touched + gone) > 8 else "")
    history.append(f"# {reason} ({which})")
    now = {name: lines[name] if name in touched else old[name] for name in names if name in touched or name in old}
    rows = [f"{name}  {' '.join(_shown(key, value) for key, value in line.items())}" for name, line in now.items()]
    FOLDER.mkdir(exist_ok=True)
    path.write_text("\n".join([*history, "", *rows]) + "\n", "utf-8")


def _shown(key: str, value: str) -> str:
    return f"{key}{value}" if key.endswith("~") else f"{key}={value}"
