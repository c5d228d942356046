"""The postprocess stage: from the network's raw answer to Instances in frame pixels, with nonsense thrown out and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamseg.core import masks as mask_ops
from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.detect.infer import Pending
from streamseg.errors import BadOutput, ConfigError
from streamseg.errors.describe import brief
from streamseg.pixels.letterbox import Letterbox

__all__ = ["Postprocess", "PostprocessCounters"]

ABSURD_SCALE = 8.0
"""A corner further out than this many frame sizes is not a box that sticks out of the picture, but nonsense."""
THINNEST = 1.0
"""Frame pixels; a box with less inside the frame holds no pixel that could be painted."""


@dataclass(slots=True)
class PostprocessCounters:
    """How many frames came, and what was thrown out of them; all but `frames` and `bad_frames` count instances."""

    frames: int = 0
    bad_frames: int = 0
    """Frames with a non-finite answer, or with nothing but absurd ones."""
    kept: int = 0
    not_finite: int = 0
    """NaN or infinity in the box, the score or the mask."""
    absurd: int = 0
    """Score outside [0, 1], unknown label, inverted box, or one far outside of the frame."""
    empty: int = 0
    """Less than a pixel wide or high, or wholly in the padding."""
    low_score: int = 0
    other_class: int = 0


class Postprocess:
    """Waits for the answer and makes a Result of it.

    Keeps instances with a score of at least `conf` and, where `classes` is given, of these classes. After `patience` frames in a
    row whose answer is nonsense the network is taken to be broken: BadOutput.
    """

    def __init__(
        self, class_names: Sequence[str], conf: float = 0.5, classes: Sequence[str] | None = None, *, patience: int = 30
    ) -> None:
        """Raises ConfigError for a `conf` outside [0, 1], an unknown class, an empty `classes` or a `patience` below 1."""
        if not 0 <= conf <= 1:
            raise ConfigError(f"conf is {conf}; allowed: 0 to 1")
        if patience < 1:
            raise ConfigError(f"patience is {patience}; allowed: 1 or more frames")
        self.class_names = tuple(class_names)
        self.counters = PostprocessCounters()
        self._conf = conf
        self._patience = patience
        self._bad_in_a_row = 0
        self._wanted = self._select(classes)

    def _select(self, classes: Sequence[str] | None) -> npt.NDArray[np.bool_]:
        if classes is None:
            return np.ones(len(self.class_names), bool)
        unknown = [name for name in classes if name not in self.class_names]
        if unknown or not classes:
            got = ", ".join(map(brief, unknown[:5])) or "no class at all"
            raise ConfigError(f"classes: {got}; this model knows: {', '.join(self.class_names)}")
        return np.isin(self.class_names, list(classes))

    def __call__(self, pending: Pending) -> Result:
        """Wait for the engine. Raises EngineError if it failed, BadOutput when the network has been broken for too long.

        A frame that the network does not look at gives a result without instances, `detected` False.
        """
        if pending.future is None:
            return Result(pending.frame, Instances.empty(self.class_names), detected=False)
        answer, slot = pending.future.result(), pending.slot
        self.counters.frames += 1
        rows = (answer.labels[slot] != -1) | (answer.scores[slot] != 0)  # the others are padding
        boxes = pending.letterbox.to_frame(answer.boxes[slot][rows])
        scores, labels, masks = answer.scores[slot][rows], answer.labels[slot][rows], answer.masks[slot][rows]
        sound = self._sound(boxes, scores, labels, masks, pending.letterbox)
        wanted = self._wanted_rows(sound, scores, labels)
        instances = self._instances(boxes[wanted], scores[wanted], labels[wanted], masks[wanted], pending.letterbox)
        self.counters.kept += len(instances)
        return Result(pending.frame, instances)

    def _sound(
        self,
        boxes: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int32],
        masks: npt.NDArray[np.float32],
        letterbox: Letterbox,
    ) -> npt.NDArray[np.bool_]:
        """Which rows make sense; counts the others, and the frames in a row in which something is badly wrong."""
        finite = np.isfinite(boxes).all(1) & np.isfinite(scores) & np.isfinite(masks).all((1, 2))
        far = ABSURD_SCALE * max(letterbox.frame_width, letterbox.frame_height)
        with np.errstate(invalid="ignore"):
            possible = (scores >= 0) & (scores <= 1) & (labels >= 0) & (labels < len(self.class_names))
            possible &= (np.abs(boxes) <= far).all(1) & (boxes[:, 2:] >= boxes[:, :2]).all(1)
        sound = finite & possible
        self.counters.not_finite += int((~finite).sum())
        self.counters.absurd += int((finite & ~possible).sum())
        if finite.all() and (sound.any() or not len(sound)):
            self._bad_in_a_row = 0
            return sound
        self.counters.bad_frames += 1
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= self._patience:
            raise BadOutput(
                f"the network gave nonsense (NaN, infinity or impossible boxes) for {self._bad_in_a_row} frames in a row: the "
                "model file or its engine is broken; try another --engine, or fetch or export the model again"
            )
        return sound

    def _wanted_rows(
        self, sound: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int64]:
        """Indices of the rows asked for, by falling score."""
        order = np.flatnonzero(sound)
        confident = order[scores[order] >= self._conf]
        wanted = confident[self._wanted[labels[confident]]]
        self.counters.low_score += len(order) - len(confident)
        self.counters.other_class += len(confident) - len(wanted)
        by_score = np.argsort(-scores[wanted], kind="stable")
        return wanted[by_score].astype(np.int64)

    def _instances(
        self,
        boxes: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int32],
        masks: npt.NDArray[np.float32],
        letterbox: Letterbox,
    ) -> Instances:
        """What lies inside the frame, clipped to it."""
        width, height = letterbox.frame_width, letterbox.frame_height
        inside = np.minimum(boxes[:, 2:], (width, height)) - np.maximum(boxes[:, :2], 0)
        visible = (inside >= THINNEST).all(1)
        self.counters.empty += int((~visible).sum())
        levels = np.rint(np.clip(masks[visible], 0, 1) * 255).astype(np.uint8)
        clipped, levels = mask_ops.crop_to(boxes[visible], levels, width, height)
        return Instances(clipped, scores[visible], labels[visible].astype(np.int64), levels, self.class_names)
