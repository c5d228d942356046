"""How each family of models answers, and which family a graph is of.

To add one, write a module with a class like `mask_rcnn.MaskRCNN` (see `base.Head`) and give it a line in `HEADS`; or give a package
of your own an entry point of `streamseg.heads`. With `recognise` (`base.Recognises`) it reads other people's ONNX files, too.
Those of packages are asked where none of `HEADS` knows a file or fits a graph of ours, or by name.
"""

from __future__ import annotations

from typing import Any

from streamseg.detect.heads.base import Arrays, Candidates, Head, Recognises
from streamseg.detect.heads.dense import Dense
from streamseg.detect.heads.detections import Detections
from streamseg.detect.heads.mask_rcnn import MaskRCNN
from streamseg.detect.heads.mmdeploy import MMDeploy
from streamseg.detect.heads.openvino import OpenVINOMaskRCNN
from streamseg.detect.heads.rf_detr import RFDETR
from streamseg.detect.heads.ssd import Ssd
from streamseg.detect.heads.tensorrt_detectron2 import TensorRTDetectron2
from streamseg.detect.heads.torchvision import TorchvisionMaskRCNN
from streamseg.detect.heads.yolo import Yolo
from streamseg.detect.heads.yolo_seg import YoloSeg
from streamseg.detect.heads.yolox import Yolox
from streamseg.errors import ConfigError, ModelError
from streamseg.hub.graph_spec import FAMILY, GraphSpec
from streamseg.system import registry

__all__ = ["HEADS", "Arrays", "Candidates", "Head", "Recognises", "builtin", "check_readable", "head_for", "why_not"]

_OURS: tuple[type[Head], ...] = (
    MaskRCNN,
    MMDeploy,
    RFDETR,
    TorchvisionMaskRCNN,
    OpenVINOMaskRCNN,
    TensorRTDetectron2,
    YoloSeg,
    Yolo,
    Yolox,
    Ssd,
    Detections,
    Dense,
)
HEADS: dict[str, type[Head]] = {head.name: head for head in _OURS}
"""By name, which is that of the family: `GraphSpec.family` names the one that reads a graph."""


def builtin() -> dict[str, type[Head]]:
    """Streamseg's own heads, by name."""
    return HEADS


def why_not(thing: Any) -> str | None:
    """What keeps `thing` from being a head; None: nothing does."""
    missing = [name for name in ("layout", "fits", "__call__") if not hasattr(thing, name)]
    if isinstance(thing, type) and not missing:
        return None
    return (
        f"it is not a class like streamseg.detect.heads.MaskRCNN (see base.Head): it has no {', '.join(missing) or 'instances'}"
    )


def head_for(spec: GraphSpec, name: str | None = None) -> Head:
    """The head that reads this graph: the one called `name` (or that a `Reference` names), or that of the graph's family.

    A graph of ours that the family's head does not fit may be read by that of an installed package.

    Raises ModelError where none fits, or several do and none is named; ConfigError for a name that there is not.
    """
    wanted = spec.family if name is None else name
    asked: dict[str, type[Head]] = {str(wanted): registry.HEADS.pick(wanted)}
    failed: list[str] = []
    if name is None and spec.family == FAMILY and not asked[FAMILY].fits(spec):
        asked, failed = _with_added(asked)
    fitting = [each for each, head in asked.items() if head.fits(spec)]
    if len(fitting) == 1:
        return asked[fitting[0]](spec)
    gives = ", ".join(f"{output}: {info}" for output, info in spec.outputs.items())
    if fitting:
        raise ModelError(
            f"{spec.called} gives {gives}, which several heads can read: {', '.join(fitting)}; name one of them (postprocess.head)"
        )
    layouts = "; ".join([*(f"{each} ({head.layout})" for each, head in asked.items()), *failed])
    raise ModelError(f"{spec.called} gives {gives}; nothing here reads that. Expected: {layouts}")


def _with_added(asked: dict[str, type[Head]]) -> tuple[dict[str, type[Head]], list[str]]:
    """Those of installed packages besides, and what is wrong with the ones that cannot be asked."""
    failed = []
    for name in registry.HEADS.added():
        try:
            asked[name] = registry.HEADS.get(name)
        except ConfigError as error:
            failed.append(str(error))
    return asked, failed


def check_readable(spec: GraphSpec) -> None:
    """Raise ModelError unless its family's head, or exactly one of an installed package, fits."""
    head_for(spec)
