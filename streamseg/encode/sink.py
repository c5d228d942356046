"""What every output is: open, take pictures, close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.pixels.picture import AnyPicture

__all__ = ["Picture", "Sink", "SinkCounters"]


class Picture(Protocol):
    """What a sink takes (`streamseg.composite.Rendered`)."""

    @property
    def result(self) -> Result:
        """The frame, its time and what was found in it."""

    @property
    def picture(self) -> AnyPicture:
        """What to show, in host memory or on a GPU; shared with other outputs, never written into."""


@dataclass(slots=True)
class SinkCounters:
    """What a sink did."""

    frames: int = 0
    """Pictures (or result lines) written."""
    bytes: int = 0
    """Size of the output so far."""
    packets_copied: int = 0
    """Audio and subtitle packets copied from the source."""
    packets_skipped: int = 0
    """Audio and subtitle packets that could not be placed in time."""
    resized: int = 0
    """Pictures scaled into the first one's size because the source changed."""
    dropped: int = 0
    """Pictures not written: their time did not come after the one before, or (live view) a newer one came first."""


class Sink(Protocol):
    """One output. Called from one thread; raises only errors of streamseg."""

    counters: SinkCounters
    warnings: list[str]
    """What the user should know, such as an audio track that the container cannot hold."""

    @property
    def name(self) -> str:
        """What the user called it: a path or an address (without its token)."""

    def open(self) -> None:
        """Check that the output can be written. Nothing is created until the first picture."""

    def __call__(self, rendered: Picture, /) -> None:
        """Write one picture."""

    def close(self) -> None:
        """Finalise. Safe to call twice, and without `open`."""

    def abort(self) -> None:
        """Stop at once, after an error; what is written stays playable."""
