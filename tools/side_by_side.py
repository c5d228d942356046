"""Two models on the same clips, for the eye: `python -m tools.side_by_side OLD NEW CLIP... -o FOLDER [--frames 10]`.

For each clip one JPEG: a row for each of some frames, evenly spaced, what the first model finds on the left and what the second one
finds on the right. Masks are as they come, without tracking's or smoothing's help.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import streamseg

WIDTH = 480


def frames(session: streamseg.Session, clip: Path, count: int) -> list[npt.NDArray[np.uint8]]:
    """Evenly spaced frames with what was found drawn on them, BGR, `WIDTH` pixels wide."""
    total = sum(1 for _ in session.stream(clip, detect_every=8, smooth={"masks": "off", "edges": False}))
    wanted = np.unique(np.linspace(0, total - 1, count).round().astype(int))
    drawn, results = [], session.stream(clip, smooth={"masks": "off", "edges": False})
    at = 0
    for place in wanted:
        result = next(islice(results, place - at, None))
        at = place + 1
        picture = result.plot("bgr24")
        drawn.append(
            cv2.resize(picture, (WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1])), interpolation=cv2.INTER_AREA)
        )
    return drawn


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs=2, metavar="MODEL")
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--size", default="320x576")
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    columns = []
    for model in options.models:
        with streamseg.Session(model=model, size=options.size, precision=options.precision) as session:
            columns.append([frames(session, clip, options.frames) for clip in options.clips])
    for clip, before, after in zip(options.clips, *columns, strict=True):
        rows = [np.hstack(pair) for pair in zip(before, after, strict=True)]
        cv2.imwrite(str(options.output / f"{clip.stem}.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
