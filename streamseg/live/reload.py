"""A file of cameras that is edited while they run: noticed when it rests, and only what the edit changed is taken over.

What was changed since by other ways (the page, MQTT) stays as it is, unless the edit speaks of the same option of the same camera.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from streamseg.config.live_page import page_of
from streamseg.errors import ConfigError
from streamseg.live.config import LiveConfig, LiveFile
from streamseg.live.control import Control

__all__ = ["Changing", "Edit", "Edited", "sections"]

Stamp = tuple[int, int, int] | None


class Edited:
    """Tells when a file was edited. An editor may write it in several steps, or put another in its place: it has to rest first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._seen = self._stamp()
        self._gone = False

    def look(self) -> Literal["as it was", "edited", "gone"]:
        """What became of it, told once: another one than was read, or back; or away, or not to be read. Each at two looks."""
        before, self._seen = self._seen, self._stamp()
        if self._seen != before:
            return "as it was"
        known, self._gone = self._gone, self._seen is None
        if self._seen is None:
            return "as it was" if known else "gone"
        if self._seen == self._read and not known:
            return "as it was"
        self._read = self._seen
        return "edited"

    def _stamp(self) -> Stamp:
        """None: it cannot be read, as for a moment while an editor puts another in its place."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if os.access(self._path, os.R_OK) else None


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
    def of(cls, control: Changing, before: LiveFile, after: LiveFile, running: Mapping[str, object]) -> Self:
        """What became of the file; `running`: its `sections` as they count now. Raises ConfigError, naming all that is wrong."""
        there = {status.name for status in control.cameras()}
        added: dict[str, Mapping[str, Any]] = {}
        changed: dict[str, Mapping[str, Any]] = {}
        for name, options in after.cameras.items():
            if name not in before.cameras:
                (changed if name in there else added)[name] = dict(options)
            elif name in there and (differences := _differences(before.cameras[name], options)):
                changed[name] = differences
        problems = list(after.problems)
        for name, options in {**added, **changed}.items():
            try:
                control.check_change(name, options)
            except ConfigError as error:
                problems += after.placed(name, str(error))
        if problems:
            raise ConfigError("\n".join(problems))
        removed = [name for name in before.cameras if name not in after.cameras and name in there]
        others = [name for name, meant in sections(after).items() if meant != running[name]]
        return cls(added, removed, changed, others)

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
        if self.others:
            *first, last = self.others
            which = f"{', '.join(first)} and {last} count" if first else f"{last} counts"
            done.append(f"{which} from the next start on")
        return "; ".join(done) or "nothing has changed"


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are others; None for those that are there no more."""
    return {key: after.get(key) for key in (*after, *before) if before.get(key) != after.get(key)}


def sections(file: LiveFile) -> dict[str, object]:
    """Section → what it means, beside those of cameras: however it is written."""
    names = sorted(LiveConfig.model_fields.keys() - {"cameras", "defaults"})
    meant: dict[str, object] = {name: getattr(file.config, name) for name in names}
    # An empty one says more than none. Of the page a flag goes before what stands there.
    meant["record"] = ("record" in file.raw, file.config.record)
    meant["page"] = ("page" in file.raw, page_of(file.raw.get("page")))
    return meant
