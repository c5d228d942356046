"""Positions that a film itself holds: in tracks of its own (GoPro, CAMM, NMEA or texts), or in boxes beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av.stream import Discard

from streamseg.decode.address import parse_source
from streamseg.decode.container import open_container
from streamseg.decode.demux import demux
from streamseg.decode.faults import AV_ERRORS
from streamseg.telemetry.boxes import read_boxes
from streamseg.telemetry.camm import looks_like_camm, read_camm
from streamseg.telemetry.gpmf import looks_like_gpmf, read_gpmf
from streamseg.telemetry.nmea import looks_like_nmea
from streamseg.telemetry.readings import Log
from streamseg.telemetry.subtitles import read_texts

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["read_inside"]

_MOST = 256 << 20
"""Bytes of tracks that are read: a GoPro writes 30 MB in an hour."""
_TIMEOUT = 5.0
_GIVEN_UP = 60.0
"""Seconds of film without a position, in a container that has to be read through."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """What a track holds for a moment of the film."""

    at: float
    lasts: float
    """Seconds."""
    data: bytes


def read_inside(path: Path) -> Log | None:
    """The first log with a position that the film holds; None: there is none. Raises MissingExtra, OSError."""
    for kind, samples in _tracks(path):
        log = _read(kind, path.name, samples)
        if log is not None and log.readings:
            return log
    return read_boxes(path)


def _read(kind: str, name: str, samples: list[_Sample]) -> Log | None:
    filled = [sample for sample in samples if sample.data]
    if kind == "data" and any(looks_like_gpmf(sample.data) for sample in filled[:5]):
        found = [r for sample in filled for r in read_gpmf(sample.data, sample.at, sample.lasts)]
        return Log("GoPro", name, found, inside=True)
    if kind == "data" and filled and all(looks_like_camm(sample.data) for sample in filled[:5]):
        return Log("CAMM", name, [r for sample in filled for r in read_camm(sample.data, sample.at)], inside=True)
    if kind == "subtitle" or any(looks_like_nmea(sample.data) for sample in filled[:50]):
        texts = [(sample.at, _text(sample.data)) for sample in filled]
        return Log("NMEA" if any("$G" in text for _, text in texts[:50]) else "subtitles", name, read_texts(texts), inside=True)
    return None


def _text(data: bytes) -> str:
    """Of a subtitle: mov_text has its length in front, ASS its fields."""
    if len(data) > 2 and int.from_bytes(data[:2], "big") <= len(data) - 2 and data[0] == 0:
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
    return data.decode("utf-8", "replace").replace("\\N", "\n")


def _tracks(path: Path) -> list[tuple[str, list[_Sample]]]:
    """The tracks of data and texts, with their samples.

    Of an MP4 pictures and sound are not read from the disk. What has no index (Matroska, transport streams) has to be read through:
    it is given up where nothing was found for a while.
    """
    address = parse_source(path)
    if address.kind != "file":
        return []
    found: dict[int, tuple[str, list[_Sample]]] = {}
    try:
        with open_container(address, _TIMEOUT) as container:
            found = {s.index: (s.type, []) for s in container.streams if s.type in ("data", "subtitle")}
            indexed = "mp4" in container.format.name
            for stream in container.streams:
                if indexed and stream.index not in found:
                    stream.discard = Discard.all
            for index, sample in _samples(container, indexed, set(found)) if found else ():
                found[index][1].append(sample)
    except AV_ERRORS:
        pass  # what was read before it breaks off is good
    return list(found.values())


def _samples(container: InputContainer, indexed: bool, wanted: set[int]) -> Iterator[tuple[int, _Sample]]:
    read, positions = 0, indexed
    packet: Any
    for packet in demux(container):
        if packet.pts is None or not packet.size:
            continue
        at = float(packet.pts * packet.time_base)
        if not positions and at > _GIVEN_UP:
            return
        if packet.stream_index not in wanted:
            continue
        read += packet.size
        if read > _MOST:
            return
        sample = _Sample(at, float((packet.duration or 0) * packet.time_base), bytes(packet))
        positions = positions or _tells(sample)
        yield packet.stream_index, sample


def _tells(sample: _Sample) -> bool:
    """Whether a sample looks as if it held a position."""
    return looks_like_gpmf(sample.data) or looks_like_nmea(sample.data) or bool(read_texts([(0.0, _text(sample.data))]))
