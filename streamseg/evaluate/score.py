"""Computes every measure of a set of photos with their detections, in one pass over the masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamseg.datasets.segments import Case
from streamseg.evaluate.average_precision import Pools, average_precision, coco_documents
from streamseg.evaluate.boundary import Boundary
from streamseg.evaluate.calibration import Calibration
from streamseg.evaluate.flat import Flat
from streamseg.evaluate.panoptic import PanopticQuality
from streamseg.evaluate.region_ap import RegionAP
from streamseg.evaluate.semantic import Semantic
from streamseg.system.callbacks import Progress

__all__ = ["Scores", "only", "score"]


@dataclass(frozen=True, slots=True)
class Scores:
    """All in percent; None where there was nothing to be found. Measures of masks are empty for a model that gives boxes alone."""

    box: dict[str, Any]
    mask: dict[str, Any]
    apr: dict[str, Any]
    semantic: dict[str, Any]
    pq: dict[str, Any]
    boundary: dict[str, Any]
    calibration: dict[str, Any]
    photos: tuple[float | None, ...]
    """The panoptic quality of each photo alone, its classes counted together; None for one that is rightly empty."""


def score(
    cases: Sequence[Case],
    categories: Mapping[int, str],
    *,
    conf: float = 0.5,
    pools: Pools | None = None,
    masks: bool = True,
    on_progress: Progress | None = None,
) -> Scores:
    """Score detections against truth.

    AP and AP^r judge every detection by its rank, calibration by its score; the semantic and panoptic measures and boundary F,
    those with a score of at least `conf`. `categories` are those that count, names by id; truths and detections of others are
    left out. `masks` False: the detections are boxes alone, of which only box AP is measured. `on_progress` counts photos. Raises
    ConfigError for a pool of unknown classes.
    """
    cases = [only(case, categories) for case in cases]
    box = average_precision(*coco_documents(cases, categories, "box"), "box", pools)
    if not masks:
        return Scores(box, {}, {}, {}, {}, {}, {}, (None,) * len(cases))
    region, calibration = RegionAP(categories), Calibration(categories)
    semantic, panoptic, boundary = Semantic(categories), PanopticQuality(categories), Boundary(categories)
    photos = []
    for done, case in enumerate(cases, 1):
        flat = Flat(case, conf)
        region.add(case)
        calibration.add(case)
        semantic.add(flat)
        photos.append(panoptic.add(flat))
        boundary.add(flat)
        if on_progress is not None:
            on_progress(done, len(cases))
    return Scores(
        box=box,
        mask=average_precision(*coco_documents(cases, categories, "mask"), "mask", pools),
        apr=region.result(),
        semantic=semantic.result(),
        pq=panoptic.result(),
        boundary=boundary.result(),
        calibration=calibration.result(),
        photos=tuple(photos),
    )


def only(case: Case, categories: Mapping[int, str]) -> Case:
    """The case without truths and detections of other categories."""
    truths = tuple(t for t in case.photo.truths if t.category_id in categories)
    if len(truths) == len(case.photo.truths) and all(d.category_id in categories for d in case.detections):
        return case
    return Case(replace(case.photo, truths=truths), tuple(d for d in case.detections if d.category_id in categories))
