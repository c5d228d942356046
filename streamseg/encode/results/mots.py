"""MOTS: text with one mask a line, and a folder of PNG files (Voigtlaender et al., "MOTS", CVPR 2019, arXiv 1902.03604).

Text: `frame track class height width rle` with COCO's compressed RLE. PNG: 16 bit grey, each pixel class x 1000 + instance, 0 where
there is nothing. Frames count from 0, as in KITTI MOTS; classes are `categories.mots_ids`. The masks of a frame share no pixel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core import rle
from streamseg.core.overlaps import label_map
from streamseg.core.types import Instances
from streamseg.encode.image_folder import check_folder, left_there, numbered
from streamseg.encode.results.base import FormatSink
from streamseg.encode.results.categories import mots_ids
from streamseg.errors import OutputError
from streamseg.system.output_files import Claim, OutputFile, replace_atomically

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["InstanceNumbers", "MotsPngSink", "MotsTextSink", "instance_picture", "png"]

_PER_CLASS = 1000
_NAME = "%06d.png"


class MotsTextSink(FormatSink):
    """Writes MOTS text. `track` is the track id itself; every line is on disk at once."""

    needs_masks: ClassVar[bool] = True

    def _begin(self, first: Result) -> None:
        self._file = OutputFile(self.path, self._overwrite)
        self._classes = mots_ids(first.instances.class_names)

    def _write(self, result: Result) -> None:
        frame, found = result.frame, result.instances
        self._untracked += int(np.count_nonzero(found.track_ids == 0))
        lines = []
        tracked = found.track_ids > 0
        for i, ((x0, y0, _, _), crop) in enumerate(result.segments(disjoint=True)):
            if tracked[i] and crop.any():
                mask = rle.encode(crop, x0, y0, frame.width, frame.height)
                kind = self._classes[found.labels[i]]
                lines.append(f"{frame.index} {found.track_ids[i]} {kind} {frame.height} {frame.width} {mask['counts']}\n")
        self._file.append("".join(lines).encode())
        self.counters.bytes = self._file.size

    def _finish(self) -> None:
        self._file.close()


class MotsPngSink(FormatSink):
    """Writes a folder of MOTS PNG files, one a frame, named by the frame's index."""

    folder: ClassVar[bool] = True
    needs_masks: ClassVar[bool] = True

    def open(self) -> None:
        """Check and make the folder. Raises OutputError."""
        check_folder(self.path, self._source, self._overwrite, numbered(_NAME))

    def _begin(self, first: Result) -> None:
        self._numbers = InstanceNumbers(self.name)
        self._classes = mots_ids(first.instances.class_names)
        self._claim = Claim(self.path, "mots")

    def _write(self, result: Result) -> None:
        self._untracked += int(np.count_nonzero(result.instances.track_ids == 0))
        data = png(instance_picture(result, self._classes, self._numbers))
        replace_atomically(self.path / (_NAME % result.frame.index), data)
        self.counters.bytes += len(data)

    def _finish(self) -> None:
        self._claim.release()
        self.warnings += self._numbers.warnings()
        if self._overwrite and (words := left_there(self.path, numbered(_NAME), self.counters.frames)):
            self.warnings.append(words)


class InstanceNumbers:
    """Numbers 1..999 for tracks, over all classes. When they are used up, the track unseen for longest gives its number away."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers: OrderedDict[int, int] = OrderedDict()
        self._reused = 0

    def of(self, instances: Instances) -> list[int]:
        """The number of each instance's track, 0 where it has none. Raises OutputError when one frame holds too many."""
        ids: list[int] = instances.track_ids.tolist()
        if len(ids) >= _PER_CLASS:
            raise OutputError(f"{self._name}: MOTS has room for {_PER_CLASS - 1} instances a frame, this one holds {len(ids)}")
        for known in ids:
            if known in self._numbers:
                self._numbers.move_to_end(known)
        return [self._number(track) if track else 0 for track in ids]

    def _number(self, track: int) -> int:
        number = self._numbers.get(track)
        if number is None:
            if len(self._numbers) < _PER_CLASS - 1:
                number = len(self._numbers) + 1
            else:
                number = self._numbers.popitem(last=False)[1]
                self._reused += 1
            self._numbers[track] = number
        return number

    def warnings(self) -> list[str]:
        """What the user should know."""
        if not self._reused:
            return []
        return [f"{self._name}: MOTS PNG has room for 999 tracks; {self._reused} share the number of one that had gone"]


def instance_picture(result: Result, classes: Sequence[int], numbers: InstanceNumbers) -> npt.NDArray[np.uint16]:
    """uint16 [height, width] of class x 1000 + instance number. Raises OutputError for a class beyond 16 bit."""
    frame, found = result.frame, result.instances
    values = np.zeros(len(found) + 1, np.int64)
    for i, number in enumerate(numbers.of(found)):
        values[i + 1] = classes[found.labels[i]] * _PER_CLASS + number if number else 0
    if values.max() > np.iinfo(np.uint16).max:
        name = found.names[int(values.argmax()) - 1]
        raise OutputError(f"16 bit MOTS images hold 64 classes, and {name!r} comes after them; keep fewer with --classes")
    order = None if result.occlusion is None else result.occlusion.order
    owners = label_map(found, frame.width, frame.height, order=order)
    return values.astype(np.uint16)[owners]


def png(picture: npt.NDArray[np.uint16]) -> bytes:
    """A lossless PNG of it, at zlib's fastest level: large areas of one value need no better."""
    return bytes(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
