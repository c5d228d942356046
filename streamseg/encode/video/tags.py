"""A file's metadata: what a container has a place for, found out by writing it once into memory.

Each muxer knows a list of keys of its own. That of QuickTime and MP4 can instead write any key (`use_metadata_tags`), in a box
where fewer players look; that is taken where it keeps more, as for a phone's com.apple.quicktime or com.android keys.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from streamseg.encode.video.remux import AV_ERRORS

if TYPE_CHECKING:
    from streamseg.encode.video.containers import Container

__all__ = ["fit_tags"]

_ANY_KEY = "+use_metadata_tags"


def fit_tags(tags: Mapping[str, str], kind: Container) -> tuple[dict[str, str], list[str]]:
    """The container's options with which most of `tags` is kept, and the keys that are lost even so."""
    lost = _lost(tags, kind, kind.options)
    if lost and "movflags" in kind.options:
        options = kind.options | {"movflags": kind.options["movflags"] + _ANY_KEY}
        if len(fewer := _lost(tags, kind, options)) < len(lost):
            return options, fewer
    return dict(kind.options), lost


def _lost(tags: Mapping[str, str], kind: Container, options: Mapping[str, str]) -> list[str]:
    """Keys that are not there, or not the same, when a file with them is read."""
    if not tags:
        return []
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format=kind.muxer, container_options=dict(options)) as container:
            container.metadata.update(tags)
            stream = container.add_mux_stream("vp8" if kind.muxer == "webm" else "mpeg4", width=16, height=16)
            stream.time_base = Fraction(1, 25)
            packet = av.Packet(bytes(16))
            packet.pts = packet.dts = 0
            packet.duration, packet.is_keyframe, packet.stream, packet.time_base = 1, True, stream, Fraction(1, 25)
            container.mux_one(packet)
        memory.seek(0)
        with av.open(memory, metadata_errors="replace") as container:
            read = {key.lower(): value for key, value in container.metadata.items()}
    except AV_ERRORS:
        return []  # what is wrong there, the file itself will say
    return [key for key, value in tags.items() if read.get(key.lower()) != value]
