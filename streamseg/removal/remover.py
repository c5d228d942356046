"""Remover: takes objects out of the frames of one output, which it gives when it has seen what comes after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.blurred import blurred_planes
from streamseg.composite.canvas import Canvas
from streamseg.composite.remove import Remove
from streamseg.core.masks import region_of
from streamseg.core.result import Result
from streamseg.pixels import planes
from streamseg.removal.plate import Plate
from streamseg.removal.window import Held, Window

__all__ = ["MEMORY", "Remover"]

ByteArray = npt.NDArray[np.uint8]
MEMORY = 768 << 20
"""Bytes of pictures that are held at most, whatever the window."""
_MARGIN = 32
"""Pixels around a hole that are looked at, too."""


class Remover:
    """A stage that takes `Result`s and gives them with another picture: see `Remove`.

    It holds the frames of `window` seconds before and after the one that it works on, of at most `memory` bytes: where that is
    less, it looks less far. A new epoch, size or format begins a new window.
    """

    delays = True

    def __init__(self, effect: Remove, memory: int = MEMORY, warnings: list[str] | None = None) -> None:
        """`warnings` is told at the end what was never seen."""
        self._effect, self._window = effect, Window(effect.seconds, memory)
        self._warnings = warnings
        self._removed = self._missing = self._frames = 0
        self._worst = (0.0, 0.0)

    def __call__(self, result: Result) -> list[Result]:
        """The frames that are ready. Raises ConfigError for a class that the effect names and the model does not know."""
        done = []
        if not self._window.fits(result):
            done = self.flush()
        self._window.add(Held.of(result, self._effect))
        while self._window.ready:
            done.append(self._next())
        return done

    def flush(self) -> list[Result]:
        """All that are held."""
        done = []
        while self._window.waiting:
            done.append(self._next())
        self._window.clear()
        return done

    def close(self) -> None:
        """Say what was never seen."""
        self._window.clear()
        if self._warnings is None or not self._removed:
            return
        warnings, self._warnings = self._warnings, None
        if self._missing:
            share, time = self._worst
            how = {"hold": "stays as it was", "blur": "is filled from around it", "mark": "is marked"}[self._effect.missing]
            warnings.append(
                f"remove: of what was removed, {_percent(self._missing / self._removed)} was never seen within "
                f"{self._effect.seconds:g} s and {how}: in {self._frames} frames, most ({_percent(share)}) at {time:.2f} s"
            )
        if self._window.short:
            warnings.append(f"remove: memory for pictures allowed a shorter window than {self._effect.seconds:g} s")

    def _next(self) -> Result:
        held, others = self._window.waiting[0], self._window.around()
        made = self._without(held, others)
        self._window.give()
        return made

    def _without(self, held: Held, others: list[Held]) -> Result:
        frame, around = held.result.frame, held.region
        if around is None:
            return self._shown(held.result, None, None)
        canvas = Canvas(frame.picture, interlaced=frame.field_order is not None)
        x0, y0, x1, y1 = around
        reach = round(self._effect.cleanup * canvas.unit)
        margin = max(_MARGIN, reach + 8)
        box = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
        region = region_of(box, frame.width, frame.height, max(2, canvas.align))
        plate = Plate(held, region, canvas.interlaced, reach)
        plate.look(others)
        missing = plate.missing
        self._count(held, missing)
        alpha = held.hole[region[1] : region[3], region[0] : region[2]].copy()
        if self._effect.show == "missing":
            return self._shown(held.result, region, missing)
        filled = plate.planes()
        if reach:
            cv2.max(alpha, plate.left_over(filled), alpha)
        if missing.any():
            self._fill(canvas, region, filled, alpha, missing)
        else:
            canvas.mix(region, alpha, filled)
        return replace(held.result, frame=replace(frame, picture=canvas.picture))

    def _fill(self, canvas: Canvas, region: Any, filled: list[Any], alpha: ByteArray, missing: npt.NDArray[np.bool_]) -> None:
        """Lay over what was seen, and do what is asked for with the rest."""
        unseen = missing.astype(np.uint8) * 255
        if self._effect.missing == "hold":
            alpha[missing] = 0
            canvas.mix(region, alpha, filled)
            return
        canvas.mix(region, np.where(missing, 0, alpha).astype(np.uint8), filled)
        rest = np.where(missing, alpha, 0).astype(np.uint8)
        if self._effect.missing == "mark":
            canvas.paint(region, rest, self._effect.rgb)
            return
        if not (unseen == 0).any():
            return
        # From what is known, with ever wider blurs: the nearest that reaches a pixel is taken.
        known = cv2.bitwise_not(unseen)
        reach, deepest = 2.0, float(cv2.distanceTransform(unseen, cv2.DIST_L2, cv2.DIST_MASK_3).max())
        while True:
            last = reach > 2 * deepest
            wide = blurred_planes(canvas, region, known, reach)  # type: ignore[arg-type]
            near = rest if reach == 2.0 else np.where(unseen > 0, rest, 0).astype(np.uint8)
            canvas.mix(region, near, wide)
            if last:
                return
            within = cv2.distanceTransform(unseen, cv2.DIST_L2, cv2.DIST_MASK_3) < reach
            unseen[within] = 0
            rest[within] = 0
            known = cv2.bitwise_not(unseen)
            reach *= 2

    def _count(self, held: Held, missing: npt.NDArray[np.bool_]) -> None:
        total, count = int(np.count_nonzero(held.removed.part)), int(missing.sum())
        self._removed += total
        self._missing += count
        self._frames += count > 0
        if count and count / total > self._worst[0]:
            self._worst = count / total, held.time

    def _shown(self, result: Result, region: Any, missing: npt.NDArray[np.bool_] | None) -> Result:
        """Where nothing is removed, or the matte of what was never seen is asked for."""
        if self._effect.show == "picture":
            return result
        frame = result.frame
        matte = planes.new_frame(frame.width, frame.height, "gray")
        planes.copy_tags(planes.on_host(frame.picture), matte)
        matte.color_range = 2
        grey = planes.views(matte).planes[0].array
        grey[...] = 0
        if missing is not None:
            grey[region[1] : region[3], region[0] : region[2]] = missing * np.uint8(255)
        return replace(result, frame=replace(frame, picture=matte))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "under 0.1 %"
