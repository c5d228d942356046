"""Selection: which objects of a film are meant."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.select.parse import parse
from streamseg.select.terms import All, And, At, Largest, Name, Not, Nothing, Or, Term, Track, walk

__all__ = ["Selection"]

BoolArray = npt.NDArray[np.bool_]


class Selection:
    """Which objects are meant: `Selection.parse("person#3, largest car")`, or made of parts by `&`, `|` and `~`.

        hero = Selection.track(3) | Selection.at("00:12", 640, 360)
        extras = Selection.of_class("person") & ~hero

    It never changes; `str` gives it as text that means the same. `largest` and `at` are known when the whole film has been looked
    at.
    """

    __slots__ = ("_term",)

    def __init__(self, text: str | Self = "all") -> None:
        """As `parse`."""
        self._term: Term = self.parse(text)._term

    @classmethod
    def of(cls, term: Term) -> Self:
        """The selection that a term makes."""
        made = cls.__new__(cls)
        made._term = term
        return made

    @classmethod
    def parse(cls, text: str | Self) -> Self:
        """The selection that `text` means (docs/selections.md has the grammar). Raises ConfigError, which shows the place."""
        if isinstance(text, Selection):
            return cls.of(text._term)
        if not isinstance(text, str):
            raise ConfigError(f"a selection is a text, as 'person#3, largest', not {brief(text)}")
        return cls.of(_parsed(text))

    @classmethod
    def all(cls) -> Self:
        """Every object."""
        return cls.of(All())

    @classmethod
    def none(cls) -> Self:
        """No object."""
        return cls.of(Nothing())

    @classmethod
    def of_class(cls, name: str) -> Self:
        """The objects of a class."""
        return cls.of(Name(_checked(name)))

    @classmethod
    def named(cls, name: str) -> Self:
        """The track that has been given this name, or the selection that is kept under it."""
        return cls.of(Name(_checked(name)))

    @classmethod
    def track(cls, track_id: int) -> Self:
        """One track. Raises ConfigError for a number below 1."""
        if isinstance(track_id, bool) or not isinstance(track_id, int | np.integer) or track_id < 1:
            raise ConfigError(f"a track has a number from 1 on, not {brief(track_id)}")
        return cls.of(Track(int(track_id)))

    @classmethod
    def largest(cls, name: str = "") -> Self:
        """The track of the greatest area, summed over the whole film; `name`: of those of a class."""
        return cls.of(Largest(_checked(name) if name else ""))

    @classmethod
    def at(cls, time: float | str, x: float, y: float) -> Self:
        """What is in front at a point (pixels of the upright frame) at a time (seconds, or as "00:12"). Raises ConfigError."""
        return cls.parse(f"at {time} {x},{y}")

    @property
    def term(self) -> Term:
        """What it is made of."""
        return self._term

    @property
    def needs_film(self) -> bool:
        """Whether the whole film must have been looked at before it is known."""
        return any(isinstance(term, Largest | At) for term in self)

    @property
    def names(self) -> list[str]:
        """The classes and given names in it, each once."""
        return list(dict.fromkeys(term.name for term in self if isinstance(term, Name | Track | Largest) and term.name))

    def chosen(self, found: Result | Instances) -> BoolArray:
        """[N] bool: which of the instances of one frame are meant.

        Raises ConfigError for a name that is not known, and for what needs the whole film.
        """
        return self._term.chosen(found if isinstance(found, Instances) else found.instances)

    def __iter__(self) -> Iterator[Term]:
        """The terms in it."""
        return walk(self._term)

    def __and__(self, other: str | Self) -> Self:
        return self.of(And.of(self._term, Selection.parse(other)._term))

    def __or__(self, other: str | Self) -> Self:
        return self.of(Or.of(self._term, Selection.parse(other)._term))

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> Self:
        return self.of(self._term.inner if isinstance(self._term, Not) else Not(self._term))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selection) and self._term == other._term

    def __hash__(self) -> int:
        return hash(self._term)

    def __str__(self) -> str:
        return str(self._term)

    def __repr__(self) -> str:
        return f"Selection({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Term:
    return parse(text)


def _checked(name: str) -> str:
    if not isinstance(name, str) or not name.strip() or ('"' in name and "'" in name):
        raise ConfigError(f"a name is a text that is not empty, without both kinds of quotation marks; not {brief(name)}")
    return name
