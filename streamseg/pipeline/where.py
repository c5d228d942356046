"""Where the vehicle was at each frame: the telemetry of the film, as the scene stage asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from streamseg.config.schema import PipelineConfig
from streamseg.core.result import Result
from streamseg.core.scene import Fix
from streamseg.decode import SourceInfo
from streamseg.errors import ConfigError
from streamseg.system.callbacks import Message
from streamseg.telemetry import FilmTime, created_at, named_at, read_telemetry

__all__ = ["Fixes", "fixes_of"]

Fixes = Callable[[Result], Fix | None]


def fixes_of(config: PipelineConfig, source: object, info: SourceInfo, on_message: Message | None) -> Fixes | None:
    """What gives a frame's position; None: nobody asks for it, or nothing tells. Reads the film's telemetry.

    Raises ConfigError for a log that is named and whose film has no file; else as `read_telemetry`.
    """
    scene = config.scene
    if not scene.watch or scene.telemetry == "off":
        return None
    log = None if scene.telemetry == "auto" else Path(scene.telemetry).expanduser()
    if info.kind != "file" or not isinstance(source, str | os.PathLike) or not os.path.isfile(source):
        if log is not None:
            raise ConfigError(f"telemetry {log}: a log is put on the clock of a film that is a file, which {info.name} is not")
        return None
    film = Path(source)
    track = read_telemetry(film, film_time(film, info), log=log, offset=scene.telemetry_offset, on_message=on_message)
    return None if track is None else lambda result: track.at(result.time)


def film_time(film: Path, info: SourceInfo) -> FilmTime:
    """What is known of when a film was recorded."""
    return FilmTime(info.start_time - info.start, info.duration, created_at(info.metadata), named_at(film.stem))
