"""Measured quality: COCO AP of boxes and masks, AP^r, semantic measures, panoptic quality, boundary F; in percent.

    from streamseg.evaluate import evaluate

    evaluation = evaluate("coco/instances.json", model="lite", engine="openvino")
    print(evaluation.to_json()["mask"]["AP"])

The detections come from the pipeline's own stages in the engine asked for, so that what a compiled engine loses is known. Needs the
extra `eval`.
"""

from streamseg.errors import MissingExtra

try:
    import pycocotools  # noqa: F401
except ImportError as error:
    raise MissingExtra("pycocotools", "eval") from error

from streamseg.datasets.segments import Case, Detection, Photo, Truth
from streamseg.evaluate.average_precision import average_precision, coco_ap
from streamseg.evaluate.categories import parse_pools
from streamseg.evaluate.evaluation import Evaluation, evaluate, evaluate_detections
from streamseg.evaluate.outputs import check_outputs, write_json
from streamseg.evaluate.page import write_page
from streamseg.evaluate.score import Scores, score
from streamseg.evaluate.table import progress, show

__all__ = [
    "Case",
    "Detection",
    "Evaluation",
    "Photo",
    "Scores",
    "Truth",
    "average_precision",
    "check_outputs",
    "coco_ap",
    "evaluate",
    "evaluate_detections",
    "parse_pools",
    "progress",
    "score",
    "show",
    "write_json",
    "write_page",
]
