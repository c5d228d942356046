"""A web page of the photos that went worst, prediction beside truth, in one file that needs nothing else.

The document is one template for `str.format`, of lists of one kind of element each. Every text in them goes through `escape`; a
library of templates would bring loops and conditions, of which the page has none.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite import to_image
from streamseg.core.palette import text_color
from streamseg.datasets.segments import Case, Crop
from streamseg.errors import OutputError, SourceError
from streamseg.evaluate.detect import read_photo
from streamseg.evaluate.evaluation import Evaluation
from streamseg.evaluate.flat import Flat
from streamseg.evaluate.panoptic import Matching, match
from streamseg.evaluate.table import summary_rows
from streamseg.pixels.text import render
from streamseg.system.output_files import replace_atomically

__all__ = ["draw_pair", "write_page"]

ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]

# From the palette of Okabe and Ito, for people with any colour vision.
RIGHT: RGB = (86, 180, 233)
FALSE: RGB = (213, 94, 0)
MISSED: RGB = (240, 228, 66)
IGNORED: RGB = (150, 150, 150)

_LONGEST_SIDE = 640
_QUALITY = 85
_FONT = 13

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
figure { margin: 2.5rem 0 }
figcaption { margin-bottom: .4rem }
.pair { display: flex; flex-wrap: wrap; gap: .5rem }
.pair div { flex: 1 1 20rem }
img { width: 100%; display: block }
.key i { display: inline-block; width: 1em; height: 1em; vertical-align: -.15em; margin: 0 .3em 0 1em }
"""


def write_page(evaluation: Evaluation, path: Path, count: int = 20) -> None:
    """Write the `count` photos with the lowest panoptic quality of their own. Replaces what is there. Raises OutputError."""
    worst = evaluation.worst(count)
    figures = "\n".join(_figure(case, value, evaluation.conf, evaluation.categories) for case, value in worst)
    text = _DOCUMENT.format(
        style=_STYLE,
        title=escape(_title(evaluation)),
        table=_table(evaluation),
        warnings="".join(f"<p>{escape(sentence)}</p>" for sentence in evaluation.warnings),
        key=_key(),
        heading=f"The {len(worst)} worst of {len(evaluation.cases)} photos",
        conf=evaluation.conf,
        figures=figures,
    )
    try:
        replace_atomically(path, text.encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot write the page: {error.strerror or error}") from error


_DOCUMENT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style></head><body>
<h1>{title}</h1>
{warnings}
{table}
<h2>{heading}</h2>
<p>By panoptic quality of the photo alone, classes counted together; detections with a score of at least {conf}.
Left: what was found. Right: what is there.</p>
<p class="key">{key}</p>
{figures}
</body></html>
"""


def _title(evaluation: Evaluation) -> str:
    run = evaluation.run
    if not run:
        return f"Detections on {len(evaluation.cases)} photos"
    return f"{run['model']} {run['size']} {run['precision']} in {run['engine']} on {len(evaluation.cases)} photos"


def _table(evaluation: Evaluation) -> str:
    head, *rows = summary_rows(evaluation.to_json())
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def _key() -> str:
    meanings = ((RIGHT, "matched"), (FALSE, "found, but not there"), (MISSED, "there, but not found"), (IGNORED, "not judged"))
    return "".join(f'<i style="background:rgb{color}"></i>{escape(meaning)}' for color, meaning in meanings)


def _figure(case: Case, value: float, conf: float, names: Mapping[int, str]) -> str:
    try:
        matching, *sides = draw_pair(case, conf, names)
    except SourceError as error:
        return f"<figure><figcaption>{escape(str(error))}</figcaption></figure>"
    counts = f"{len(matching.matches)} matched, {len(matching.false)} false, {len(matching.missed)} missed"
    caption = f"<figcaption><b>{value:.1f}</b> {escape(case.photo.path.name)}: {counts}</figcaption>"
    images = "".join(f'<div><img alt="" src="data:image/jpeg;base64,{_jpeg(side)}"></div>' for side in sides)
    return f'<figure>{caption}<div class="pair">{images}</div></figure>'


def draw_pair(
    case: Case,
    conf: float,
    names: Mapping[int, str],
    longest: int = _LONGEST_SIDE,
    enlarge: float = 1.0,
    font: int = _FONT,
) -> tuple[Matching, ByteArray, ByteArray]:
    """A photo with what was found in it, and with what is there, as RGB.

    The longer side has `longest` pixels, or the photo's times `enlarge` if that is less; names are `font` pixels high.
    Only detections with a score of at least `conf` are drawn. Raises SourceError when the photo cannot be read.
    """
    flat = Flat(case, conf)
    matching = match(flat)
    picture = to_image(read_photo(case.photo).picture, "rgb24").astype(np.uint8)
    found, true = (_Painter(picture, longest, enlarge, font) for _ in range(2))
    _draw_found(found, flat, matching, names)
    _draw_true(true, flat, matching, names)
    return matching, found.picture, true.picture


def _draw_found(painter: _Painter, flat: Flat, matching: Matching, names: Mapping[int, str]) -> None:
    """Draw the detections, the best on top."""
    matches = {j: iou for _, j, iou in matching.matches}
    for j in range(len(flat.detections) - 1, -1, -1):
        detection = flat.detections[j]
        color = RIGHT if j in matches else FALSE if j in matching.false else IGNORED
        text = f"{names[detection.category_id]} {detection.score:.2f}"
        painter.draw(flat.found_crops[j], color, text + (f", IoU {matches[j]:.2f}" if j in matches else ""))


def _draw_true(painter: _Painter, flat: Flat, matching: Matching, names: Mapping[int, str]) -> None:
    """Draw the objects."""
    for truth in flat.ignored:
        painter.draw(Crop.of(truth.rle), IGNORED, f"{names[truth.category_id]}, not judged")
    for i, truth in enumerate(flat.truths):
        painter.draw(flat.truth_crops[i], MISSED if i in matching.missed else RIGHT, names[truth.category_id])


class _Painter:
    """Draws masks on a copy of a photo, made small enough for a page."""

    def __init__(self, picture: ByteArray, longest: int, enlarge: float, font: int) -> None:
        self._font = font
        height, width = picture.shape[:2]
        self._full = height, width
        self._scale = min(enlarge, longest / max(height, width))
        size = max(1, round(width * self._scale)), max(1, round(height * self._scale))
        self.picture: ByteArray = np.array(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)

    def draw(self, crop: Crop, color: RGB, text: str) -> None:
        """Tint, outline, name."""
        whole = crop.window(0, 0, self._full[1], self._full[0]).astype(np.uint8)
        small = cv2.resize(whole, self.picture.shape[1::-1], interpolation=cv2.INTER_AREA) > 0
        if not small.any():
            return
        tint = np.array(color, np.float32)
        self.picture[small] = (0.55 * self.picture[small] + 0.45 * tint).astype(np.uint8)
        outlines, _ = cv2.findContours(small.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(self.picture, outlines, -1, color, 1)
        x, y = int(crop.x * self._scale), int(crop.y * self._scale)
        self._label(text, x, y, color)

    def _label(self, text: str, x: int, y: int, color: RGB) -> None:
        glyphs: Any = render(text, self._font)
        h, w = min(glyphs.shape[0], self.picture.shape[0]), min(glyphs.shape[1], self.picture.shape[1])
        x, y = max(0, min(x, self.picture.shape[1] - w)), max(0, min(y, self.picture.shape[0] - h))
        share = glyphs[:h, :w, None].astype(np.float32) / 255
        plate, ink = np.array(color, np.float32), np.array(text_color(color), np.float32)
        self.picture[y : y + h, x : x + w] = (plate + (ink - plate) * share).astype(np.uint8)


def _jpeg(picture: ByteArray) -> str:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return base64.b64encode(data.tobytes()).decode("ascii")
