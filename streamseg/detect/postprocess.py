"""The postprocess stage: a head reads the network's outputs; this makes Instances in frame pixels of them, and counts nonsense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from streamseg.core import masks as mask_ops
from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.detect.heads import Candidates, head_for
from streamseg.detect.infer import Pending
from streamseg.errors import BadOutput, ConfigError
from streamseg.errors.describe import brief, classes_known, counted
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["Masks", "Postprocess", "PostprocessCounters", "gives_masks", "wanted_classes"]

FloatArray = npt.NDArray[np.float32]
Masks = Literal["auto", "box", "none"]
"""Which masks instances get: those that the model gives, their whole boxes, or none."""

ABSURD_SCALE = 8.0
"""A box with a corner farther outside than so many frame sizes counts as nonsense."""
_SOME_LABELS = 5
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
    """Score outside [0, 1], label below 0, inverted box, or one far outside of the frame."""
    unknown_label: int = 0
    """Label beyond the model's classes."""
    unknown_labels: set[int] = field(default_factory=set)
    """Some of these labels."""
    empty: int = 0
    """Less than a pixel wide or high, or wholly in the padding."""
    low_score: int = 0
    other_class: int = 0

    def sentences(self, classes: int) -> list[str]:
        """What a person should know of what was thrown out; `classes`: how many the model has."""
        said = []
        if self.unknown_label:
            some, most = ", ".join(map(str, sorted(self.unknown_labels))), counted(classes, "class")
            said.append(
                f"{counted(self.unknown_label, 'detection')} with labels beyond the model's {most} (as {some}) "
                "left out: name all its classes, in the order of their labels (classes: in its sidecar; docs/models.md)"
            )
        if self.not_finite or self.absurd:
            said.append(
                f"{counted(self.not_finite + self.absurd, 'impossible detection')} left out: {self.not_finite} with NaN or "
                f"infinity, {self.absurd} with a box, score or label that cannot be"
            )
        return said


def gives_masks(spec: GraphSpec, head: str | None = None, masks: Masks = "auto") -> bool:
    """Whether instances of a model will have masks, as `Postprocess` makes them. Raises as `head_for` does."""
    return masks == "box" or (masks == "auto" and getattr(head_for(spec, head), "gives_masks", True))


def wanted_classes(classes: Sequence[str] | None, known: Sequence[str]) -> npt.NDArray[np.bool_]:
    """[classes] which of those `known` are asked for; None: all. Raises ConfigError for one that there is not, and for none."""
    if classes is None:
        return np.ones(len(known), bool)
    unknown = [name for name in classes if name not in known]
    if unknown or not classes:
        got = f"there is no {', '.join(map(brief, unknown[:5]))}" if unknown else "at least one is needed"
        there = classes_known(unknown[0] if unknown else "", known)
        every = "" if "did you mean" in there else "; all of them: --classes all"
        raise ConfigError(f"classes: {got}; {there}{every}")
    return np.isin(known, list(classes))


class Postprocess:
    """Waits for the answer and makes a Result of it.

    Keeps instances with a score of at least `conf` and, where `classes` is given, of these classes. After `patience` frames in a
    row whose answer is nonsense the network is taken to be broken: BadOutput.
    """

    def __init__(
        self,
        spec: GraphSpec,
        conf: float = 0.5,
        classes: Sequence[str] | None = None,
        *,
        head: str | None = None,
        masks: Masks = "auto",
        patience: int = 30,
    ) -> None:
        """`spec`: the graph's, which tells what its labels mean and, unless `head` says it, who reads it (`heads.head_for`).

        `masks`: `auto`, what the model gives; `box`, each box for its mask; `none`, boxes alone: masks are then not decoded.

        Raises ModelError for a graph that no head reads; ConfigError for a `conf` outside [0, 1], an unknown class, an empty
        `classes` or a `patience` below 1.
        """
        if not 0 <= conf <= 1:
            raise ConfigError(f"conf is {conf}; allowed: 0 to 1")
        if patience < 1:
            raise ConfigError(f"patience is {patience}; allowed: 1 or more frames")
        self.class_names = spec.classes
        self.head = head_for(spec, head)
        self.counters = PostprocessCounters()
        self._conf = conf
        self._masks: Masks = masks
        self._patience = patience
        self._bad_in_a_row = 0
        self._side = {"auto": 28 if gives_masks(spec, head) else 0, "box": 1, "none": 0}[masks]
        """Cells a side of the masks of no instance."""
        self._wanted = wanted_classes(classes, self.class_names)

    def adopt(self, former: object) -> None:
        """Go on counting."""
        if isinstance(former, Postprocess):
            self.counters = former.counters

    def __call__(self, pending: Pending) -> Result:
        """Wait for the engine. Raises EngineError if it failed, BadOutput when the network has been broken for too long.

        A frame that the network does not look at gives a result without instances, `detected` False.
        """
        if pending.future is None:
            nothing = Instances.empty(self.class_names, self._side)
            return Result(pending.frame, nothing, detected=False, still=pending.still)
        arrays = pending.future.result().row(pending.slot)
        self.counters.frames += 1
        found = self.head(arrays, pending.letterbox, self._conf)
        self.counters.low_score += found.low
        boxes = pending.letterbox.to_frame(found.boxes)
        wanted = self._wanted_rows(self._sound(boxes, found, pending.letterbox), found)
        instances = self._instances(boxes[wanted], found, wanted, pending.letterbox)
        self.counters.kept += len(instances)
        return Result(pending.frame, instances, answered=self._bad_in_a_row == 0)

    def _sound(self, boxes: FloatArray, found: Candidates, letterbox: Letterbox) -> npt.NDArray[np.bool_]:
        """Which rows make sense; counts the others, and the frames in a row in which something is badly wrong."""
        scores, labels = found.scores, found.labels
        finite = found.finite & np.isfinite(boxes).all(1) & np.isfinite(scores)
        far = ABSURD_SCALE * max(letterbox.frame_width, letterbox.frame_height)
        with np.errstate(invalid="ignore"):
            possible = (scores >= 0) & (scores <= 1) & (labels >= 0)
            possible &= (np.abs(boxes) <= far).all(1) & (boxes[:, 2:] >= boxes[:, :2]).all(1)
        sound = finite & possible
        self.counters.not_finite += int((~finite).sum())
        self.counters.absurd += int((finite & ~possible).sum())
        if finite.all() and (sound.any() or not len(sound)):
            self._bad_in_a_row = 0
            return self._known(sound, found)
        self.counters.bad_frames += 1
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= self._patience:
            raise BadOutput(
                f"the network gave nonsense (NaN, infinity, or impossible boxes, scores or labels) for {self._bad_in_a_row} frames "
                "in a row: the model file or its engine is broken; try another --engine, or fetch or export the model again"
            )
        return self._known(sound, found)

    def _known(self, sound: npt.NDArray[np.bool_], found: Candidates) -> npt.NDArray[np.bool_]:
        """Of the rows that make sense those whose label is a class; the others are no nonsense: the list of classes is short."""
        beyond = sound & (found.labels >= len(self.class_names))
        if beyond.any():
            told = found.labels[beyond & (found.scores >= self._conf)]
            self.counters.unknown_label += len(told)
            self.counters.low_score += int(beyond.sum()) - len(told)
            new = sorted(set(told.tolist()) - self.counters.unknown_labels)
            self.counters.unknown_labels.update(new[: max(0, _SOME_LABELS - len(self.counters.unknown_labels))])
        return sound & ~beyond

    def _wanted_rows(self, sound: npt.NDArray[np.bool_], found: Candidates) -> npt.NDArray[np.intp]:
        """Indices of the rows asked for, by falling score."""
        order = np.flatnonzero(sound)
        confident = order[found.scores[order] >= self._conf]
        wanted = confident[self._wanted[found.labels[confident]]]
        self.counters.low_score += len(order) - len(confident)
        self.counters.other_class += len(confident) - len(wanted)
        return wanted[np.argsort(-found.scores[wanted], kind="stable")]

    def _instances(self, boxes: FloatArray, found: Candidates, wanted: npt.NDArray[np.intp], letterbox: Letterbox) -> Instances:
        """What of the rows `wanted`, whose `boxes` these are, lies inside the frame, clipped to it."""
        width, height = letterbox.frame_width, letterbox.frame_height
        inside = np.minimum(boxes[:, 2:], (width, height)) - np.maximum(boxes[:, :2], 0)
        visible = (inside >= THINNEST).all(1)
        self.counters.empty += int((~visible).sum())
        rows = wanted[visible]
        clipped, levels = mask_ops.crop_to(boxes[visible], self._levels(found, rows), width, height)
        return Instances(clipped, found.scores[rows], found.labels[rows], levels, self.class_names)

    def _levels(self, found: Candidates, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
        """The masks of `rows`, as they were asked for."""
        if self._masks == "box":
            return np.full((len(rows), 1, 1), 255, np.uint8)
        if self._masks == "none" or found.masks is None:
            return np.zeros((len(rows), 0, 0), np.uint8)
        return found.masks(rows)
