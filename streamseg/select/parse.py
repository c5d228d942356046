"""The grammar of selections, read from left to right.

    selection  one or more of: expression, separated by commas; those that begin with `not` take away from the others
    expression expression `or` expression, expression `and` expression (which binds more strongly), `not` expression, ( selection )
    term       all | none | CLASS | NAME | CLASS#N | #N | largest | largest CLASS | at TIME X,Y

Names with brackets, commas or words of the grammar in them stand in quotes. `&`, `|` and `~` mean `and`, `or` and `not`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from streamseg.core.seconds import parse_seconds
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.select.terms import All, And, At, Largest, Name, Not, Nothing, Or, Term, Track

__all__ = ["parse"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|\#\s*(?P<track>\d+)|(?P<sign>[,()&|~!])"""
    r"""|(?P<word>[^\s,()#&|~!"'][^\s,()#&|~!"]*))"""
)
_AT = re.compile(r"at\s+(?P<time>(?:[^(),]|,(?=\d))+?)\s+(?P<x>[\d.]+)\s*,\s*(?P<y>[\d.]+)(?=$|[\s,)&|])", re.IGNORECASE)
_SIGNS = {"&": "and", "|": "or", "~": "not", "!": "not"}
_DEEPEST = 50
_LONGEST = 100
"""Characters of a name."""
Kind = Literal["quoted", "track", "sign", "word", "at", "end"]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Kind
    text: str
    at: int
    """Where it begins."""
    value: Term | None = None


def parse(text: str) -> Term:
    """The term that `text` means. Raises ConfigError, which shows the place."""
    if not text.strip():
        raise ConfigError("the selection is empty; write as 'person#3, largest', or all, or none")
    return _Parser(text).selection()


def wrong(text: str, at: int, why: str) -> NoReturn:
    """Raise ConfigError for what is wrong at a place of the text, which is shown under it."""
    begin = max(0, at - 60)
    shown = ("..." if begin else "") + text[begin : begin + 100].replace("\n", " ").replace("\t", " ")
    caret = " " * (at - begin + (3 if begin else 0)) + "^"
    raise ConfigError(f"selection, character {at + 1}: {why}\n  {shown}\n  {caret}")


class _Parser:
    """Reads one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at, self._depth = 0, 0
        self._next = self._scan()

    def selection(self) -> Term:
        """All of the text."""
        found = self._listed()
        if self._next.kind != "end":
            self._unexpected("a comma, 'and', 'or' or the end is expected here")
        return found

    def _scan(self) -> _Token:
        """The token that begins at or behind the place that is reached."""
        text, at = self._text, self._at
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return _Token("end", "", at)
        if point := _AT.match(text, at):
            self._at = point.end()
            return _Token("at", point[0], at, self._point(point))
        found = _TOKEN.match(text, at)
        if found is None:
            what = "this quotation mark has no second one" if text[at] in "\"'" else "a track is # and its number, as person#3"
            wrong(text, at, what if text[at] in "\"'#" else f"{text[at]!r} cannot stand here")
        self._at = found.end()
        kind: Kind = found.lastgroup  # type: ignore[assignment]
        return _Token(kind, found[kind][1:-1] if kind == "quoted" else found[kind], found.start(kind))

    def _point(self, found: re.Match[str]) -> At:
        try:
            time = parse_seconds(found["time"])
        except ValueError as error:
            wrong(self._text, found.start("time"), str(error))
        if not 0 <= time < 1e9:
            wrong(self._text, found.start("time"), "a time is at least 0 seconds")
        numbers = []
        for axis in ("x", "y"):
            try:
                numbers.append(float(found[axis]))
            except ValueError:
                wrong(self._text, found.start(axis), f"{found[axis]!r} is not a number of pixels")
        return At(float(time), *numbers)

    def _take(self) -> _Token:
        taken, self._next = self._next, self._scan()
        return taken

    def _is(self, *words: str) -> bool:
        """Whether the next token is one of those of the grammar."""
        token = self._next
        meant = (
            token.text.lower() if token.kind == "word" else _SIGNS.get(token.text, token.text) if token.kind == "sign" else ""
        )
        return meant in words

    def _unexpected(self, expected: str) -> NoReturn:
        token = self._next
        if token.kind == "word" and token.text.isdigit():
            wrong(self._text, token.at, f"a track is written with #: #{token.text}")
        wrong(self._text, token.at, f"{expected}, not {token.text!r}" if token.text else expected)

    # --- from what binds least to what binds most ---------------------------------------------------------------------------------

    def _listed(self) -> Term:
        self._depth += 1
        if self._depth > _DEEPEST:
            wrong(self._text, self._next.at, f"more than {_DEEPEST} brackets within each other")
        kept, without = list[Term](), list[Term]()
        while True:
            alone = self._is("not")
            term = self._either()
            if alone and isinstance(term, Not):
                without.append(term.inner)
            else:
                kept.append(term)
            if not self._is(","):
                break
            self._take()
        self._depth -= 1
        if not without:
            return Or.of(*kept)
        taken = Not(Or.of(*without))
        return And.of(Or.of(*kept), taken) if kept else taken

    def _either(self) -> Term:
        terms = [self._both()]
        while self._is("or"):
            self._take()
            terms.append(self._both())
        return Or.of(*terms)

    def _both(self) -> Term:
        terms = [self._inverted()]
        while self._is("and"):
            at = self._take().at
            terms.append(self._inverted())
            if why := _never(terms):
                wrong(self._text, at, why)
        return And.of(*terms)

    def _inverted(self) -> Term:
        times = 0
        while self._is("not"):
            self._take()
            times += 1
        term = self._term()
        return Not(term) if times % 2 else term

    def _term(self) -> Term:
        if self._is("("):
            self._take()
            inner = self._listed()
            if not self._is(")"):
                self._unexpected("a closing bracket is missing here")
            self._take()
            return inner
        token = self._next
        if token.value is not None:
            self._take()
            return token.value
        if token.kind == "track":
            return self._track("")
        if self._is("at"):
            wrong(self._text, token.at, "write at TIME X,Y, as: at 00:12 640,360 (pixels from the left and the top)")
        if self._is("all", "none"):
            self._take()
            return All() if token.text.lower() == "all" else Nothing()
        if self._is("largest"):
            self._take()
            return Largest(self._name() if self._names() else "")
        if not self._names() or (token.kind == "word" and token.text.isdigit()):
            self._unexpected("a class, a track as #3, a name, 'largest' or 'at' is needed here")
        name = self._name()
        return self._track(name) if self._next.kind == "track" else Name(name)

    def _names(self) -> bool:
        return self._next.kind == "quoted" or (
            self._next.kind == "word" and not self._is("all", "and", "at", "largest", "none", "not", "or")
        )

    def _name(self) -> str:
        """Words up to what is none, as "traffic light"; or what stands in quotes."""
        first = self._next
        name = self._words()
        if len(name) > _LONGEST or not name.isprintable() or not name.strip():
            wrong(self._text, first.at, f"{brief(name)} is no name")
        return name

    def _words(self) -> str:
        first = self._take()
        if first.kind == "quoted":
            return first.text
        words = [first.text]
        while self._next.kind == "word" and self._names():
            if self._next.text.isdigit() and self._at_end_of_name():
                wrong(self._text, self._next.at, f"a track is written with #: {' '.join(words)}#{self._next.text}")
            words.append(self._take().text)
        return " ".join(words)

    def _at_end_of_name(self) -> bool:
        return re.match(r"\s*(?:$|[,()&|]|(?:and|or)\b)", self._text[self._at :], re.IGNORECASE) is not None

    def _track(self, name: str) -> Term:
        token = self._take()
        if len(token.text) > 18 or (number := int(token.text)) < 1:
            wrong(self._text, token.at, f"there is no track #{token.text[:20]}: they are counted from 1")
        return Track(number, name)


def _never(terms: list[Term]) -> str:
    """Why no instance can be all of them; empty: one may be."""
    tracks = {term.track_id: term for term in terms if isinstance(term, Track)}
    if len(tracks) < 2:
        return ""
    one, other = list(tracks.values())[:2]
    return f"nothing is #{one.track_id} and #{other.track_id} at once; for both write {one}, {other}"
