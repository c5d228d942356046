"""KITTI tracking: text with a line for each object in each frame (Geiger et al., CVPR 2012; the benchmark's development kit).

    frame track type truncated occluded alpha left top right bottom height width length x y z rotation score

Frames count from 0. The box is that of the whole object as far as it lies inside the frame, as KITTI's own boxes are, which come
from solids. Truncated: 0 not, 1 partly, 2 largely outside of the frame, -1 not known; occluded: 0 not, 1 partly, 2 largely, 3 not
known. Where a distance in metres is known, x, y, z are the foot of the object in a level camera's coordinates. What streamseg does
not know has the kit's own values: alpha and rotation -10, sizes -1, places -1000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamseg.encode.results.base import FormatSink
from streamseg.encode.results.categories import kitti_types
from streamseg.encode.results.whole import Whole, wholes
from streamseg.system.output_files import OutputFile

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import Scene

__all__ = ["KittiSink"]

_WHOLE, _HALF = 0.95, 0.5
"""Visible shares: from the first on an object counts as not occluded, below the second as largely."""
_NOWHERE = (-1000.0, -1000.0, -1000.0)


class KittiSink(FormatSink):
    """Writes KITTI's tracking text. `track` is the track id itself; every line is on disk at once."""

    def _begin(self, first: Result) -> None:
        self._file = OutputFile(self.path, self._overwrite)
        self._types = kitti_types(first.instances.class_names)

    def _write(self, result: Result) -> None:
        found, scene = result.instances, result.scene
        self._untracked += int(np.count_nonzero(found.track_ids == 0))
        lines = []
        for i, whole in enumerate(wholes(result)):
            if found.track_ids[i] == 0:
                continue
            x, y, z = _NOWHERE if scene is None else _place(scene, i)
            levels = f"{_truncated(whole)} {_occluded(whole)}"
            box = " ".join(f"{value:.2f}" for value in whole.box)
            lines.append(
                f"{result.frame.index} {found.track_ids[i]} {self._types[found.labels[i]]} {levels} -10 {box} -1 -1 -1 "
                f"{x:.2f} {y:.2f} {z:.2f} -10 {found.scores[i]:.4f}\n"
            )
        self._file.append("".join(lines).encode())
        self.counters.bytes = self._file.size

    def _finish(self) -> None:
        self._file.close()


def _truncated(whole: Whole) -> int:
    if whole.outside is None:
        return -1
    if whole.outside > _HALF:
        return 2
    return 1 if whole.at_border or whole.outside > 1 - _WHOLE else 0


def _occluded(whole: Whole) -> int:
    if whole.visible is None:
        return 3
    return 0 if whole.visible >= _WHOLE else 1 if whole.visible >= _HALF else 2


def _place(scene: Scene, i: int) -> tuple[float, float, float]:
    """Metres to the right, down and ahead of the camera; the road lies as far below it as it is mounted."""
    place = (scene.lateral[i], None if scene.camera is None else scene.camera.mounted, scene.distance[i])
    if any(value is None or not np.isfinite(value) for value in place):
        return _NOWHERE
    x, y, z = (float(value) for value in place)  # type: ignore[arg-type]
    return x, y, z
