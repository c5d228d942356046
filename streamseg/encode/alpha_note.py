"""How the colours of a transparent output are stored: straight, or multiplied by alpha; and where that is said.

No kind of video has a place for it that programs agree on: a tag says it, where the container keeps one, and in any case a small
JSON file beside the video. Images say it themselves: TIFF by its ExtraSamples; PNG, WebP (and the alpha of VP9) are straight by
their definition, EXR is premultiplied by its own.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.system.output_files import replace_atomically

__all__ = ["AlphaNote", "associated"]

SCHEMA = "streamseg.alpha/1"
_STRAIGHT: Mapping[str, str] = {".png": "PNG", ".webp": "WebP", "png": "PNG", "vp9": "VP9"}
"""What is straight by definition: endings of images, and codecs."""
_EXTRA_SAMPLES = 338
"""TIFF 6.0, section 18."""


@dataclass(frozen=True, slots=True)
class AlphaNote:
    """What is known of the colours of an output with alpha."""

    premultiplied: bool = False
    """Colours are multiplied by alpha, black where it is transparent; else straight."""
    decontaminated: bool = False
    """At edges they are those of the object's inside."""

    @property
    def word(self) -> str:
        """As files and messages have it."""
        return "premultiplied" if self.premultiplied else "straight"

    def check(self, name: str, kind: str) -> None:
        """Raise OutputError where `kind` (a codec, or an image's ending) holds no colours of this sort. `name`: of the output."""
        if self.premultiplied and kind in _STRAIGHT:
            raise OutputError(
                f"{name}: {_STRAIGHT[kind]} is defined to hold straight alpha: what reads it would darken the edges; leave "
                "premultiplied out, or write TIFF, ProRes 4444 (.mov) or FFV1 (.mkv)"
            )
        if self.premultiplied and kind == ".exr":
            raise OutputError(f"{name}: EXR is premultiplied by its definition, in any case; leave premultiplied out")

    def tags(self, muxer: str, there: Mapping[str, str]) -> dict[str, str]:
        """What a container of that `muxer` is told beside the tags that are `there`: nothing where no place is free."""
        if muxer in ("matroska", "webm"):
            return {"alpha": self.word}
        return {} if any(key.lower() == "comment" for key in there) else {"comment": f"alpha: {self.word}"}

    def write(self, path: Path, **more: Any) -> None:
        """The JSON file beside a video; `more` goes into it, too. Raises OutputError."""
        colours = "from the object's inside" if self.decontaminated else "as in the source"
        data = {"schema": SCHEMA, "alpha": self.word, "colours at edges": colours, **more}
        try:
            replace_atomically(path, json.dumps(data, indent=2).encode() + b"\n")
        except OSError as error:
            raise OutputError(f"{path}: writing it failed: {error.strerror or error}; what it describes is whole") from error


def associated(tiff: bytes) -> bytes:
    """A TIFF as FFmpeg writes it, with its alpha declared as associated (premultiplied) in place of unassociated."""
    data = bytearray(tiff)
    with contextlib.suppress(struct.error):
        (start,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from("<H", data, entry)[0] == _EXTRA_SAMPLES:
                struct.pack_into("<H", data, entry + 8, 1)
    return bytes(data)
