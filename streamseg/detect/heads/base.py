"""What a head is: it reads the arrays of one family of models. It knows names and layouts, and nothing of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from streamseg.hub.description import HeadOption, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import Letterbox

__all__ = ["Arrays", "Candidates", "Head", "Recognises"]

Arrays = Mapping[str, npt.NDArray[Any]]
"""One picture's arrays by name, without the axis of the batch (`Outputs.row`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a head read of one picture, in any order; N rows, any of which may be nonsense. Padding is left out already."""

    boxes: npt.NDArray[np.float32]
    """[N, 4] xyxy, pixels of the model's input."""
    scores: npt.NDArray[np.float32]
    """[N], of which sound ones are in [0, 1]."""
    labels: npt.NDArray[np.int64]
    """[N], of which sound ones count from 0 in the order of `GraphSpec.classes`."""
    finite: npt.NDArray[np.bool_]
    """[N] False where a number that the row's mask is made of is NaN or infinite."""
    masks: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.uint8]] | None
    """Decodes the masks of some rows, given by their indices [K]: uint8 [K, M, M], 255 x probability, each grid spanning its row's
    box exactly. M is the same for all of a model's masks, 0 rows included. It is called at most once, with the rows that are kept.
    None: the family finds boxes alone."""
    low: int = 0
    """How many more there were that were left out, their score being too low."""

    def __repr__(self) -> str:
        return f"Candidates({len(self.scores)})"


class Head(Protocol):
    """Reads the answers of one graph; made for each run by `streamseg.detect.heads.head_for`."""

    name: str
    """As `HEADS` lists it: the name of the family."""
    layout: str
    """The outputs that it reads, for people."""
    gives_masks: bool
    """Whether its candidates have masks; False: boxes alone. A head that does not say it has masks."""
    reads: ClassVar[tuple[str, ...]]
    """The names of all outputs that it may read: a sidecar that names others is refused. Where a head does not say it, none is."""
    options: ClassVar[Mapping[str, HeadOption]]
    """What `GraphSpec.options` may hold, and what each may be: a sidecar that says something else is refused. As for `reads`."""

    def __init__(self, spec: GraphSpec) -> None:
        """For a graph that it fits; `spec.options` holds what its description says besides. Raises ModelError for bad ones."""

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """Whether this graph's answers are laid out as the head expects: judged by names, types and shapes, nothing is run."""

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """Read one picture.

        Args:
            arrays: as the graph declares them, of any values.
            letterbox: where the frame lies in the input; for masks that span the input.
            least: rows of a lower score need not be decoded; those whose score is NaN must come out.
        """


class Recognises(Head, Protocol):
    """A head that reads other people's ONNX files, too, once `hub.adapt` has made graphs of ours of them."""

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """What the file is, where it is of this family; None: it is not. Judged by what the file says of itself, nothing is run.

        Look at the metadata first, then at names, then at ranks and lengths of axes (0: any), and say by which (`Evidence`): of
        several families the one with the better evidence is taken. What is assumed has a reason that begins with "assumed: ".
        The outputs of the description get the names by which `fits` and `__call__` know them; float16 and float64 arrive as
        float32, and with `batch_axis=False` an axis of the batch is put before them.
        """
