"""A file of cameras that is edited while they run: noticed when it rests, and only what the edit changed is taken over.

What was changed since by other ways (the page, MQTT) stays as it is, unless the edit speaks of the same option of the same camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from streamseg.errors import ConfigError
from streamseg.live.config import LiveFile
from streamseg.live.control import Control

__all__ = ["Changing", "Edit", "Edited"]

Stamp = tuple[int, int, int] | None


class Edited:
    """Tells when a file was edited. An editor may write it in several steps, or put another in its place: it has to rest first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._seen = self._stamp()

    def settled(self) -> bool:
        """Whether it is another one than when this was last true, and the same as at the last call."""
        before, self._seen = self._seen, self._stamp()
        if self._seen is None or self._seen != before or self._seen == self._read:
            return False
        self._read = self._seen
        return True

    def _stamp(self) -> Stamp:
        """None: it is not there, as for a moment while an editor puts another in its place."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)


class Changing(Control, Protocol):
    """Who runs the cameras."""

    def check_change(self, name: str, options: Mapping[str, Any]) -> None:
        """Raises ConfigError where a camera, which may be a new one, cannot be so."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edit changed, all of it checked."""

    added: Mapping[str, Mapping[str, Any]]
    """Cameras, and their options."""
    removed: Sequence[str]
    changed: Mapping[str, Mapping[str, Any]]
    """Cameras, and the options of them that are others."""
    others: Sequence[str]
    """Sections that count from the next start on."""

    @classmethod
    def of(cls, control: Changing, before: LiveFile, after: LiveFile) -> Self:
        """What became of the file. Raises ConfigError, naming all that is wrong."""
        there = {status.name for status in control.cameras()}
        added: dict[str, Mapping[str, Any]] = {}
        changed: dict[str, Mapping[str, Any]] = {}
        for name, options in after.cameras.items():
            if name not in before.cameras:
                (changed if name in there else added)[name] = dict(options)
            elif name in there and (differences := _differences(before.cameras[name], options)):
                changed[name] = differences
        problems = []
        for name, options in {**added, **changed}.items():
            try:
                control.check_change(name, options)
            except ConfigError as error:
                problems += str(error).splitlines()
        if problems:
            raise ConfigError("\n".join(problems))
        removed = [name for name in before.cameras if name not in after.cameras and name in there]
        return cls(added, removed, changed, _others(before, after))

    def apply(self, control: Changing) -> str:
        """Do it, and tell what was done."""
        for name in self.removed:
            control.remove(name)
        for name, options in self.added.items():
            control.add(name, options)
        for name, options in self.changed.items():
            control.change(name, options)
        done = [f"{name} added" for name in self.added] + [f"{name} removed" for name in self.removed]
        done += [f"{name}: {', '.join(options)}" for name, options in self.changed.items()]
        done += [f"{name} counts from the next start on" for name in self.others]
        return "; ".join(done) or "nothing has changed"


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are others; None for those that are there no more."""
    return {key: after.get(key) for key in (*after, *before) if before.get(key) != after.get(key)}


def _others(before: LiveFile, after: LiveFile) -> list[str]:
    """The sections that are others, beside those of cameras."""
    names = {**before.raw, **after.raw}.keys() - {"cameras", "defaults"}
    return [name for name in sorted(names) if before.raw.get(name) != after.raw.get(name)]
