"""Names of files made of what a person, or a model, called a thing: the same on every system, and no two of them one file."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["FileNames", "file_name"]

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*%{}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]')
"""On Windows, on any system, in a printf pattern or a placeholder; and what is not seen, or turns round what is written."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Devices on Windows, also with an ending."""
_MOST_BYTES = 120
"""Of 255 that file systems hold: there is an ending and a number, too."""


def file_name(text: str) -> str:
    """`text` as (a part of) the name of a file: `a/b` is `a_b`, `CON` is `_CON`. Never empty, `.` or `..`."""
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip().rstrip(". ")
    name = name.encode("utf-8")[:_MOST_BYTES].decode("utf-8", "ignore").rstrip(". ")
    if not name or name[0] in ".-~" or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name


class FileNames:
    """Gives each thing a name of its own: `Anna` and `anna` are one file on some systems."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, text: str, other: str) -> str:
        """The name for `text`; where it is taken, with `other` behind it, and then with a number."""
        plain = file_name(text)
        more = (file_name(f"{plain}-{other}{number}") for number in ("", *map("-{}".format, range(2, 10_000))))
        name = next(choice for choice in (plain, *more) if self._twin(choice) not in self._taken)
        self._taken.add(self._twin(name))
        return name

    @staticmethod
    def _twin(name: str) -> str:
        return unicodedata.normalize("NFKC", name).casefold()
