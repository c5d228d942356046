"""The parts of a Mask R-CNN that can be run alone (docs/parts.md): what each is called, and what its graph gives.

full                   boxes, classes and masks: the whole network
boxes                  boxes and classes: Faster R-CNN, without the mask branch
class-agnostic         boxes and masks of anything that looks like an object
class-agnostic-boxes   the same without the mask branch
proposals              the proposal network's regions with their objectness
"""

from __future__ import annotations

__all__ = [
    "FULL",
    "HEADS",
    "OBJECT",
    "PARTS",
    "WITH_MASKS",
    "flags_of",
    "gives_masks",
    "graph_name",
    "knows_classes",
    "outputs_of",
    "part_of",
]

FULL = "full"
HEADS = (FULL, "class-agnostic", "proposals")
"""What `--head` may be."""
PARTS = (FULL, "boxes", "class-agnostic", "class-agnostic-boxes", "proposals")
WITH_MASKS = {"boxes": FULL, "class-agnostic-boxes": "class-agnostic"}
"""The parts that leave the mask branch out, and which part has it besides."""
OBJECT = "object"
"""The one class of what knows no classes."""


def part_of(head: str, masks: bool = True) -> str:
    """The part that a head is, with or without masks; proposals have none anyway."""
    if masks or head == "proposals":
        return head
    return "boxes" if head == FULL else f"{head}-boxes"


def flags_of(part: str) -> str:
    """How `streamseg export` and `run` are asked for a part: "" or " --head proposals", " --masks none"."""
    head = WITH_MASKS.get(part, part)
    return ("" if head == FULL else f" --head {head}") + (" --masks none" if part in WITH_MASKS else "")


def gives_masks(part: str) -> bool:
    """Whether a part's objects have masks."""
    return part in (FULL, "class-agnostic")


def knows_classes(part: str) -> bool:
    """Whether a part tells classes apart; otherwise all that it finds is an `OBJECT`."""
    return part in (FULL, "boxes")


def outputs_of(part: str) -> tuple[str, ...]:
    """The names of what a part's graph gives, in the order in which it does."""
    return ("boxes", "scores", "labels") + (("masks",) if gives_masks(part) else ())


def graph_name(name: str, size: tuple[int, int], part: str = FULL, precision: str = "fp32") -> str:
    """The file of a network's graph: NAME-HxW.onnx; then its part where that is not all, its precision where that is not fp32."""
    more = ([] if part == FULL else [part]) + ([] if precision == "fp32" else [precision])
    return "-".join([name, f"{size[0]}x{size[1]}", *more]) + ".onnx"
