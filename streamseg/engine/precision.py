"""Which precision `auto` takes: the fastest on this machine of those whose answers were measured to be as good.

int8 and bfloat16 change answers. What they cost is measured where a model is made and stands beside its graphs (`hub.quality`); one
that was not measured is not taken, and neither is one that costs `quality.MOST_LOST` of AP or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamseg.hub import quality
from streamseg.hub.catalog import in_precision
from streamseg.hub.graph_spec import GraphSpec, read_spec

__all__ = ["Taken", "automatic"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A graph, and how it is to be computed."""

    spec: GraphSpec
    bf16: bool = False
    """In bfloat16."""
    why: str = ""
    """For people: what was taken, and what it costs; or why not what is faster."""

    @property
    def precision(self) -> str:
        """As `--precision` takes it."""
        return "bf16" if self.bf16 else self.spec.precision


def automatic(exact: GraphSpec, faster: Sequence[str]) -> Taken:
    """What `auto` takes of the model whose fp32 graph is `exact`, where the precisions `faster` are, fastest first.

    Raises ModelError for a graph beside it that is damaged.
    """
    refused: list[str] = []
    reference = quality.measured(exact, "fp32")
    for precision in faster:
        spec = exact if precision == "bf16" else _beside(exact, precision)
        found = None if spec is None else quality.measured(spec, precision)
        lost = quality.loss(found, reference)
        if spec is None or found is None or lost is None:
            continue
        cost = _cost(found, reference)
        if lost < quality.MOST_LOST:
            return Taken(spec, precision == "bf16", f"precision: {precision}, {cost}; --precision fp32 is exact, and slower")
        refused.append(f"{precision} is faster, but not as good ({cost}); --precision {precision} takes it")
    return Taken(exact, False, f"precision: fp32; {'; '.join(refused)}" if refused else "")


def _beside(exact: GraphSpec, precision: str) -> GraphSpec | None:
    path = in_precision(exact.path, precision)
    return None if path is None else read_spec(path)


def _cost(found: quality.Quality, reference: quality.Quality | None) -> str:
    assert reference is not None
    common = f", {found.common} {found.common_mask:.1f} to {reference.common_mask:.1f}" if found.common else ""
    return f"mask AP {found.mask:.1f} to fp32's {reference.mask:.1f}{common}"
