"""Captions: the labels of `overlay`, with numbers that can be read while the film runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.labels import NUMBERS, draw_plate, fields_of, font_size, label_text, place, plate
from streamseg.composite.memory import SLACK, Memory, Slack
from streamseg.composite.readout import Readouts
from streamseg.composite.theme import Theme
from streamseg.core.masks import Region
from streamseg.core.types import Instances

__all__ = ["Captions", "Plate", "Style"]

RGB = tuple[int, int, int]
Plate = Literal["color", "dark"]
_MARKS = 16  # pixels of a 1080p picture around a box that marks take
_STAYS = 0.75  # of the height from which a label is drawn: below this it goes


@dataclass(frozen=True, slots=True)
class Style:
    """How labels are drawn: fields of `overlay`."""

    label: str
    label_from: float
    text: float
    plate: Plate


class Captions:
    """Draws the labels of one run."""

    def __init__(self, style: Style) -> None:
        fields = fields_of(style.label)
        self._style, self._numbers = style, tuple(field for field in NUMBERS if field in fields)
        self._memory, self._places = Memory(), Slack[int]()
        self._labelled: set[int] = set()
        """Tracks that have a label though they are small."""

    def draw(
        self,
        canvas: Canvas,
        instances: Instances,
        rows: npt.NDArray[np.int64],
        colors: list[RGB],
        theme: Theme,
        *,
        driving: bool,
    ) -> None:
        """Label the instances `rows` of a frame, each in its colour; `driving`: `canvas.scene` is theirs."""
        if self._memory.step(canvas) is None:
            self._labelled = set()
            self._places.clear()
        self._places.slack = SLACK * canvas.unit
        ids, placed = instances.track_ids, list[Region]()
        size, align = font_size(canvas.unit, self._style.text), canvas.align
        chosen = [(int(i), rgb) for i, rgb in zip(rows, colors, strict=True)]
        if self._style.label_from:
            large = self._large(canvas, instances, rows, driving=driving)
            chosen = [(i, rgb) for i, rgb in chosen if i in large]
        # The oldest track chooses its place first, so that places do not jump when scores change.
        for i, rgb in sorted(chosen, key=lambda each: (ids[each[0]] == 0, ids[each[0]], each[0])):
            text = label_text(self._style.label, instances, i, self._fields(canvas, instances, i, driving=driving))
            if not text:
                continue
            coverage = plate(text, size, align)
            h, w = coverage.shape
            spot = place(
                self._around(canvas, instances, i, driving=driving), (w, h), (canvas.width, canvas.height), placed, align
            )
            if spot is None:
                continue
            placed.append(spot)
            canvas.labels.append(spot)
            if self._style.plate == "color":
                draw_plate(canvas, spot, coverage, rgb)
            else:
                draw_plate(canvas, spot, coverage, theme.panel, theme.text)
                # In the margin that the plate has beside its text.
                bar = max(align, round(0.1 * size / align) * align)
                canvas.fill((spot[0], spot[1], spot[0] + bar, spot[3]), rgb)

    def _fields(self, canvas: Canvas, instances: Instances, i: int, *, driving: bool) -> dict[str, str]:
        fields = dict.fromkeys(NUMBERS, "")
        return fields | Readouts.of(canvas).fields(self._numbers, canvas, instances, i) if driving and self._numbers else fields

    def _around(self, canvas: Canvas, instances: Instances, i: int, *, driving: bool) -> Sequence[float]:
        """The box that the label stands at: of who drives steadied, with room for the marks of `alerts` and `lead`."""
        box: list[float] = instances.boxes[i].tolist()
        x0, y0, x1, y1 = box
        scene, track = canvas.scene if driving else None, int(instances.track_ids[i])
        if scene is None or track <= 0:
            return box
        over = _MARKS * canvas.unit if scene.alert[i] else 0.0
        under = over + (3 * _MARKS * canvas.unit if track == scene.lead else 0.0)
        return self._places(track, canvas.time, (x0, y0 - over, x1, y1 + under))

    def _large(self, canvas: Canvas, instances: Instances, rows: npt.NDArray[np.int64], *, driving: bool) -> set[int]:
        """Which are large enough for a label, or matter: the vehicle that leads, and those with an alert."""
        scene, least = canvas.scene if driving else None, self._style.label_from * canvas.unit
        heights, ids = instances.boxes[:, 3] - instances.boxes[:, 1], instances.track_ids
        large = set()
        for i in rows.tolist():
            track = int(ids[i])
            matters = scene is not None and bool(scene.alert[i] or (track > 0 and track == scene.lead))
            if matters or heights[i] >= least * (_STAYS if track in self._labelled else 1):
                large.add(i)
        self._labelled = {int(ids[i]) for i in large if ids[i] > 0}
        return large
