"""A row of the set: a source, what streamseg is asked to make of it, and what is special about the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.conformance import sources
from tests.conformance.clip import Clip

__all__ = ["EFFECTS", "Row"]

EFFECTS = {
    "none": "[]",
    "overlay": "[overlay: {fill: 1, contour: 0, label: ''}]",
    "drawn": "[overlay]",
    "blur": "[blur: {}]",
    "blur-them": "[blur: {where: instances}]",
    "pixelate": "[pixelate: {where: instances}]",
    "alpha": "[alpha: {}]",
    "matte": "[matte: {}]",
    "matte-deep": "[matte: {bits: 16, holes: 4}]",
}
"""By name: what stands under `composite`."""

_LOSSLESS = {"mkv": ("ffv1", None), "avi": ("ffv1", None), "mp4": ("h264", 0), "mov": ("h264", 0), "ts": ("h264", 0)}


@dataclass(frozen=True)
class Row:
    """One row; `group/name` is its id."""

    name: str
    clip: Clip = field(default_factory=Clip)
    out: str = "mkv"
    """Suffix of a video, a pattern of stills (`%04d.png`), or a results file's ending (`jsonl`, `coco.json`)."""
    effect: str = "overlay"
    codec: str = "lossless"
    """`lossless`: the container's lossless codec; else as --codec takes it."""
    crf: int | None = None
    decode: dict[str, Any] = field(default_factory=dict)
    """The section `decode` of the pipeline file: start, duration, rate."""
    pipe: bool = False
    """The source comes through a pipe."""
    smooth: bool = False
    """With smoothed and refined masks, as users have it; then only what is well outside of them is compared."""
    pix_fmt: str = ""
    """Expected of the output where it is not the source's."""
    pixels: str = ""
    """How pictures are compared: `same` values, `near` (a lossy codec), `rgb` (another family of format), `colour` (near, and
    coloured where something is drawn); empty: by the codec."""
    sound: str = "copy"
    """copy: the same packets; convert: sound as long and as loud; none: there is none."""
    text: str = "copy"
    """Subtitles likewise; convert: the same words at the same times."""
    field: str = ""
    """Expected order of fields; nothing: the source's."""
    timecode: str = ""
    """Of the first picture, expected of the output."""
    says: str = ""
    """Words that the run's warnings must hold."""
    loses: tuple[str, ...] = ()
    """What the container of the output cannot hold: `times`, `sar`, `tags`, `chapters`, `language`, `colour`, `end`."""
    fails: str = ""
    """A letter of the list of known faults: the row fails until that is mended, and then must lose this mark."""
    group: str = ""

    @property
    def id(self) -> str:
        """As the command and pytest name it."""
        return f"{self.group}/{self.name}"

    @property
    def encoder(self) -> tuple[str, int | None]:
        """(codec, crf) as the pipeline file gets it."""
        if self.codec == "lossless":
            return _LOSSLESS.get(self.out, ("auto", None))
        return self.codec, self.crf

    @property
    def exact(self) -> bool:
        """Whether untouched pixels must keep their values."""
        if self.pixels:
            return self.pixels == "same"
        deep = any(mark in self.clip.pix_fmt for mark in ("10", "12", "16"))
        return self.encoder[0] == "ffv1" or (self.encoder == ("h264", 0) and not deep)

    @property
    def reproducible(self) -> bool:
        """Whether the output's samples are the same on every CPU, so that a hash may stand for them."""
        return self.exact and sources.lossless(self.clip) and self.effect in ("none", "overlay")
