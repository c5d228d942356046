"""A head: reads models that answer boxes by their centres, and no masks; and knows other programs' ONNX files of that kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads import Arrays, Candidates
from streamseg.engine import GraphSpec
from streamseg.hub.class_names import class_names, stated_names
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.pixels.letterbox import Letterbox

_SIDE = 28


class Centres:
    """`detections` float32 [B, N, 6]: x and y of the centre, width, height, score, label; the masks fill their boxes."""

    name = "centres"
    layout = "detections: float32 [B, N, 6]"

    def __init__(self, spec: GraphSpec) -> None:
        """Nothing of the graph is needed but what stands in the arrays."""

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """What streamseg must know to run such a file, where it is one: judged by what the file says, nothing is run."""
        rows = file.outputs.get("detections")
        names = stated_names(file.metadata.get("names", ""))
        if len(file.outputs) != 1 or len(file.inputs) != 1 or rows is None or rows.shape[2:] != (6,) or names is None:
            return None
        picture = InputDescription(name=next(iter(file.inputs)), std=(255, 255, 255))
        known = class_names(len(names), names)
        description = Description(family="centres", input=picture, outputs={"detections": "detections"}, classes=known.names)
        reasons = {"family": "it gives detections of 6 numbers", "input.std": "assumed: 0 to 1", "classes": known.reason}
        return Recognised(description, Evidence.NAMES, reasons)

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """Whether the graph answers so: judged by names, types and shapes, nothing is run."""
        (info,) = spec.outputs.values() if len(spec.outputs) == 1 else (None,)
        return info is not None and "detections" in spec.outputs and len(info.shape) == 3 and info.shape[2] == 6

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """Read one picture."""
        rows = arrays["detections"]
        rows = rows[~(rows[:, 4] < least)]  # those whose score is NaN come out, to be told
        centre, size = rows[:, :2], rows[:, 2:4]

        def masks(kept: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
            return np.full((len(kept), _SIDE, _SIDE), 255, np.uint8)

        boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        labels = np.nan_to_num(rows[:, 5], nan=-1).astype(np.int64)
        return Candidates(boxes, rows[:, 4], labels, np.ones(len(rows), bool), masks)
