"""What a user gets for one frame: the frame with its time, the instances found in it, and ways to look at them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
import numpy.typing as npt

from streamseg.core import masks as mask_ops
from streamseg.core import overlaps, rle, show
from streamseg.core.cover import Cover
from streamseg.core.palette import color_of
from streamseg.core.scene import Scene
from streamseg.core.types import Activity, Frame, Instances, Occlusion
from streamseg.core.utc import as_iso
from streamseg.system.unchanging import unchanging

if TYPE_CHECKING:
    import supervision

__all__ = ["FullMasks", "Result"]


class FullMasks(Sequence[npt.NDArray[np.bool_]]):
    """The instances' masks at the frame's full size, each pasted when it is asked for: thirty 1080p masks would be 60 MB.

    `masks[i]` is bool [height, width] of the upright frame; `numpy.stack(masks)` makes the whole [N, height, width] array.
    Raises ConfigError for a mask where boxes alone were found.
    """

    def __init__(self, instances: Instances, width: int, height: int) -> None:
        """`width` and `height` are the frame's, pixels."""
        self._instances, self._width, self._height = instances, width, height

    def __len__(self) -> int:
        return len(self._instances)

    def __repr__(self) -> str:
        return f"FullMasks({len(self)} of bool [{self._height}, {self._width}])"

    @overload
    def __getitem__(self, index: int) -> npt.NDArray[np.bool_]: ...
    @overload
    def __getitem__(self, index: slice) -> list[npt.NDArray[np.bool_]]: ...
    def __getitem__(self, index: int | slice) -> npt.NDArray[np.bool_] | list[npt.NDArray[np.bool_]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        instances = self._instances
        return mask_ops.full(instances.grids[index], instances.boxes[index], self._width, self._height)

    def __iter__(self) -> Iterator[npt.NDArray[np.bool_]]:
        return (self[i] for i in range(len(self)))

    def _repr_png_(self) -> bytes:
        """For notebooks: each in the colour that `Result.plot` gives it, on black."""
        canvas, found = np.zeros((self._height, self._width, 3), np.uint8), self._instances
        for i in reversed(range(len(found) if found.has_masks else 0)):
            (x0, y0, x1, y1), soft = mask_ops.paste(found.grids[i], found.boxes[i], self._width, self._height)
            canvas[y0:y1, x0:x1][soft >= 128] = color_of(int(found.track_ids[i]), int(found.labels[i]))
        return show.png(canvas)


@unchanging
@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One frame and what was found in it. Arrays share one length N, ordered by falling score; coordinates are frame pixels.

    It can be copied and pickled, its picture with it. It never changes: `dataclasses.replace(result, instances=...)` makes another.
    """

    frame: Frame
    instances: Instances
    occlusion: Occlusion | None = None
    """What hides what, once that has been estimated."""
    activity: Activity | None = None
    """Counts and events, once they have been taken."""
    detected: bool = True
    """The network looked at this frame; False: its instances were carried along from the frame before."""
    still: bool = False
    """Nothing had moved since the network last looked: it was not asked, and its instances are those of the frame before."""
    answered: bool = True
    """What the network said of this frame could be read; False: some of it was nonsense, and is left out."""
    covers: Mapping[object, Cover] = field(default_factory=dict, repr=False)
    """What must not be seen of this frame, for each setting of privacy (`streamseg.shield`); empty: nothing is hidden."""
    scene: Scene | None = None
    """What a driving camera tells of the road, once that has been looked at (docs/drive.md)."""

    def __len__(self) -> int:
        return len(self.instances)

    def __repr__(self) -> str:
        frame = self.frame
        size = f"{frame.width}x{frame.height}"
        carried = "" if self.detected else ", carried along"
        return f"Result(frame {frame.index} at {frame.time:.3f} s, {size}: {self.instances.summary()}{carried})"

    def _repr_png_(self) -> bytes:
        """For notebooks: what `plot` draws, small."""
        return show.png(self.plot())

    def __rich__(self) -> Any:
        return self.instances.as_table(repr(self))

    @property
    def pts(self) -> int:
        """Presentation time in units of `frame.time_base`."""
        return self.frame.pts

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return self.frame.time

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """[N, 4] float32 xyxy in frame pixels."""
        return self.instances.boxes

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """[N] float32 in [0, 1]."""
        return self.instances.scores

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """[N] int64, index into `instances.class_names`."""
        return self.instances.labels

    @property
    def names(self) -> list[str]:
        """The class name of each instance."""
        return self.instances.names

    @property
    def track_ids(self) -> npt.NDArray[np.int64]:
        """[N] int64, positive; 0 where not tracked."""
        return self.instances.track_ids

    @property
    def has_masks(self) -> bool:
        """False: boxes alone were found, since the model gives no masks or none were asked for."""
        return self.instances.has_masks

    @property
    def masks(self) -> FullMasks:
        """Bool masks [height, width] at frame size, pasted when indexed; the soft small ones are `instances.masks`.

        Where boxes alone were found (`has_masks` is False) indexing raises ConfigError.
        """
        return FullMasks(self.instances, self.frame.width, self.frame.height)

    def image(self, format: str = "rgb24") -> npt.NDArray[Any]:
        """The frame without drawing: uint8 [height, width, 3], RGB, or another packed PyAV format such as `bgr24`."""
        from streamseg.composite import to_image

        return to_image(self.frame.picture, format, interlaced=self.frame.field_order is not None)

    def plot(self, format: str = "rgb24") -> npt.NDArray[Any]:
        """The frame with masks, contours and labels drawn: uint8 [height, width, 3], RGB, or `bgr24` for OpenCV."""
        from streamseg.composite import Overlay

        return self.draw(Overlay(), format)

    def draw(self, effects: Callable[..., None] | Sequence[Callable[..., None]], format: str = "rgb24") -> npt.NDArray[Any]:
        """The frame with effects of `streamseg.composite` drawn: uint8 [height, width, 3], RGB.

        `effects`: one, several, or a chain as `Blur() >> Outline()`.

        `format`: another packed PyAV format, as `bgr24` for OpenCV, or `rgba` for what `Alpha` cuts out. Raises ConfigError for a
        class that an effect names and the model does not know, SourceError for a file that one cannot read.
        """
        from streamseg.composite import Compositor, to_image

        compositor = Compositor(cast("Any", effects))
        try:
            drawn = compositor(self).picture
        finally:
            compositor.close()
        return to_image(drawn, format, interlaced=self.frame.field_order is not None)

    def segments(self, *, disjoint: bool = False) -> Iterator[tuple[mask_ops.Region, npt.NDArray[np.bool_]]]:
        """For each instance its region (x0, y0, x1, y1) in whole pixels, and its mask there, bool [y1 - y0, x1 - x0].

        With `disjoint` a pixel belongs to one instance at most: to the nearest, or, where no depth is known, the highest score;
        where boxes stand for masks, to the smallest.
        Raises ConfigError where boxes alone were found.
        """
        frame, found = self.frame, self.instances
        if disjoint:
            order = None if self.occlusion is None else self.occlusion.order
            yield from overlaps.disjoint(found, frame.width, frame.height, order)
            return
        for mask, box in zip(found.grids, found.boxes, strict=True):
            region, crop = mask_ops.paste(mask, box, frame.width, frame.height)
            yield region, crop >= 128

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `streamseg/encode/results/results.schema.json` says: one object an instance, the mask as COCO RLE.

        Instances have no "mask" where boxes alone were found.
        """
        frame, found = self.frame, self.instances
        data: dict[str, Any] = {
            "frame": frame.index,
            "pts": frame.pts,
            "time": round(frame.time, 6),
            "epoch": frame.epoch,
            "width": frame.width,
            "height": frame.height,
            "detected": self.detected,
            **({} if frame.utc is None else {"utc": as_iso(frame.utc)}),
            **({"lost": frame.lost} if frame.lost else {}),
            "instances": [
                _named(found, i) | _instance_json(found, i) | {"box": [round(float(v), 2) for v in box]} | mask
                for i, (box, mask) in enumerate(zip(found.boxes, self._masks_json(), strict=True))
            ],
        }
        if self.occlusion is not None:
            for i, instance in enumerate(data["instances"]):
                instance.update(_occlusion_json(self.occlusion, i))
        if self.scene is not None:
            for i, instance in enumerate(data["instances"]):
                known = self.scene.instance_json(i)
                instance.update(
                    {name: value for name, value in known.items() if value is not None and (value or name != "alert")}
                )
            data["scene"] = self.scene.to_json()
        if self.activity is not None:
            data["now"], data["total"] = self.activity.now, self.activity.total
        if self.covers:
            data["privacy"] = [cover.to_json() for cover in self.covers.values()]
        return data

    def rows(self, *, masks: bool = False) -> list[dict[str, Any]]:
        """One flat dict an instance, for a table; all have the same keys in the same order, None where nothing is known.

            pandas.DataFrame(row for result in streamseg.stream("a.mp4") for row in result.rows())

        `frame`, `pts`, `time` (seconds), `epoch`, `detected`, those of `to_json` for an instance, `name` (which a person gave its
        track), and for its boxes `x0`, `y0`, `x1`, `y1` (frame pixels). With `masks` also `mask`, COCO's run lengths: a dict of
        `size` and `counts`, None where boxes alone were found.
        """
        frame, found, hidden = self.frame, self.instances, self.occlusion
        same = {"frame": frame.index, "pts": frame.pts, "time": frame.time, "epoch": frame.epoch, "detected": self.detected}
        rows = []
        for i, box in enumerate(found.boxes.tolist()):
            given = found.track_names.get(int(found.track_ids[i]))
            row = same | _instance_json(found, i) | {"name": given} | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
            row |= dict.fromkeys(_HIDDEN) if hidden is None else _occlusion_json(hidden, i)
            extent = row.pop("extent") or (None,) * 4
            row |= dict(zip(("extent_x0", "extent_y0", "extent_x1", "extent_y1"), extent, strict=True))
            rows.append(row | ({} if self.scene is None else self.scene.instance_json(i)))
        if masks:
            for row, mask in zip(rows, self._masks_json(), strict=True):
                row["mask"] = mask.get("mask")
        return rows

    def _masks_json(self) -> Iterator[dict[str, Any]]:
        """{"mask": run lengths} of each instance; {} without masks."""
        frame = self.frame
        if not self.instances.has_masks:
            return iter([{}] * len(self))
        return ({"mask": rle.encode(crop, x0, y0, frame.width, frame.height)} for (x0, y0, _, _), crop in self.segments())

    def to_supervision(self) -> "supervision.Detections":
        """The same as `supervision.Detections` (masks at frame size; None where boxes alone were found).

        Raises MissingExtra without the package `supervision`.
        """
        try:
            import supervision
        except ImportError as error:
            from streamseg.errors import MissingExtra

            raise MissingExtra("supervision") from error
        frame = self.frame
        none = np.zeros((0, frame.height, frame.width), bool)
        masks = None if not self.instances.has_masks else np.stack(self.masks) if len(self) else none
        return supervision.Detections(
            xyxy=self.boxes,
            mask=masks,
            confidence=self.scores,
            class_id=self.labels,
            tracker_id=self.track_ids,
            data={"class_name": np.array(self.names)},
        )


_HIDDEN = ("visible", "occluded_by", "order", "at_border", "extent")


def _named(found: Instances, i: int) -> dict[str, str]:
    """The name that a person gave the track, where one did."""
    given = found.track_names.get(int(found.track_ids[i]))
    return {} if given is None else {"name": given}


def _instance_json(found: Instances, i: int) -> dict[str, Any]:
    return {
        "track_id": int(found.track_ids[i]) or None,
        "class": found.class_names[found.labels[i]],
        "label": int(found.labels[i]),
        "score": round(float(found.scores[i]), 4),
        "track_score": round(float(found.track_scores[i]), 4),
        "doubtful": bool(found.doubtful[i]),
    }


def _occlusion_json(occlusion: Occlusion, i: int) -> dict[str, Any]:
    return {
        "visible": round(float(occlusion.visible[i]), 3),
        "occluded_by": int(occlusion.occluded_by[i]) or None,
        "order": int(occlusion.order[i]),
        "at_border": bool(occlusion.at_border[i]),
        "extent": [round(float(v), 2) for v in occlusion.extents[i]],
    }
