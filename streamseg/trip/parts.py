"""What the name of a recorder's file says: when, by which of its cameras, which number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["VIEWS", "Name", "Part", "read_name"]

VIEWS = ("front", "rear", "interior", "left", "right", "tele")
"""The cameras of a recorder."""

_VIEW = {
    "f": "front",
    "front": "front",
    "a": "front",
    "r": "rear",
    "b": "rear",
    "rear": "rear",
    "back": "rear",
    "i": "interior",
    "interior": "interior",
    "inside": "interior",
    "cabin": "interior",
    "in": "interior",
    "t": "tele",
    "tele": "tele",
    "left_repeater": "left",
    "right_repeater": "right",
    "left_pillar": "left pillar",
    "right_pillar": "right pillar",
    "left": "left",
    "right": "right",
}
_PATTERNS = tuple(
    (recorder, re.compile(pattern, re.IGNORECASE))
    for recorder, pattern in (
        ("GoPro", r"G[HXLPS](?P<chapter>\d\d)(?P<number>\d{4})"),
        ("GoPro", r"GOPR(?P<number>\d{4})"),
        ("Tesla", r"(?P<time>\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)-(?P<view>front|back|(?:left|right)_(?:repeater|pillar))"),
        ("Nextbase", r"(?P<time>\d{6}_\d{6})_(?P<number>\d{3})_(?P<view>[FRI])(?P<quality>[HL])"),
        ("70mai", r"(?P<mode>NO|EV|PA|LA|TL)(?P<time>\d{8}-\d{6})-(?P<number>\d{6})(?P<view>[FBRI])?"),
        ("Thinkware", r"(?P<mode>REC|EVT|MOT|PRK|MAN|TLP|SOS)_(?P<time>\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d)_(?P<view>[FRI])"),
        ("BlackVue", r"(?P<time>\d{8}_\d{6})_(?P<mode>[A-Z])(?P<view>[FRI])(?P<quality>[SL])?"),
        ("Viofo", r"(?P<time>\d{4}_?\d{4}_?\d{6})_(?P<number>\d{4,7})?(?P<mode>[PEL])?(?P<view>[FRIT])"),
        ("DDPai", r"(?:G_)?(?P<time>\d{14})_(?P<lasts>\d{4})(?:_(?P<view>[FRI]))?"),
        ("Garmin", r"GRMN(?P<number>\d{4})"),
        (
            "",
            r".*?(?<!\d)(?P<time>20\d\d[-_.]?\d\d[-_.]?\d\d[-_. T]?\d\d[-_.:h]?\d\d[-_.:m]?\d\d)(?!\d)"
            r"(?:[-_. ]*(?P<number>\d{1,7}))?(?:[-_. ]*(?P<view>front|rear|back|interior|inside|cabin|left|right|[FRBI]))?",
        ),
        (
            "",
            r"(?P<prefix>.*?)(?P<number>\d{1,9})(?:[-_. ]*(?P<view>front|rear|back|interior|inside|cabin|left|right|[FRBI]))?",
        ),
    )
)
"""Names without their endings, by maker; the last ones are those of anybody."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a name says."""

    recorder: str
    """The maker; empty: none that is known."""
    view: str | None = None
    """The camera; None: not told."""
    time: float | None = None
    """Seconds since 1970 of the local time, as if it were UTC."""
    number: int | None = None
    chapter: int | None = None
    """Which part of one recording it is (GoPro), from 0."""
    small: bool = False
    """A copy in lower quality."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a trip."""

    path: Path
    start: float | None
    """When it begins, seconds since 1970 of the recorder's clock, exact to a second or so; None: not known."""
    lasts: float | None
    """Seconds, as its header says; None: it does not."""
    follows: bool = False
    """It is known to go on where the one before ends: a chapter of one recording."""
    clock_set: bool = False
    """The recorder's clock was set between the one before and this one: nothing tells how much time lies between."""


def read_name(path: Path) -> Name:
    """What a file is, by its name, and by the folders it is in where it names no camera."""
    found = next(((recorder, m) for recorder, pattern in _PATTERNS if (m := pattern.fullmatch(path.stem)) is not None), None)
    recorder, groups = ("", {}) if found is None else (found[0], found[1].groupdict())
    view = _VIEW.get((groups.get("view") or "").lower()) or _view_of_folder(path)
    number, chapter = groups.get("number"), groups.get("chapter")
    if recorder == "GoPro":
        chapter = chapter or "00"
    return Name(
        recorder,
        view,
        _time(groups.get("time")),
        None if number is None else int(number),
        None if chapter is None else int(chapter),
        (groups.get("quality") or "").upper() in ("L", "S"),
    )


def _view_of_folder(path: Path) -> str | None:
    for folder in reversed(path.parent.parts[-3:]):
        for word in re.split(r"[-_. ]", folder.lower()):
            if len(word) > 1 and word in _VIEW:
                return _VIEW[word]
        if folder.upper() in ("F", "R", "B", "I"):
            return _VIEW[folder.lower()]
    return None


def _time(text: str | None) -> float | None:
    digits = re.sub(r"\D", "", text or "")
    digits = "20" + digits if len(digits) == 12 else digits
    if len(digits) != 14:
        return None
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
