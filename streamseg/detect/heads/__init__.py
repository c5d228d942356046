"""How each family of models answers, and which family a graph is of.

To add one, write a module with a class like `mask_rcnn.MaskRCNN` (see `base.Head`) and give it a line in `HEADS`.
"""

from __future__ import annotations

from streamseg.detect.heads.base import Arrays, Candidates, Head
from streamseg.detect.heads.mask_rcnn import MaskRCNN
from streamseg.errors import ConfigError, ModelError
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["HEADS", "Arrays", "Candidates", "Head", "check_readable", "head_for"]

HEADS: dict[str, type[Head]] = {head.name: head for head in (MaskRCNN,)}
"""By name; exactly one must fit a graph that is to be run."""


def head_for(spec: GraphSpec, name: str | None = None) -> Head:
    """The head that reads this graph: the one called `name`, or the only one that fits.

    Raises ModelError where none fits, or several do and none is named; ConfigError for a name that there is not.
    """
    if name is not None and name not in HEADS:
        raise ConfigError(f"there is no head {name!r}; there are: {', '.join(HEADS)}")
    fitting = [each for each, head in HEADS.items() if name in (None, each) and head.fits(spec)]
    if len(fitting) == 1:
        return HEADS[fitting[0]](spec)
    gives = ", ".join(f"{output}: {info}" for output, info in spec.outputs.items())
    if fitting:
        raise ModelError(f"{spec.path} gives {gives}, which several heads can read: {', '.join(fitting)}; name one of them")
    layouts = "; ".join(f"{each} ({head.layout})" for each, head in HEADS.items() if name in (None, each))
    raise ModelError(f"{spec.path} gives {gives}; nothing here reads that. Expected: {layouts}")


def check_readable(spec: GraphSpec) -> None:
    """Raise ModelError unless exactly one head fits."""
    head_for(spec)
