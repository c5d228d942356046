"""Sources that users add: classes that read an address. They are chosen by its scheme, or named in a pipeline file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from streamseg.decode.address import PROTOCOLS
from streamseg.decode.frames import FrameSource, Image
from streamseg.errors import SourceError, StreamsegError, clean
from streamseg.errors.credentials import shown
from streamseg.system.registry import SOURCES

__all__ = ["AddedSource", "builtin", "find_added", "why_not"]

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")


class AddedSource:
    """Base class of sources that users add. It is made with the address that the user gave; its pictures are read once, in order.

    It runs in a thread of its own and may block. If it is a generator, it is closed when reading stops. Read something live with
    `decode: {realtime: true}`, so that late pictures are left out.
    """

    rate: Fraction | None = None
    """Nominal frames a second; of pictures without times the one that they are counted at (25 if None)."""

    def __init__(self, address: str) -> None:
        """Raises SourceError for an address that is none of its kind."""

    def __iter__(self) -> Iterator[Image | tuple[Image, float | Fraction]]:
        """Pictures (see `frames.Image`), or pairs of a picture and its time in seconds."""
        raise NotImplementedError


def builtin() -> dict[str, str]:
    """The schemes that streamseg itself reads, all by libav."""
    return {**PROTOCOLS, "file": "file"}


def why_not(thing: Any) -> str | None:
    """What keeps `thing` from being a source that can be added; None: nothing does."""
    if isinstance(thing, type) and issubclass(thing, AddedSource):
        return None
    return "it is not a class derived from streamseg.decode.AddedSource"


def find_added(source: str | int | Path, use: str | None = None) -> FrameSource | None:
    """The added source that `source` means, by its scheme or, where that is given, of the class that `use` names; None: none.

    Raises ConfigError where the class cannot be loaded, SourceError where it cannot read this address.
    """
    match = _SCHEME.match(str(source))
    scheme = match[1].lower() if match else ""
    if use is None and (SOURCES.is_builtin(scheme) or scheme not in SOURCES):
        return None
    kind: type[AddedSource] = SOURCES.get(scheme) if use is None else SOURCES.use(use)
    name = shown(str(source))
    try:
        made = kind(str(source))
    except StreamsegError:
        raise
    except Exception as error:
        raise SourceError(f"{name}: {kind.__name__} cannot read it: {type(error).__name__}: {error}") from clean(error)
    return FrameSource(made, name, made.rate)
