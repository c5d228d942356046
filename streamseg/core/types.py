"""The nouns that flow through the pipeline: Frame, Instances, Result, and the time and geometry they carry.

Coordinates are pixels of the *upright* frame: x to the right, y down, the origin at the outer corner of the top left pixel, so
that pixel (column c, row r) covers [c, c+1) x [r, r+1) and its centre is (c + 0.5, r + 0.5). Boxes are xyxy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from operator import index
from typing import Any, Literal, Self, SupportsIndex, get_args

import numpy as np
import numpy.typing as npt

from streamseg.core import show
from streamseg.errors import ConfigError
from streamseg.pixels.fields import FieldOrder
from streamseg.pixels.packing import PackedPicture, pack
from streamseg.pixels.picture import AnyPicture
from streamseg.system.unchanging import unchanging

__all__ = ["EVENT_KINDS", "ROAD_EVENTS", "Activity", "Event", "EventKind", "Frame", "Instances", "Occlusion", "Track"]

EventKind = Literal[
    "count", "cross", "enter", "leave", "dwell", "alert", "cut_in", "crossing", "stop", "near_miss", "hidden", "reappear"
]
"""`count`: it is certain enough to be counted; `cross` a line; `enter`, `leave` a zone; `dwell`: it has stayed long.

Of driving scenes (docs/drive.md): `alert`, it comes near too soon; `cut_in`, it came into the way ahead from the side;
`crossing`, it crosses that; `stop`, it came to stand ahead; `near_miss`; `hidden` behind another, `reappear` from there."""
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
ROAD_EVENTS = EVENT_KINDS[5:]
"""Those of driving scenes."""

_HEADS = ("track", "class", "score", "box")

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@unchanging
@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture, upright, in the decoder's own planes, with its time.

    `picture` is shared by every branch of the pipeline: who wants to draw copies it first.
    """

    picture: AnyPicture
    """Planes as decoded (yuv420p, nv12, yuv420p10le, ...), colour tags set; rotated upright if the source is tagged so.

    In host memory or on a GPU; code for the host takes it through `planes.supported`, which downloads it."""
    index: int
    """0-based number in the source, also where the run began later; of a live source, of the frames that were decoded."""
    pts: int
    """Presentation time in units of `time_base`; strictly increases over the whole run, over epochs too."""
    time_base: Fraction
    """Seconds per unit of `pts` and `duration`; the same for all frames of a run."""
    duration: int = 0
    """Units of `time_base`: until the next frame, or the source's end; of a live source what it says, 0 for nothing."""
    epoch: int = 0
    """Grows by one where continuity is lost: reconnect, change of size or format, jump of the clock."""
    arrived: float = 0.0
    """`time.monotonic()` when it left the decoder, seconds; latency counts from here."""
    synthetic_pts: bool = False
    """The source gave no usable pts; this one was made from the nominal rate."""
    corrupt: bool = False
    """The decoder reported damage in this picture."""
    field_order: FieldOrder | None = None
    """`tff` or `bff`: the picture is two fields, of two moments, and which is the first one; None: progressive."""
    utc: float | None = None
    """Live: when it was captured, seconds since 1970, UTC (docs/clock.md); increases within an epoch. None: not known."""
    lost: str = ""
    """Why the camera is away: this is a placeholder that says so, and no picture of the camera."""

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def width(self) -> int:
        """Pixels, upright."""
        return int(self.picture.width)

    @property
    def height(self) -> int:
        """Pixels, upright."""
        return int(self.picture.height)

    def __reduce__(self) -> tuple[Any, ...]:
        others = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "picture"}
        return _unpacked, (pack(self.picture), others)

    def __copy__(self) -> Self:
        return replace(self)  # neither it nor its picture ever changes

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height} {self.picture.format.name}"
        return f"Frame(index={self.index}, time={self.time:.3f}s, {size}, epoch={self.epoch})"

    def _repr_png_(self) -> bytes:
        """For notebooks: the picture, small."""
        return show.png(show.rgb(self.picture, self.field_order is not None))


def _unpacked(packed: PackedPicture, others: dict[str, Any]) -> Frame:
    return Frame(packed.picture(), **others)


@unchanging
@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """What was found in one frame, as a structure of arrays of one length N, ordered by falling score."""

    boxes: FloatArray
    """[N, 4] float32 xyxy, frame pixels, inside the frame."""
    scores: FloatArray
    """[N] float32 in [0, 1]."""
    labels: IntArray
    """[N] int64, 0-based index into `class_names`."""
    masks: ByteArray
    """[N, M, M] uint8, soft: 255 x the probability that a point belongs to the instance; the grid spans its box exactly.

    M is the network's: 28 of those that streamseg exports; 1 where a mask is its whole box. [N, 0, 0]: boxes alone were found."""
    class_names: tuple[str, ...]
    track_ids: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    """[N] int64, positive and never reused within a run; 0 where not (yet) tracked."""
    track_scores: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    """[N] float32 in [0, 1]: the track's mean score, over the last second or so; the frame's own score where not tracked."""
    doubtful: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """[N] bool: the track's mean score has fallen below the confidence asked for; it still followed because it was sure before."""
    fine: tuple[ByteArray | None, ...] = ()
    """Empty, or for each instance a finer grid [g, g] uint8 over its box, refined to the picture's edges; None: there is none."""
    mattes: bool = False
    """Whether the finer grids are mattes: 255 x the share of a point that the instance covers, soft as its edge is. An effect that
    mixes draws them as they are; of others the outline at one half counts, as of masks."""
    track_names: Mapping[int, str] = field(default_factory=dict)
    """Track → the name that a person gave it (docs/selections.md), of those that have one."""

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if len(self.track_ids) == 0 and n:
            object.__setattr__(self, "track_ids", np.zeros(n, np.int64))
        if len(self.track_scores) == 0 and n:
            object.__setattr__(self, "track_scores", self.scores)
        if len(self.doubtful) == 0 and n:
            object.__setattr__(self, "doubtful", np.zeros(n, np.bool_))
        expected: dict[str, tuple[tuple[int, ...], Any]] = {
            "boxes": ((n, 4), np.float32),
            "scores": ((n,), np.float32),
            "labels": ((n,), np.int64),
            "masks": ((n, self.side, self.side), np.uint8),
            "track_ids": ((n,), np.int64),
            "track_scores": ((n,), np.float32),
            "doubtful": ((n,), np.bool_),
        }
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(
                    f"Instances.{name}: expected {np.dtype(dtype).name} {list(shape)}, got {array.dtype.name} {list(array.shape)}"
                )

        if len(self.fine) not in (0, n) or any(g is not None and (g.ndim != 2 or g.shape[0] != g.shape[1]) for g in self.fine):
            raise ValueError(f"Instances.fine: expected nothing, or {n} grids as wide as high, got {len(self.fine)}")

    @property
    def side(self) -> int:
        """M, cells a side of `masks`; 0: there are none."""
        return self.masks.shape[-1] if self.masks.ndim else 0

    @property
    def has_masks(self) -> bool:
        """False: boxes alone were found, and `masks` is [N, 0, 0]."""
        return self.side > 0

    @property
    def has_shapes(self) -> bool:
        """Whether masks say more than the boxes do: False where there are none, and where each is its whole box."""
        return self.side > 1

    @property
    def mask_or_box(self) -> ByteArray:
        """[N, M, M] uint8: `masks`; where boxes alone were found these, filled: [N, 1, 1] of 255.

        For what asks which part of its box an instance covers. To draw this as a mask would claim what nobody found."""
        return self.masks if self.has_masks else np.full((len(self), 1, 1), 255, np.uint8)

    @property
    def grids(self) -> Sequence[ByteArray]:
        """[N] the mask of each instance as it is to be pasted: uint8 [g, g] spanning its box, the finest there is.

        Raises ConfigError where boxes alone were found."""
        if len(self) and not self.has_masks:
            raise ConfigError('no masks: boxes alone were found; with masks="box" each box is taken for its mask')
        return [m if g is None else g for m, g in zip(self.masks, self.fine or [None] * len(self), strict=True)]

    def is_matte(self, i: int) -> bool:
        """Whether the grid of instance `i` is a matte (`mattes`)."""
        return self.mattes and bool(self.fine) and self.fine[i] is not None

    @classmethod
    def empty(cls, class_names: tuple[str, ...], side: int = 28) -> Self:
        """No instance, of masks of `side` x `side`; 0: of boxes alone."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.zeros((0, side, side), np.uint8),
            class_names,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, keep: SupportsIndex | npt.NDArray[Any] | slice) -> Self:
        """The instances selected by a boolean mask, an index array or a slice; by a number that one alone, as `Instances` of one.

        Raises IndexError for a number beyond them.
        """
        if isinstance(keep, SupportsIndex) and not isinstance(keep, np.ndarray | bool | np.bool_):
            at, n = index(keep), len(self)
            if not -n <= at < n:
                raise IndexError(f"there is no instance {at}: there are {n}")
            keep = slice(at % n, at % n + 1)
        return replace(
            self,
            boxes=self.boxes[keep],
            scores=self.scores[keep],
            labels=self.labels[keep],
            masks=self.masks[keep],
            track_ids=self.track_ids[keep],
            track_scores=self.track_scores[keep],
            doubtful=self.doubtful[keep],
            fine=tuple(self.fine[i] for i in np.arange(len(self))[keep]) if self.fine else (),
        )

    def __iter__(self) -> Iterator[Self]:
        """One by one, each as `Instances` of one."""
        return (self[i] for i in range(len(self)))

    @property
    def names(self) -> list[str]:
        """The class name of each instance."""
        return [self.class_names[label] for label in self.labels]

    @property
    def called(self) -> list[str]:
        """What each instance is to be called: its track's name, where a person gave it one, else its class."""
        given = self.track_names
        return [given.get(track, name) for track, name in zip(self.track_ids.tolist(), self.names, strict=True)]

    def summary(self) -> str:
        """How many there are of each class, as "2 person, 1 car"; "none"."""
        counts: dict[str, int] = {}
        for name in self.names:
            counts[name] = counts.get(name, 0) + 1
        return ", ".join(f"{n} {c}" for c, n in counts.items()) or "none"

    def __repr__(self) -> str:
        return f"Instances({self.summary()})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return show.as_html(repr(self), _HEADS, self._rows(), [*self.mask_or_box])

    def __rich__(self) -> Any:
        return self.as_table(repr(self))

    def as_table(self, title: str) -> Any:
        """A `rich.table.Table` of the instances, for a terminal."""
        return show.as_table(title, _HEADS, self._rows())

    def _rows(self) -> list[list[str]]:
        ids = [str(track) if track > 0 else "" for track in self.track_ids]
        boxes = [" ".join(f"{value:.0f}" for value in box) for box in self.boxes]
        scores = [f"{score:.2f}" for score in self.scores]
        return [list(cells) for cells in zip(ids, self.names, scores, boxes, strict=True)]


@unchanging
@dataclass(frozen=True, slots=True)
class Track:
    """One instance followed through time, as the tracker reports it."""

    track_id: int
    label: int
    first_time: float
    """Seconds, presentation time of the first frame it was seen in."""
    last_time: float
    hits: int
    """Frames in which it was detected."""
    state: Literal["tentative", "confirmed", "occluded", "lost"] = "confirmed"
    """`tentative`: too new to be sure of; `confirmed`: seen now; not seen now: `occluded` by what is seen, or else `lost`."""


@unchanging
@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """What hides what in one frame, as a structure of arrays aligned with the frame's instances, of length N."""

    visible: FloatArray
    """[N] float32 in [0, 1]: the share of the instance's extent inside the frame that no instance in front of it hides."""
    occluded_by: IntArray
    """[N] int64, the track id of the instance that hides most of it; 0: none."""
    order: IntArray
    """[N] int64, each of 0..N-1 once: 0 is nearest. It says something of instances that overlap, nothing of others."""
    at_border: npt.NDArray[np.bool_]
    """[N] bool: it touches the frame's border, so that there may be more of it outside."""
    extents: FloatArray
    """[N, 4] float32 xyxy, frame pixels: the box of the whole instance, hidden parts included."""

    def __post_init__(self) -> None:
        n = len(self.visible)
        shapes = {"visible": (n,), "occluded_by": (n,), "order": (n,), "at_border": (n,), "extents": (n, 4)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"Occlusion.{name}: expected {list(shape)}, got {list(getattr(self, name).shape)}")

    def __repr__(self) -> str:
        hidden = int((self.occluded_by > 0).sum())
        return f"Occlusion(of {len(self.visible)} instances, {hidden} behind others)"


@unchanging
@dataclass(frozen=True, slots=True)
class Event:
    """Something that a track did."""

    kind: EventKind
    time: float
    """Seconds, presentation time at which it happened; it is reported when it is certain, a moment later."""
    track_id: int
    """0: the vehicle itself, of a `stop`."""
    name: str
    """The track's class."""
    place: str = ""
    """Name of the line or zone."""
    direction: str = ""
    """`cross` only: one of the line's `directions`; by default `left_to_right` or `right_to_left`, for one who looks from the
    line's first point to its second."""
    seconds: float | None = None
    """`leave` and `dwell` only: how long it has been inside."""
    utc: float | None = None
    """Of a live source: when it happened, seconds since 1970, UTC."""
    details: Mapping[str, float] = field(default_factory=dict)
    """Of driving scenes: the numbers at that time, as `ttc`, `ttc_std` (seconds), `distance` (metres); by name."""


@unchanging
@dataclass(frozen=True, slots=True)
class Activity:
    """Counts as they stand after a frame, and the events that became certain with it."""

    now: dict[str, int]
    """Instances in this frame of each class whose tracks are counted."""
    total: dict[str, int]
    """Tracks counted so far, of each class."""
    lines: dict[str, dict[str, int]]
    """For each line: crossings so far, by direction."""
    zones: dict[str, dict[str, int]]
    """For each zone: tracks `inside` now (seen within the last second), and how often one `entered` and `left` so far."""
    events: tuple[Event, ...] = ()
    places: Mapping[str, FloatArray] = field(default_factory=dict)
    """The points [P, 2] of each line and zone, frame pixels."""

    def __repr__(self) -> str:
        return (
            f"Activity(now={self.now}, total={self.total}, lines={self.lines}, zones={self.zones}, events={list(self.events)})"
        )
