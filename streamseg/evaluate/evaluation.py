"""`evaluate`: how well a model does, in the engine and the precision in which it will run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamseg.config.values import parse_size
from streamseg.core.parts import FULL, HEADS, OBJECT, knows_classes, part_of
from streamseg.datasets.segments import Case
from streamseg.detect.postprocess import gives_masks
from streamseg.engine import Engine, open_engine
from streamseg.errors import ConfigError
from streamseg.evaluate.average_precision import Pools, coco_documents
from streamseg.evaluate.categories import match_categories
from streamseg.evaluate.dataset import Dataset, as_one_class, cases_of, locate, read_dataset, read_json
from streamseg.evaluate.detect import detect
from streamseg.evaluate.score import Scores, only, score
from streamseg.system.callbacks import Message, Progress

__all__ = ["Evaluation", "evaluate", "evaluate_detections"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured, and on what."""

    scores: Scores
    cases: tuple[Case, ...] = field(repr=False)
    """Every photo with its truth and its detections."""
    categories: Mapping[int, str]
    """Those that counted, names by id."""
    conf: float
    """Least score of what the semantic and panoptic measures and boundary F look at."""
    seconds: float
    warnings: tuple[str, ...] = ()
    """What was left out, and what else a reader of the figures must know."""
    run: Mapping[str, Any] = field(default_factory=dict)
    """engine, device, model, size, sha256, precision; empty for detections from a file."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, in percent; null where there was nothing to be found, and for measures of masks of a model without masks."""
        s = self.scores
        measures = {"box": s.box, "mask": s.mask, "apr": s.apr, "semantic": s.semantic, "pq": s.pq, "boundary": s.boundary}
        measures["calibration"] = s.calibration
        run = {key: self.run.get(key) for key in ("engine", "device", "model", "size", "sha256", "precision")}
        return {
            **{name: _rounded(measure) if measure else None for name, measure in measures.items()},
            "images": len(self.cases),
            "objects": sum(not t.crowd for case in self.cases for t in case.photo.truths),
            "detections": sum(len(case.detections) for case in self.cases),
            "classes": list(self.categories.values()),
            "conf": self.conf,
            **run,
            "seconds": round(self.seconds, 2),
            "warnings": list(self.warnings),
        }

    def worst(self, count: int) -> list[tuple[Case, float]]:
        """The photos with the lowest panoptic quality of their own, in percent, worst first."""
        scored = [(case, value) for case, value in zip(self.cases, self.scores.photos, strict=True) if value is not None]
        return sorted(scored, key=lambda row: row[1])[:count]

    def coco_results(self) -> list[dict[str, Any]]:
        """The detections as a COCO results list, for other tools; can be written as JSON."""
        _, rows = coco_documents(self.cases, self.categories, "mask")
        if not self.scores.mask:
            return [{key: value for key, value in row.items() if key != "segmentation"} for row in rows]
        for row in rows:
            rle = row["segmentation"]
            row["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode("ascii")}
        return rows


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


def evaluate(
    data: PathLike,
    *,
    images: PathLike | None = None,
    model: PathLike = "lite",
    family: str | None = None,
    head: str = FULL,
    masks: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    size: str | tuple[int, int] | None = None,
    limit: int | None = None,
    conf: float | None = None,
    pools: Pools | None = None,
    threads: int = 0,
    on_message: Message | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Run a model on the photos of a data set, as the pipeline would, and score what it finds.

    `data` is a COCO-format annotation file, or a folder with instances.json; `images` the folder of the pictures, by default
    images/ beside the file; `limit` the number of photos (default: all). `conf` is the model's own unless given. Classes go
    to the data set's categories by name; those that the model or the data lack are left out, said in `warnings`. `head` and `masks`
    choose a part of the model (docs/parts.md): to one that tells no classes apart every object of the data is of one class.
    `model`, `family`, `engine`, `precision`, `size` and `threads` as for `engine.open_engine`; `pools` as for `score`; `on_message`
    hears which engine was chosen, `on_progress` counts photos.

    Raises ConfigError, SourceNotFound, ModelError, EngineError or BadOutput.
    """
    began = time.monotonic()
    _check(limit, conf or 0)
    part = _part(head, masks)
    dataset = read_dataset(locate(Path(data)), None if images is None else Path(images), limit)
    with closing(_open(model, family, part, engine, precision, size, threads, on_message)) as opened:
        spec = opened.spec
        dataset = dataset if knows_classes(spec.part) else as_one_class(dataset, OBJECT)
        conf = spec.conf if conf is None else conf
        has_masks = gives_masks(spec)
        category_of = match_categories(spec.classes, spec.category_ids, dataset.categories)
        categories = {i: name for i, name in dataset.categories.items() if i in category_of.values()}
        cases = []
        for case in detect(opened, dataset.photos, category_of, dataset.faults):
            cases.append(only(case, categories))
            if on_progress is not None:
                on_progress(len(cases), len(dataset.photos))
        run = {
            "engine": opened.name,
            "device": opened.device,
            "model": spec.name,
            "size": f"{spec.height}x{spec.width}",
            "sha256": spec.sha256,
            "precision": opened.precision,
        }
    lacking = [name for label, name in enumerate(spec.classes) if label not in category_of]
    warnings = _warnings(dataset, categories)
    if lacking:
        warnings.append(f"the data have no {', '.join(lacking)}: detections of these are ignored")
    if not has_masks:
        warnings.append("boxes alone were found: nothing is measured of masks")
    scores = score(cases, categories, conf=conf, pools=pools, masks=has_masks)
    return Evaluation(scores, tuple(cases), categories, conf, time.monotonic() - began, tuple(warnings), run)


def evaluate_detections(
    data: PathLike, detections: PathLike, *, images: PathLike | None = None, conf: float = 0.5, pools: Pools | None = None
) -> Evaluation:
    """Score a COCO results file (masks as `segmentation`) that any program wrote, by every measure; see `evaluate`.

    The pictures need not be there: only `write_page` looks at them.
    """
    began = time.monotonic()
    _check(None, conf)
    dataset = read_dataset(locate(Path(data)), None if images is None else Path(images), pictures=False)
    rows = read_json(Path(detections))
    if not isinstance(rows, list):
        raise ConfigError(f"{detections}: not a COCO results file: a list is expected")
    cases = cases_of(dataset, rows)
    scores = score(cases, dataset.categories, conf=conf, pools=pools)
    warnings = tuple(_warnings(dataset, dataset.categories))
    return Evaluation(scores, tuple(cases), dataset.categories, conf, time.monotonic() - began, warnings)


def _open(
    model: PathLike,
    family: str | None,
    part: str,
    engine: str,
    precision: str,
    size: str | tuple[int, int] | None,
    threads: int,
    on_message: Message | None,
) -> Engine:
    try:
        wanted = parse_size(size)
    except ValueError as error:
        raise ConfigError(f"size: {error}") from error
    return open_engine(
        model, family=family, part=part, engine=engine, precision=precision, size=wanted, threads=threads, on_message=on_message
    )


def _part(head: str, masks: str) -> str:
    for name, value, allowed in (("head", head, HEADS), ("masks", masks, ("auto", "none"))):
        if value not in allowed:
            raise ConfigError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    return part_of(head, masks=masks == "auto")


def _check(limit: int | None, conf: float) -> None:
    if not 0 <= conf <= 1:
        raise ConfigError(f"conf is {conf}; allowed: 0 to 1")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; allowed: 1 or more photos")


def _warnings(dataset: Dataset, categories: Mapping[int, str]) -> list[str]:
    warnings = dataset.faults.sentences()
    unknown = [name for i, name in dataset.categories.items() if i not in categories]
    if unknown:
        shown = ", ".join(unknown[:8]) + (f" and {len(unknown) - 8} more" if len(unknown) > 8 else "")
        warnings.append(f"the model does not know {shown}: objects of these are ignored")
    if dataset.partial:
        warnings.append(
            f"{dataset.partial} photos are not labelled exhaustively: what is found there without a label counts as false"
        )
    return warnings
