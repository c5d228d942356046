"""Kept events as the page asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streamseg.live.keep.rows import KeptEvent
from streamseg.live.keep.store import EventStore

__all__ = ["Archive", "plain"]


def plain(event: KeptEvent) -> dict[str, Any]:
    """An event as JSON says it."""
    said = asdict(event)
    said["class"], said["track"] = said.pop("name"), said.pop("track_id")
    said["thumbnail"] = said.pop("has_thumbnail")
    return said


class Archive:
    """Finds events, their thumbnails and clips. Thread-safe; raises OutputError where the data base cannot be read."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def search(
        self, text: str = "", since: float | None = None, until: float | None = None, camera: str = "", limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """The newest first; `clip`: whether there is one. Warnings are left out."""
        found = self._store.search(text, since=since, until=until, camera=camera or None, not_kind="warning", limit=limit)
        return [plain(event) | {"clip": bool(event.clip)} for event in found]

    def thumbnail(self, event: str) -> bytes:
        """JPEG; empty: there is none."""
        return self._store.thumbnail(event)

    def clip(self, event: str) -> Path | None:
        """The film of an event; None: there is none, or it is not finished."""
        path = self._store.clip(event)
        return path if path is not None and path.is_file() else None
