"""The kinds of output that there are: which class of sinks writes what a user typed after -o.

A kind's name is how the output's name ends (`.mp4`, `.coco.json`), or the scheme of its address (`http`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from streamseg.encode.images.sequence import IMAGE_SUFFIXES
from streamseg.encode.sink import OutputKind
from streamseg.encode.stream.targets import SCHEMES as PUSHES
from streamseg.encode.video.containers import CONTAINERS
from streamseg.system.registry import SINKS

__all__ = ["FORMATS", "HLS", "LOGS", "builtin", "ending_of", "endings", "kind_of", "why_not"]

_RESULTS = "streamseg.encode.results."
FORMATS: Mapping[str, str] = {
    ".jsonl": f"{_RESULTS}jsonl:JsonlSink",
    ".ndjson": f"{_RESULTS}jsonl:JsonlSink",
    ".mots.txt": f"{_RESULTS}mots:MotsTextSink",
    ".mots": f"{_RESULTS}mots:MotsPngSink",
    ".ytvis.json": f"{_RESULTS}youtube_vis:YoutubeVisSink",
    ".coco.json": f"{_RESULTS}coco:CocoSink",
    ".cvat.zip": f"{_RESULTS}cvat:CvatSink",
    ".kitti.txt": f"{_RESULTS}kitti:KittiSink",
    ".bdd.json": f"{_RESULTS}bdd:BddSink",
    ".openlabel.json": f"{_RESULTS}openlabel:OpenLabelSink",
    ".events.csv": f"{_RESULTS}events_csv:EventsCsvSink",
    ".clips": f"{_RESULTS}clips:ClipsSink",
    ".nuimages": f"{_RESULTS}nuimages:NuImagesSink",
    ".parquet": f"{_RESULTS}parquet:InstancesParquetSink",
    ".frames.parquet": f"{_RESULTS}parquet:FramesParquetSink",
    ".events.parquet": f"{_RESULTS}parquet:EventsParquetSink",
    ".otio": f"{_RESULTS}otio:OtioSink",
    ".cutouts": "streamseg.encode.images.cutouts:CutoutSink",
}
"""Results without pictures of ours: how the outputs' names end (`.mots`, `.nuimages`, `.clips`, `.cutouts` are folders), and what
writes them."""


LOGS: Mapping[str, str] = {
    ".mcap": "streamseg.encode.logs.mcap_sink:McapSink",
    ".rrd": "streamseg.encode.logs.rrd_sink:RrdSink",
}
"""Pictures and results on one timeline, for viewers of robotics."""
HLS = ".m3u8"


@cache
def builtin() -> Mapping[str, str]:
    """What streamseg itself writes; each class is imported when it is wanted: most runs want one."""
    videos = dict.fromkeys(CONTAINERS, "streamseg.encode.video.sink:VideoSink")
    images = dict.fromkeys(IMAGE_SUFFIXES, "streamseg.encode.images.sequence:ImageSink")
    images[".exr"] = "streamseg.encode.exr.sink:ExrSink"
    pushes = dict.fromkeys(PUSHES, "streamseg.encode.stream.sinks:PushSink")
    views = {"http": "streamseg.encode.view.mjpeg:MjpegServer"}
    return {**videos, **images, **FORMATS, **LOGS, HLS: "streamseg.encode.stream.hls:HlsSink", **pushes, **views}


def why_not(thing: Any) -> str | None:
    """What keeps `thing` from being a kind of output; None: nothing does."""
    if isinstance(thing, type) and issubclass(thing, OutputKind):
        return None
    return "it is not a class derived from streamseg.encode.OutputKind, as FileSink and FormatSink are"


def endings() -> list[str]:
    """How names of outputs can end."""
    return [name for name in SINKS.names() if name.startswith(".")]


def ending_of(path: str | os.PathLike[str]) -> str | None:
    """Which of `endings` a name asks for, the longest; None where it asks for none of them."""
    name = Path(path).name.lower()
    return max((end for end in endings() if name.endswith(end) and name != end), key=len, default=None)


def kind_of(path: str | os.PathLike[str], use: str | None = None) -> type[OutputKind] | None:
    """The class that writes `path`; None: none is known by its name. `use`: the reference that names it instead.

    Raises ConfigError where it belongs to a plug-in that cannot be loaded.
    """
    if use is not None:
        kind: type[OutputKind] = SINKS.use(use)
        return kind
    scheme, there, _ = str(path).partition("://")
    name = (scheme.lower() if scheme.lower() in SINKS else None) if there else ending_of(path)
    return None if name is None else SINKS.get(name)
