"""Registries: what there is of each kind that users may add to, by name.

A registry lies at the ground, so that every room may ask it; what it holds is named as text and imported when it is wanted. Its
room tells the built-in ones, and what is wrong with something that is not of the kind. Others come from

- entry points of installed packages, in the group `streamseg.effects` (`.sinks`, `.sources`, `.stages`, `.engines`, `.heads`);
- `register`, for this process;
- `use`, for a reference `module:Class` that a pipeline file gives.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any, get_type_hints

from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, did_you_mean

__all__ = [
    "EFFECTS",
    "ENGINES",
    "HEADS",
    "REGISTRIES",
    "SINKS",
    "SOURCES",
    "STAGES",
    "Found",
    "Reference",
    "Registry",
    "import_reference",
    "nearest",
    "why_no_options",
]

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_SELF = "streamseg"


class Reference(str):
    """A `module:Class` that may be imported: it was trusted when it was read."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A plug-in, as `streamseg doctor` lists it."""

    kind: str
    name: str
    package: str
    version: str
    where: str
    """`module:Class`."""
    problem: str | None
    """Why it cannot be used; None if it can."""


class Registry:
    """What there is of one kind.

    kind: as messages call it ("effect"); the group of entry points is `streamseg.KINDs`.
    room: the module that has `builtin()`, a mapping from names to the built-in ones (or where they are, as `module:name`), and
        `why_not(thing)`, which says what keeps a thing from being one of the kind (None: nothing).
    """

    def __init__(self, kind: str, room: str) -> None:
        self.kind, self.group = kind, f"{_SELF}.{kind}s"
        self._room = room
        self._registered: dict[str, Any] = {}

    def names(self) -> list[str]:
        """All names, the built-in ones first. Imports no plug-in."""
        builtin = self._builtin()
        others = {*self._registered, *(point.name for point in _entry_points(self.group))}
        return [*builtin, *sorted(others - set(builtin))]

    def is_builtin(self, name: str) -> bool:
        """Whether it is the name of a built-in one."""
        return name in self._builtin()

    def added(self) -> list[str]:
        """The names of those that are not built in. Imports none."""
        return [name for name in self.names() if not self.is_builtin(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._builtin() or name in self._registered or any(p.name == name for p in _entry_points(self.group))

    def get(self, name: str) -> Any:
        """The one of that name; a plug-in is imported now. Raises ConfigError, which lists what there is."""
        builtin = self._builtin()
        if name in builtin:
            return import_reference(builtin[name]) if isinstance(builtin[name], str) else builtin[name]
        if name in self._registered:
            return self._registered[name]
        points = [point for point in _entry_points(self.group) if point.name == name]
        if not points:
            raise ConfigError(f"there is no {self.kind} {brief(name)}{nearest(name, self.names())}")
        if len(points) > 1:
            raise ConfigError(
                f"{_and([_package(p) for p in points])} each bring the {self.kind} {name!r}: uninstall one of them"
            )
        if (problem := self._problem(points[0])) is not None:
            raise ConfigError(f"the {self.kind} {name!r} of {_package(points[0])} cannot be used: {problem}")
        return points[0].load()

    def register(self, name: str, thing: Any) -> None:
        """Add one for this process. Raises ConfigError for a name that is taken, and for what is not of the kind."""
        if name in self and self._registered.get(name) is not thing:
            raise ConfigError(f"there is already {_article(self.kind)} {name!r}; register yours under another name")
        if (reason := self.why_not(thing)) is not None:
            raise ConfigError(f"{brief(thing)} cannot be registered as {_article(self.kind)}: {reason}")
        self._registered[name] = thing

    def use(self, reference: str) -> Any:
        """What `module:Class` names, imported now: only for a reference that may run code. Raises ConfigError."""
        thing = import_reference(reference)
        if (reason := self.why_not(thing)) is not None:
            raise ConfigError(f"{reference} is not {_article(self.kind)}: {reason}")
        return thing

    def pick(self, name: str) -> Any:
        """The one of that name, or that a Reference names. Raises ConfigError."""
        return self.use(name) if isinstance(name, Reference) else self.get(name)

    def found(self) -> list[Found]:
        """Every plug-in, each imported to see whether it can be."""
        builtin, points = self._builtin(), _entry_points(self.group)
        listed = []
        for point in points:
            rivals = [p for p in points if p.name == point.name and p is not point]
            if point.name in builtin:
                problem: str | None = (
                    f"refused: streamseg itself has {_article(self.kind)} {point.name!r}; rename the plug-in's"
                )
            elif rivals:
                problem = f"{_and([_package(p) for p in rivals])} brings one of this name, too: uninstall one of them"
            else:
                problem = self._problem(point)
            package, version = _owner(point)
            listed.append(Found(self.kind, point.name, package, version, point.value, problem))
        return listed

    def taken(self, name: str) -> str | None:
        """What to say where a plug-in's name is that of a built-in one, which is used in its place; None where none is."""
        rivals = [point for point in _entry_points(self.group) if point.name == name] if name in self._builtin() else []
        if not rivals:
            return None
        return f"{self.kind} {name!r} is streamseg's own; that of {_and([_package(p) for p in rivals])} is refused"

    def _problem(self, point: EntryPoint) -> str | None:
        """Why a plug-in cannot be used; None if it can."""
        try:
            thing = point.load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
            return f"{type(error).__name__}: {error}"
        return self.why_not(thing)

    def _builtin(self) -> dict[str, Any]:
        builtin: Callable[[], dict[str, Any]] = import_module(self._room).builtin
        return builtin()

    def why_not(self, thing: Any) -> str | None:
        """What keeps `thing` from being one of the kind; None: nothing does."""
        why_not: Callable[[Any], str | None] = import_module(self._room).why_not
        return why_not(thing)


EFFECTS = Registry("effect", "streamseg.composite.effect")

SINKS = Registry("sink", "streamseg.encode.kinds")
ENGINES = Registry("engine", "streamseg.engine.choose")
SOURCES = Registry("source", "streamseg.decode.added")
STAGES = Registry("stage", "streamseg.pipeline.extra")
HEADS = Registry("head", "streamseg.detect.heads")

REGISTRIES = (EFFECTS, SINKS, SOURCES, STAGES, ENGINES, HEADS)


def import_reference(reference: str) -> Any:
    """What `module:Class` names. Raises ConfigError."""
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise ConfigError(f"{brief(reference)} does not name a class; write module:Class, as my_module:Glow")
    module, _, path = reference.partition(":")
    try:
        thing: Any = import_module(module)
        for part in path.split("."):
            thing = getattr(thing, part)
    except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
        raise ConfigError(f"{reference} cannot be imported: {type(error).__name__}: {error}") from error
    return thing


def why_no_options(kind: type) -> str | None:
    """What keeps the fields of a class from being its options; None: nothing does."""
    if not dataclasses.is_dataclass(kind):
        return "it is not a dataclass, whose fields would be its options"
    try:
        get_type_hints(kind, include_extras=True)
    except Exception as error:  # whatever a stranger's annotations do when they are evaluated
        return f"the types of its fields cannot be read: {type(error).__name__}: {error}"
    return None


def nearest(name: str, known: list[str]) -> str:
    """What a message about an unknown name goes on with: the nearest that there is, and all of them."""
    return f"{did_you_mean(name, known)} (there are: {', '.join(known)})"


def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    return _all_entry_points(tuple(sys.path)).get(group, ())


@lru_cache(maxsize=4)
def _all_entry_points(path: tuple[str, ...]) -> dict[str, tuple[EntryPoint, ...]]:
    """The groups of streamseg, of what can be imported from `path`: read once, as that takes a moment.

    Of a package that is there more than once (installed for development besides, a folder found by two ways) the first counts. What
    an installation left behind that cannot be read, whosever it is, is passed over: `entry_points()` would fail for it.
    """
    groups: dict[str, list[EntryPoint]] = {}
    seen = set[str]()
    for package in importlib.metadata.distributions():
        try:
            points = [point for point in package.entry_points if point.group.startswith(f"{_SELF}.")]
        except (OSError, ValueError, TypeError, AttributeError):
            continue
        name = re.sub(r"[-_.]+", "-", _owner(points[0])[0]).lower() if points else ""
        if points and name not in seen:
            seen.add(name)
            for point in points:
                groups.setdefault(point.group, []).append(point)
    return {group: tuple(sorted(points, key=lambda p: (p.name, _package(p)))) for group, points in groups.items()}


def _owner(point: EntryPoint) -> tuple[str, str]:
    """The package that an entry point belongs to, and its version; "?" where its own metadata do not say."""
    try:
        return (point.dist.name or "?", point.dist.version or "?") if point.dist is not None else ("?", "?")
    except (OSError, ValueError, TypeError, KeyError):
        return "?", "?"


def _package(point: EntryPoint) -> str:
    return " ".join(_owner(point))


def _and(names: list[str]) -> str:
    return " and ".join(names)


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
