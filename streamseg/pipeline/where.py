"""Where the vehicle was at each frame: the telemetry of the film, as the scene stage asks for it."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from streamseg.config.schema import PipelineConfig
from streamseg.core.result import Result
from streamseg.core.scene import Fix
from streamseg.decode import Decoder, SourceInfo
from streamseg.decode.joined import Joint
from streamseg.errors import ConfigError, StreamsegError
from streamseg.pipeline.outputs import Target
from streamseg.system.callbacks import Message
from streamseg.telemetry import FilmTime, Track, created_at, named_at, read_telemetry

__all__ = ["Fixes", "fixes_of", "road_untold"]

Fixes = Callable[[Result], Fix | None]


def fixes_of(
    config: PipelineConfig, source: object, decoder: Decoder, on_message: Message | None, whole: SourceInfo | None = None
) -> Fixes | None:
    """What gives a frame's position; None: nobody asks for it, or nothing tells. Reads the film's telemetry.

    `whole`: what is known of the film, where `decoder` reads a part of it.

    Raises ConfigError for a log that is named and whose film has no file; else as `read_telemetry`.
    """
    scene, info = config.scene, whole or decoder.info
    if not scene.watch or scene.telemetry == "off":
        return None
    log = None if scene.telemetry == "auto" else Path(scene.telemetry).expanduser()
    if info.kind not in ("file", "trip") or not isinstance(source, str | os.PathLike):
        if log is not None:
            raise ConfigError(f"telemetry {log}: a log is put on the clock of a film that is a file, which {info.name} is not")
        return None
    read = partial(read_telemetry, offset=scene.telemetry_offset, on_message=on_message)
    if info.kind == "trip" and log is None:
        return _TripFixes(decoder, scene.telemetry_offset, on_message)
    time = _film_time(Path(source), info)
    if decoder.joints:
        time = replace(time, named=decoder.joints[0].part.start)
    track = read(Path(source), time, log=log)
    if track is not None and log is not None:
        _check_within(track, time, log)
    return None if track is None else lambda result: track.at(result.time)


def _check_within(track: Track, film: FilmTime, log: Path) -> None:
    """Raise ConfigError where a log that is named has nothing to say of the film."""
    begin, end = track.span
    length = float("inf") if film.duration is None else film.duration
    if end < film.origin or begin > film.origin + length:
        raise ConfigError(
            f"telemetry {log}: all of it lies {'before' if end < film.origin else 'after'} the film: it is from "
            f"{begin - film.origin:.1f} to {end - film.origin:.1f} s of it; --telemetry-offset puts it where it belongs"
        )


def road_untold(config: PipelineConfig, target: Target) -> str:
    """That effects of an output show the road, and nobody looks at it, in words; empty: they do not, or that was meant."""
    scene = config.scene
    names = [step.name for step in target.composite if step.effect.shows_road]
    if scene.watch or "watch" in scene.model_fields_set or not names:
        return ""
    return f"{target.path}: {', '.join(names)}: nothing is known of the road; scene: on in the pipeline file looks at it"


def _film_time(film: Path, info: SourceInfo) -> FilmTime:
    """What is known of when a film was recorded."""
    return FilmTime(info.start_time - info.start, info.duration, created_at(info.metadata), named_at(film.stem))


class _TripFixes:
    """Positions of the files of a trip, each read when its first frame comes: each has a clock of its own, so that none drifts."""

    def __init__(self, decoder: Decoder, offset: float | None, on_message: Message | None) -> None:
        self._decoder, self._offset, self._say = decoder, offset, on_message
        self._joint: Joint | None = None
        self._track: Track | None = None

    def __call__(self, result: Result) -> Fix | None:
        """Where the vehicle was at a frame."""
        joints = self._decoder.joints
        at = bisect_right(joints, result.time + 1e-6, key=lambda joint: joint.at) - 1
        if at < 0:
            return None
        joint = joints[at]
        if joint is not self._joint:
            self._joint, self._track = joint, self._read(joint)
        return None if self._track is None else self._track.at(result.time - joint.shift)

    def _read(self, joint: Joint) -> Track | None:
        part, say = joint.part, self._say
        time = FilmTime(joint.at - joint.shift, part.lasts, None, part.start)
        try:
            track = read_telemetry(part.path, time, offset=self._offset, on_message=say)
        except StreamsegError as error:
            track = None
            if say is not None:
                say(f"telemetry: {error}")
        if track is not None:
            self._say = None  # it is the same of all files
        return track
