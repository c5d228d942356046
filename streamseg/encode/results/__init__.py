"""Results in the formats of the field, chosen by the output's name.

    out.mots.txt     MOTS text             out.coco.json    COCO instances with RLE masks
    out.mots/        MOTS PNG folder       out.ytvis.json   YouTube-VIS, one annotation a track
    out.cvat.zip     CVAT's "MOTS PNG" archive

Each is written while the video runs and is whole under its name only at the end, also of a run that is interrupted or fails.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamseg.decode import SourceInfo
    from streamseg.encode.sink import Sink

__all__ = ["FORMATS", "format_of", "open_format"]

FORMATS = (".mots.txt", ".mots", ".ytvis.json", ".coco.json", ".cvat.zip")
"""How the outputs' names end; `.mots` is a folder."""


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Which of `FORMATS` a name asks for; None when it asks for something else."""
    name = os.fspath(path).rstrip("/").lower()
    return next((suffix for suffix in FORMATS if name.endswith(suffix) and Path(name).name != suffix), None)


def open_format(
    path: str | os.PathLike[str],
    info: SourceInfo,
    *,
    overwrite: bool = False,
    source: str | int | os.PathLike[str] | None = None,
) -> Sink:
    """The sink that writes `path`, whose name `format_of` knows (ValueError otherwise)."""
    # Each module is imported when it is wanted: most runs want none.
    match format_of(path):
        case ".mots.txt":
            from streamseg.encode.results.mots import MotsTextSink as Chosen
        case ".mots":
            from streamseg.encode.results.mots import MotsPngSink as Chosen  # type: ignore[assignment]
        case ".ytvis.json":
            from streamseg.encode.results.youtube_vis import YoutubeVisSink as Chosen  # type: ignore[assignment]
        case ".coco.json":
            from streamseg.encode.results.coco import CocoSink as Chosen  # type: ignore[assignment]
        case ".cvat.zip":
            from streamseg.encode.results.cvat import CvatSink as Chosen  # type: ignore[assignment]
        case _:
            raise ValueError(f"{path}: no format ends like this; known: {' '.join(FORMATS)}")
    return Chosen(path, info, overwrite=overwrite, source=source)
