"""From what a user typed after -o to the sink that writes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from streamseg.encode.images.sequence import IMAGE_SUFFIXES, ImageSink
from streamseg.encode.results import FORMATS, format_of, open_format
from streamseg.encode.results.jsonl import JsonlSink
from streamseg.encode.sink import Sink
from streamseg.encode.video.containers import CONTAINERS
from streamseg.encode.video.sink import VideoSink
from streamseg.encode.video.tracks import Audio, Packets
from streamseg.errors import OutputError
from streamseg.system.output_files import local_path, refuse_existing

if TYPE_CHECKING:
    from streamseg.decode import SourceInfo
    from streamseg.encode.view import MjpegServer

__all__ = ["RESULTS", "check_output", "copies_tracks", "is_results", "is_view", "make_view", "open_sink"]

RESULTS = (".jsonl", ".ndjson")
"""Suffixes of results as lines; those of other formats are the keys of `formats.FORMATS`."""


def is_view(path: str | os.PathLike[str]) -> bool:
    """Whether an output is the address of a live view, which need not see every picture."""
    return str(path).startswith("http://")


def is_results(path: str | os.PathLike[str]) -> bool:
    """Whether an output takes the results alone, so that nothing has to be drawn for it."""
    return Path(path).suffix.lower() in RESULTS or format_of(path) is not None


def copies_tracks(path: str | os.PathLike[str]) -> bool:
    """Whether an output can hold audio and subtitles, so that a pass-through is worth subscribing."""
    return not is_view(path) and Path(path).suffix.lower() in CONTAINERS


def check_output(path: str | os.PathLike[str], *, overwrite: bool, source: str | int | os.PathLike[str] | None) -> None:
    """Refuse what can be refused before the source is there, which may be a camera that is off. Raises OutputError."""
    name = str(path)
    _refuse_address(name)
    if is_results(name) or copies_tracks(name):
        refuse_existing(Path(name), local_path(source), overwrite)


def open_sink(
    path: str | os.PathLike[str],
    info: SourceInfo,
    *,
    codec: str = "auto",
    crf: float | None = None,
    overwrite: bool = False,
    passthrough: Packets | None = None,
    source: str | int | os.PathLike[str] | None = None,
    alpha: bool = False,
    token: str | None = None,
    threads: int = 0,
    gpu: bool = False,
    audio: Audio = "convert",
) -> Sink:
    """The sink for `path`; call its `open()` before the first picture.

    Args:
        path: A video (.mp4 .mov .mkv .webm .avi .ts), a folder or a pattern such as `%06d.png` (.png .tif .jpg .webp) of images,
            the name of one image for a source that is a single still, `.jsonl` or a name of `formats.FORMATS` for results without
            pictures, or `http://127.0.0.1:8080` for a live view in a browser.
        info: The source, as `Decoder.open` returned it.
        codec: `auto`, or a name from `codecs.CODECS` or FFmpeg's name of that encoder.
        crf: Quality, smaller is better; None is the codec's own sensible value.
        overwrite: Replace an existing output.
        passthrough: Audio, subtitles and the like to take over into a video.
        source: As given to the decoder; a file or folder is never written onto.
        alpha: The pictures will be transparent somewhere; checked before anything is decoded.
        token: For a view that listens on other addresses than this machine's own; `?token=` in its address does the same.
        threads: For the encoder; 0 is one a core.
        gpu: Frames live on a GPU: with the codec `auto`, its encoder is taken where it has one.
        audio: `convert` copies the sound that a video's container can hold, and converts the rest; `copy` converts nothing; `none`
            leaves all sound out.

    Raises OutputError where the name says nothing we can write; the rest is found by `Sink.open`.
    """
    name = str(path)
    suffix = Path(name).suffix.lower()
    if passthrough is not None and not copies_tracks(name):
        passthrough.close()
    if is_view(name):
        return make_view(name, info.name, token)
    _refuse_address(name)
    if suffix in CONTAINERS:
        return VideoSink(
            path,
            info,
            codec=codec,
            crf=crf,
            overwrite=overwrite,
            passthrough=passthrough,
            source=source,
            alpha=alpha,
            threads=threads,
            gpu=gpu,
            audio=audio,
        )
    if format_of(name) is not None:
        return open_format(path, info, overwrite=overwrite, source=source)
    if is_results(name):
        return JsonlSink(path, info, overwrite=overwrite, source=source)
    if "://" not in name and (suffix in IMAGE_SUFFIXES or not suffix or Path(name).is_dir() or name.endswith("/")):
        if alpha and suffix in {".jpg", ".jpeg"}:
            raise OutputError(f"{name}: JPEG cannot hold transparency; use .png or .tif")
        return ImageSink(path, info, overwrite=overwrite, source=source)
    raise OutputError(
        f"{name}: unknown kind of output {suffix!r}; allowed: video {' '.join(CONTAINERS)}, images {' '.join(IMAGE_SUFFIXES)} "
        f"(as frames/%06d.png), results {' '.join([*RESULTS, *FORMATS])}, or a live view such as http://127.0.0.1:8080"
    )


def _refuse_address(name: str) -> None:
    """Raise OutputError for an address that is not a view's: it would be taken for a file in a folder `rtmp:`."""
    scheme, there, _ = name.partition("://")
    if there and not is_view(name):
        raise OutputError(
            f"{name}: cannot write to {scheme}://; write a file, or let FFmpeg send it on: "
            "-o - --format ts | ffmpeg -i - -c copy ADDRESS; a view is an address such as http://127.0.0.1:8080"
        )


def make_view(name: str, title: str, token: str | None = None) -> MjpegServer:
    """The live view of an address. It needs no source, so it may be opened before one is there. Raises OutputError."""
    from streamseg.encode.view import MjpegServer

    address = urlsplit(name)
    try:
        port = 80 if address.port is None else address.port
    except ValueError as error:
        raise OutputError(f"{name}: {error}; write for example http://127.0.0.1:8080") from error
    token = token or parse_qs(address.query).get("token", [None])[0]
    return MjpegServer(address.hostname or "127.0.0.1", port, token=token, title=title)
