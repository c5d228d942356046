"""What a selection is made of: terms that say of each instance of a frame whether it is meant, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.errors.describe import classes_known

__all__ = ["RESERVED", "All", "And", "At", "Largest", "Name", "Not", "Nothing", "Or", "Term", "Track", "quoted", "walk"]

BoolArray = npt.NDArray[np.bool_]
RESERVED = ("all", "and", "at", "largest", "none", "not", "or")
"""Words of the grammar: a class or a name that is one of them is written in quotes."""
_PLAIN = re.compile(r"[^\s,()#&|~!'\"]+(?: [^\s,()#&|~!'\"]+)*")


def quoted(name: str) -> str:
    """A name as it is to be written: in quotes where it would be read as something else."""
    if _PLAIN.fullmatch(name) and not any(word.lower() in RESERVED for word in name.split(" ")):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


@dataclass(frozen=True, slots=True)
class Term:
    """Base of all terms."""

    binds: ClassVar[int] = 3
    """How strongly it holds its parts together: what binds less strongly stands in brackets within it."""

    def chosen(self, instances: Instances) -> BoolArray:
        """[N] bool: the instances that are meant. Raises ConfigError for a name that is not known."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError

    @property
    def parts(self) -> tuple[Term, ...]:
        """The terms that it is made of."""
        return ()

    def changed(self, change: Callable[[Term], Term]) -> Term:
        """The term with `change` made on each of its parts first, then on itself."""
        return change(self)

    def _within(self, part: Term) -> str:
        return f"({part})" if part.binds < self.binds else str(part)


def walk(term: Term) -> Iterator[Term]:
    """The term and all of its parts."""
    yield term
    for part in term.parts:
        yield from walk(part)


@dataclass(frozen=True, slots=True)
class All(Term):
    """Every instance."""

    def chosen(self, instances: Instances) -> BoolArray:
        """See Term."""
        return np.ones(len(instances), np.bool_)

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True, slots=True)
class Nothing(Term):
    """No instance."""

    def chosen(self, instances: Instances) -> BoolArray:
        """See Term."""
        return np.zeros(len(instances), np.bool_)

    def __str__(self) -> str:
        return "none"


@dataclass(frozen=True, slots=True)
class Name(Term):
    """The instances of a class; or the track that a person has given this name, or a selection that was kept under it."""

    name: str

    def chosen(self, instances: Instances) -> BoolArray:
        """See Term."""
        known = instances.class_names
        if self.name in known:
            return np.asarray(instances.labels == known.index(self.name), np.bool_)
        given = {name: track for track, name in instances.track_names.items()}
        if self.name in given:
            return np.asarray(instances.track_ids == given[self.name], np.bool_)
        raise ConfigError(
            f"{quoted(self.name)} is neither a class nor a name that was given; {classes_known(self.name, known)}"
        )

    def __str__(self) -> str:
        return quoted(self.name)


@dataclass(frozen=True, slots=True)
class Track(Term):
    """The instances of one track."""

    track_id: int
    name: str = ""
    """The class that the person calls it; only of that class. Empty: of any."""

    def chosen(self, instances: Instances) -> BoolArray:
        """See Term."""
        found = np.asarray(instances.track_ids == self.track_id, np.bool_)
        return found & Name(self.name).chosen(instances) if self.name else found

    def __str__(self) -> str:
        return f"{quoted(self.name) if self.name else ''}#{self.track_id}"


class _OfTheFilm(Term):
    """What no frame alone can tell."""

    __slots__ = ()

    def chosen(self, instances: Instances) -> BoolArray:
        """Raises ConfigError: it has to be made tracks first."""
        raise ConfigError(
            f"{str(self)!r} is known when the whole film has been looked at: Selection.resolve makes tracks of it"
        )


@dataclass(frozen=True, slots=True)
class Largest(_OfTheFilm):
    """The track of the greatest area, summed over all frames; of a class, where one is named."""

    name: str = ""

    def __str__(self) -> str:
        return f"largest {quoted(self.name)}" if self.name else "largest"


@dataclass(frozen=True, slots=True)
class At(_OfTheFilm):
    """The track whose mask is in front at a point of the picture at a time."""

    time: float
    """Seconds from the film's beginning, as players count."""
    x: float
    """Pixels of the upright frame, from the left."""
    y: float

    def __str__(self) -> str:
        return f"at {self.time:.6f}".rstrip("0").rstrip(".") + f" {self.x:g},{self.y:g}"


@dataclass(frozen=True, slots=True)
class Not(Term):
    """What the inner one does not mean."""

    inner: Term
    binds: ClassVar[int] = 2

    @property
    def parts(self) -> tuple[Term, ...]:
        """See Term."""
        return (self.inner,)

    def changed(self, change: Callable[[Term], Term]) -> Term:
        """See Term."""
        return change(Not(self.inner.changed(change)))

    def chosen(self, instances: Instances) -> BoolArray:
        """See Term."""
        return ~self.inner.chosen(instances)

    def __str__(self) -> str:
        return f"not {self._within(self.inner)}"


@dataclass(frozen=True, slots=True)
class _Several(Term):
    """Two terms or more, none of them of the same kind: these are taken apart."""

    terms: tuple[Term, ...]
    word: ClassVar[str]

    @classmethod
    def of(cls, *terms: Term) -> Term:
        """All of them joined; one alone is itself."""
        flat = tuple(part for term in terms for part in (term.parts if isinstance(term, cls) else (term,)))
        return flat[0] if len(flat) == 1 else cls(flat)

    @property
    def parts(self) -> tuple[Term, ...]:
        """See Term."""
        return self.terms

    def changed(self, change: Callable[[Term], Term]) -> Term:
        """See Term."""
        return change(self.of(*(term.changed(change) for term in self.terms)))

    def __str__(self) -> str:
        return f" {self.word} ".join(map(self._within, self.terms))


@dataclass(frozen=True, slots=True)
class And(_Several):
    """What all of them mean."""

    binds: ClassVar[int] = 1
    word: ClassVar[str] = "and"

    def chosen(self, instances: Instances) -> BoolArray:
        """See Term."""
        return np.asarray(np.logical_and.reduce([term.chosen(instances) for term in self.terms]), np.bool_)


@dataclass(frozen=True, slots=True)
class Or(_Several):
    """What any of them means."""

    binds: ClassVar[int] = 0
    word: ClassVar[str] = "or"

    def chosen(self, instances: Instances) -> BoolArray:
        """See Term."""
        return np.asarray(np.logical_or.reduce([term.chosen(instances) for term in self.terms]), np.bool_)
