"""Mask R-CNN of OpenVINO's world: Open Model Zoo's instance segmentation, and what Geti (OTX) exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from streamseg.detect.heads.base import Arrays, Candidates
from streamseg.detect.heads.options import Options, value, whole
from streamseg.detect.heads.rows import levels, ranks, rows_in, without_background, worth_decoding
from streamseg.hub.class_names import class_names
from streamseg.hub.description import Description, Evidence, InputDescription, Recognised
from streamseg.hub.graph_file import GraphFile
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pixels.letterbox import FitMode, Letterbox

__all__ = ["OpenVINOMaskRCNN"]

_FITS: dict[str, FitMode] = {
    "standard": "stretch",
    "fit_to_window": "letterbox-top-left",
    "fit_to_window_letterbox": "letterbox",
}
"""What Model API calls them (https://github.com/open-edge-platform/model_api)."""
_INFO = "model_info "
"""How the keys of Model API's metadata begin."""


class OpenVINOMaskRCNN:
    """Rows of `boxes` xyxy in input pixels with the score for a fifth number, `labels`, and `masks` over the boxes.

    Rows of nothing but zeros are padding. Option: `label_offset`, the label of the first class, 0.
    """

    name = "openvino-mask-rcnn"
    layout = "boxes: float32 [N, 5] or [B, N, 5], labels: int64 [N] or [B, N], masks: float32 [N, M, M] or [B, N, M, M]"
    gives_masks = True
    reads: ClassVar[tuple[str, ...]] = ("boxes", "labels", "masks")
    options: ClassVar[Options] = {"label_offset": whole(0)}

    def __init__(self, spec: GraphSpec) -> None:
        """Raises ModelError for options that make no sense."""
        self._offset = value(spec, self.options, "label_offset")

    @staticmethod
    def fits(spec: GraphSpec) -> bool:
        """See Head."""
        return ranks(spec, boxes=(3, 5), labels=(2, 0), masks=(4, 0))

    @staticmethod
    def recognise(file: GraphFile) -> Recognised | None:
        """See Recognises. Other outputs (saliency_map, feature_vector) are left alone."""
        given = file.outputs
        if len(file.inputs) != 1 or not {"boxes", "labels", "masks"} <= given.keys() or "scores" in given:
            return None
        (name, info) = next(iter(file.inputs.items()))
        rank = len(given["boxes"].shape)
        if rank not in (2, 3) or given["boxes"].shape[-1] != 5 or len(info.shape) != 4 or info.shape[1] not in (0, 3):
            return None
        if len(given["labels"].shape) != rank - 1 or len(given["masks"].shape) != rank + 1:
            return None
        if 0 not in info.shape[2:] and given["masks"].shape[-2:] == info.shape[2:]:
            return None  # whole pictures
        return _described(file, name, batch_axis=rank == 3)

    def __call__(self, arrays: Arrays, letterbox: Letterbox, least: float) -> Candidates:
        """See Head. Raises BadOutput where the arrays are of different numbers of rows."""
        rows_in(arrays)
        real = np.flatnonzero((arrays["boxes"] != 0).any(1))
        kept, low = worth_decoding(arrays["boxes"][real, 4], least)
        rows = real[kept]
        grids = arrays["masks"][rows]
        return Candidates(
            arrays["boxes"][rows, :4],
            arrays["boxes"][rows, 4],
            arrays["labels"][rows].astype(np.int64) - self._offset,
            np.asarray(np.isfinite(grids).all((1, 2))),
            lambda chosen: levels(grids[chosen]),
            low,
        )


def _described(file: GraphFile, name: str, *, batch_axis: bool) -> Recognised:
    said = {key.removeprefix(_INFO): value for key, value in file.metadata.items() if key.startswith(_INFO)}
    words = [label.replace("_", " ") for label in said.get("labels", "").split()]
    raw, first = without_background([label.replace(" ", "_") for label in words])
    stated = tuple(label.replace("_", " ") for label in raw) if words else None
    classes = class_names(None, stated)
    description = Description(
        family=OpenVINOMaskRCNN.name,
        input=_picture(name, said) if said else InputDescription(name=name, colour="bgr", fit="stretch"),
        outputs={each: each for each in ("boxes", "labels", "masks")},
        batch_axis=batch_axis,
        classes=classes.names,
        category_ids=classes.category_ids,
        options={"label_offset": 0},
    )
    where = "its metadata says so" if said else "as Open Model Zoo's"
    reasons = {
        "family": "its metadata are Model API's" if said else "its boxes have five numbers, the score the last",
        "classes": classes.reason + (f" ({words[0]} left out: no object)" if first else ""),
        "options.label_offset": "labels count objects only",
        **{f"input.{key}": where for key in ("mean", "std", "fit", "padding")},
        "input.colour": "the order of its mean" if "mean_values" in said else "as Geti's" if said else where,
    }
    evidence = Evidence.METADATA if "MaskRCNN" in said.get("model_type", "") else Evidence.NAMES
    return Recognised(description, evidence, reasons, labels_told=classes.told)


def _picture(name: str, said: Mapping[str, str]) -> InputDescription:
    """As Model API's metadata say; what they do not say, or not in numbers, is as Model API assumes it."""
    mean, std = _three(said.get("mean_values"), 0.0), _three(said.get("scale_values"), 1.0)
    padding = said.get("pad_value", "0").strip()
    return InputDescription(
        name=name,
        # Pictures are brighter in red than in blue, so that means tell their order.
        colour="bgr" if mean[0] < mean[2] else "rgb",
        mean=mean,
        std=std,
        fit=_FITS.get(said.get("resize_type", "standard"), "stretch"),
        padding=int(padding) if padding.isascii() and padding.isdigit() and int(padding) <= 255 else 0,
    )


def _three(text: str | None, idle: float) -> tuple[float, float, float]:
    try:
        numbers = [float(part) for part in (text or "").replace(",", " ").strip(" []").split()]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        numbers *= 3
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else (idle,) * 3
