"""Who will be seen, told to outputs that make room for each track beforehand: every EXR of a sequence then has the same layers."""

from __future__ import annotations

from collections.abc import Sequence

from streamseg.config.schema import DecodeConfig
from streamseg.encode import Sink
from streamseg.encode.kinds import kind_of
from streamseg.pipeline.decide import Decided
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.split import is_split

__all__ = ["tell_tracks", "wants_tracks"]

_NEAR = 1.0
"""Seconds beside the part that is asked for: a layer too many is better than one that is missing."""


def wants_tracks(targets: Sequence[Target]) -> bool:
    """Whether one of the outputs is better where it is known before who will be seen."""
    return any(_expects(target) and target.encode.exr.layers in ("track", "both") for target in targets)


def _expects(target: Target) -> bool:
    return hasattr(kind_of(target.path, target.use), "expect") and not is_split(target.path)


def tell_tracks(decided: Decided | None, part: DecodeConfig, sinks: Sequence[tuple[Target, Sink]]) -> None:
    """Tell the outputs, once they are open, where it is known. `part`: which part of the film is asked for."""
    if decided is None or decided.film is None or not any(_expects(target) for target, _ in sinks):
        return
    film, end = decided.film, float("inf") if part.span is None else part.start + part.span
    seen = [
        track
        for track in film.tracks_of(decided.selection)
        if track.last_time >= part.start - _NEAR and track.first_time <= end + _NEAR
    ]
    names = film.edits.names
    tracks = {track.track_id: (names.get(track.track_id, f"{track.name}#{track.track_id}"), track.name) for track in seen}
    for target, sink in sinks:
        if _expects(target):
            sink.expect(tracks)  # type: ignore[attr-defined]
