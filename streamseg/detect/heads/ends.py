"""The ends of somebody else's detector, as heads look at them: its picture, and what is usually true of such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamseg.hub.class_names import ClassNames
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised, Value
from streamseg.hub.graph_file import GraphFile, TensorInfo

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Picture", "described", "of_rank", "picture_of"]

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of red, green and blue codes, 0 to 255, over ImageNet, as torchvision's and MMDetection's networks are fed."""
_FLOATS = ("float32", "float16", "float64")


@dataclass(frozen=True, slots=True)
class Picture:
    """The only input of a file, a picture of three channels."""

    name: str
    dtype: str
    layout: Literal["nchw", "nhwc"]
    height: int
    """0: any."""
    width: int


def picture_of(file: GraphFile) -> Picture | None:
    """The picture that the file takes, of rank 3 or 4; None: it takes something else."""
    if len(file.inputs) != 1:
        return None
    ((name, info),) = file.inputs.items()
    if len(info.shape) not in (3, 4) or info.dtype not in ("float32", "float16", "uint8"):
        return None
    first, second, third = info.shape[-3:]
    if first in (0, 3) and not (third == 3 and first != 3):
        return Picture(name, info.dtype, "nchw", second, third)
    return Picture(name, info.dtype, "nhwc", first, second) if third in (0, 3) else None


def of_rank(file: GraphFile, rank: int) -> dict[str, TensorInfo]:
    """The outputs of that rank which are not whole numbers."""
    return {name: info for name, info in file.outputs.items() if len(info.shape) == rank and info.dtype in _FLOATS}


def described(
    picture: InputDescription,
    family: str,
    outputs: dict[str, str],
    names: ClassNames,
    options: dict[str, Value],
    evidence: Evidence,
    reasons: dict[str, str],
    *,
    batch_axis: bool = True,
    conf: float | None = None,
) -> Recognised:
    """What a head answers; the reason of the classes is that of `names`."""
    description = Description(
        family=family,
        input=picture,
        outputs=outputs,
        batch_axis=batch_axis,
        classes=names.names,
        category_ids=names.category_ids,
        conf=conf,
        options=options,
    )
    return Recognised(description, evidence, {"classes": names.reason, **reasons}, labels_told=names.told)
