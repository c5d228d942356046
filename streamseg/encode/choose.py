"""Makes the sink for an output as the user named it (`-o`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.encode.images.sequence import IMAGE_SUFFIXES, ImageSink
from streamseg.encode.kinds import FORMATS, HLS, LOGS, endings, kind_of
from streamseg.encode.sink import OutputRequest, Sink
from streamseg.encode.stream.targets import SCHEMES as PUSHES
from streamseg.encode.stream.targets import push_target
from streamseg.encode.video.containers import CONTAINERS
from streamseg.errors import OutputError
from streamseg.system.output_files import local_path, refuse_existing
from streamseg.system.registry import SINKS

if TYPE_CHECKING:
    from streamseg.decode import SourceInfo
    from streamseg.encode.view import MjpegServer

__all__ = ["check_output", "copies_tracks", "is_address", "is_plain", "is_results", "is_view", "make_view", "open_sink"]


def is_view(path: str | os.PathLike[str]) -> bool:
    """Whether an output is the address of a live view, which need not see every picture."""
    return str(path).startswith("http://")


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether an output is an address (a view, a push to a server), and no file."""
    return "://" in str(path)


def is_results(path: str | os.PathLike[str], use: str | None = None) -> bool:
    """Whether an output takes the results alone, so that nothing has to be drawn for it."""
    kind = kind_of(path, use)
    return kind is not None and kind.results


def is_plain(path: str | os.PathLike[str]) -> bool:
    """Whether an output that -o names has the source's picture, without the pipeline's effects."""
    kind = kind_of(path)
    return kind is not None and kind.plain


def copies_tracks(path: str | os.PathLike[str], use: str | None = None) -> bool:
    """Whether an output can hold audio and subtitles, so that a pass-through is worth subscribing."""
    kind = kind_of(path, use)
    return kind is not None and kind.tracks


def check_output(
    path: str | os.PathLike[str],
    *,
    overwrite: bool,
    source: str | int | os.PathLike[str] | None,
    use: str | None = None,
) -> None:
    """Refuse what can be refused before the source is there, which may be a camera that is off. Raises OutputError."""
    name = str(path)
    if use is None:
        _refuse_address(name)
        if name.partition("://")[0].lower() in PUSHES and is_address(name):
            push_target(name)
    kind = kind_of(name, use)
    if kind is not None and (kind.results or kind.tracks or kind.one_file) and not kind.folder:
        refuse_existing(Path(name), local_path(source), overwrite)


def open_sink(path: str | os.PathLike[str], info: SourceInfo, *, use: str | None = None, **options: Any) -> Sink:
    """The sink for `path`; call its `open()` before the first picture.

    Args:
        path: A video (.mp4 .mov .mkv .webm .avi .ts), a folder or a pattern such as `%06d.png` (.png .tif .jpg) of images, a name
            that ends like one of `kinds.FORMATS` (.jsonl) for results without pictures, or of `kinds.LOGS` (.mcap) for both,
            `http://127.0.0.1:8080` for a live view in a browser, `rtsp://server/door` (or another of `stream.targets.SCHEMES`) for
            a push to a media server, `door.m3u8` for HLS, or what a plug-in writes.
        info: The source, as `Decoder.open` returned it.
        use: `module:Class` of a kind of output that may be imported, in place of the one that the name asks for.
        options: The other fields of `OutputRequest`.

    Raises OutputError where the name says nothing we can write; the rest is found by `Sink.open`.
    """
    name = str(path)
    request = OutputRequest(path, info, **options)
    if use is None and not is_view(name):
        _refuse_address(name)
    kind = kind_of(path, use)
    if request.passthrough is not None and not (kind is not None and kind.tracks):
        request.passthrough.close()
    if kind is None and "://" not in name and (not Path(name).suffix or Path(name).is_dir() or name.endswith("/")):
        kind = ImageSink
    if kind is None:
        known = endings()
        videos, images = [s for s in known if s in CONTAINERS], [s for s in known if s in IMAGE_SUFFIXES]
        others = [s for s in known if s not in (*CONTAINERS, *IMAGE_SUFFIXES, *FORMATS, *LOGS, HLS)]
        more = f", of plug-ins {' '.join(others)}" if others else ""
        raise OutputError(
            f"{name}: unknown kind of output {Path(name).suffix.lower()!r}; allowed: video {' '.join(videos)}, images "
            f"{' '.join(images)} (as frames/%06d.png), results {' '.join(FORMATS)}, logs {' '.join(LOGS)}{more}, HLS {HLS}, a "
            "media server such as rtsp://10.0.0.2:8554/door, or a live view such as http://127.0.0.1:8080"
        )
    return kind.make(request)


def _refuse_address(name: str) -> None:
    """Raise OutputError for an address that is not a view's: it would be taken for a file in a folder `rtmp:`."""
    scheme, there, _ = name.partition("://")
    if there and not is_view(name) and scheme.lower() not in SINKS:
        raise OutputError(
            f"{name}: cannot write to {scheme}://; write a file, push to a media server ({', '.join(PUSHES)}), or let FFmpeg send "
            "it on: -o - --format ts | ffmpeg -i - -c copy ADDRESS; a view is an address such as http://127.0.0.1:8080"
        )


def make_view(name: str, title: str, token: str | None = None) -> MjpegServer:
    """The live view of an address. It needs no source, so it may be opened before one is there. Raises OutputError."""
    from streamseg.encode.view import MjpegServer

    return MjpegServer.at(name, title, token)
