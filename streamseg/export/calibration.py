"""Pictures to calibrate int8 with: frames of videos or photos, as the pipeline's own stages prepare them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamseg.decode import Decoder
from streamseg.errors import ConfigError
from streamseg.pixels.letterbox import Fitter
from streamseg.system import resources

__all__ = ["FRAMES", "calibration_pictures", "sample_clips"]

FRAMES = 48
"""Pictures looked at in all."""


def sample_clips() -> list[Path]:
    """The clips that samples/fetch.py has fetched into this checkout; none where there is no checkout."""
    folder = resources.shipped_folder("engines").parent / "samples" / "clips"
    return sorted(path for path in folder.glob("*.*") if path.suffix in {".mp4", ".avi"})


def calibration_pictures(
    sources: Sequence[str | PathLike[str]], size: tuple[int, int], frames: int = FRAMES
) -> list[npt.NDArray[np.uint8]]:
    """`frames` pictures uint8 [H, W, 3] RGB, evenly spread over each of the sources, all sources alike; fewer of short ones.

    Sources are what `streamseg run` takes; none: `sample_clips`. Raises ConfigError without any, or the error of one that cannot
    be read.
    """
    chosen = list(sources) or sample_clips()
    if not chosen:
        raise ConfigError(
            "int8 needs pictures to calibrate with, like those it will see: "
            "streamseg export MODEL --precision int8 --calibrate VIDEO (or a folder of photos)"
        )
    each = max(1, -(-frames // len(chosen)))
    return [picture for source in chosen for picture in _spread(source, size, each)]


def _spread(source: str | PathLike[str], size: tuple[int, int], count: int) -> list[npt.NDArray[np.uint8]]:
    """`count` pictures of a source whose length is not known beforehand: whenever too many are kept, every other one goes."""
    prepare, step = Fitter(*size), 1
    kept: list[npt.NDArray[np.uint8]] = []
    with Decoder(source) as decoder:
        for index, frame in enumerate(decoder.frames()):
            if index % step == 0:
                kept.append(prepare(frame.picture, frame.field_order)[0])
                if len(kept) == 2 * count:
                    kept, step = kept[::2], 2 * step
    return [kept[i] for i in np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)]
