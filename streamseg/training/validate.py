"""Box and mask AP of a network while it is trained, scored as `streamseg eval` does it.

The pipeline's stages prepare the photos and paste the masks. Between them runs torchvision's inference, which is the
reference of the exported graph; every network has it, also those that cannot be exported. So a figure here is what
`streamseg eval` gives for the export, if that has as many proposals and detections as the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from streamseg.datasets.coco import DataFile
from streamseg.datasets.faults import Faults
from streamseg.datasets.segments import Case, Photo
from streamseg.detect.heads.mask_rcnn import declared
from streamseg.engine import Outputs
from streamseg.errors import ConfigError
from streamseg.evaluate.average_precision import average_precision, coco_documents
from streamseg.evaluate.dataset import Dataset, read_dataset
from streamseg.evaluate.detect import detect
from streamseg.export.graph import MASK_SIDE, OUTPUTS
from streamseg.hub.graph_spec import GraphSpec
from streamseg.networks.weights import WeightsInfo

__all__ = ["Measured", "TorchEngine", "Validation", "normalise"]


def normalise(model: MaskRCNN, images: Tensor) -> Tensor:
    """Uint8 [B, 3, H, W] as the network takes it: float, its mean and deviation, on its device."""
    mean = images.new_tensor(model.transform.image_mean, dtype=torch.float32).view(1, 3, 1, 1)
    std = images.new_tensor(model.transform.image_std, dtype=torch.float32).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


class TorchEngine:
    """A network in torch as an engine (streamseg.engine.Engine) for pictures of one size (H, W)."""

    name, precision = "torch", "fp32"
    in_flight, together = 1, 64

    def __init__(self, model: MaskRCNN, info: WeightsInfo, size: tuple[int, int]) -> None:
        self.model, self.rows = model, int(model.roi_heads.detections_per_img)
        self.place = next(model.parameters()).device
        self.device = str(self.place)
        threshold = float(model.roi_heads.score_thresh)
        self.spec = GraphSpec(
            info.network,
            *size,
            0,
            declared(self.rows, MASK_SIDE),
            info.classes,
            info.category_ids,
            "fp32",
            threshold,
            Path(info.network),
            "",
        )

    def submit(self, images: Any) -> Future[Outputs]:
        """Run on an array uint8 [B, H, W, 3] at once; the future is done."""
        future: Future[Outputs] = Future()
        future.set_result(self._detect(torch.from_numpy(images).to(self.place).permute(0, 3, 1, 2)))
        return future

    def close(self) -> None:
        """Nothing to free: the network is the caller's."""

    @torch.inference_mode()
    def _detect(self, images: Tensor) -> Outputs:
        model = self.model
        x = normalise(model, images)
        listed = ImageList(x, [(x.shape[2], x.shape[3])] * len(x))
        features = model.backbone(x)
        proposals, _ = model.rpn(listed, features)
        found, _ = model.roi_heads(features, proposals, listed.image_sizes)
        arrays = [self._padded(row) for row in found]
        return Outputs({name: np.stack([row[name] for row in arrays]) for name in arrays[0]})

    def _padded(self, row: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
        """One picture's outputs as an exported graph names them, in as many rows as there can be."""
        masks = row["masks"]
        if masks.shape[-1] != MASK_SIDE:
            masks = F.interpolate(masks, (MASK_SIDE, MASK_SIDE), mode="bilinear", align_corners=False)
        missing = self.rows - len(masks)
        tensors = [row["boxes"].float(), row["scores"].float(), (row["labels"] - 1).int(), masks[:, 0].float()]
        padding = (0.0, 0.0, -1, 0.0)
        return {
            name: F.pad(tensor, (0, 0) * (tensor.dim() - 1) + (0, missing), value=value).cpu().numpy()
            for name, tensor, value in zip(OUTPUTS, tensors, padding, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation, in percent; None where there is nothing to be found."""

    box: dict[str, Any]
    mask: dict[str, Any]
    cases: tuple[Case, ...]
    """Every photo with what is there and what was found, categories being labels from 1."""

    @property
    def kind(self) -> str:
        """The measure by which the best weights are chosen: mask AP, or box AP if the data have no masks."""
        return "box AP" if self.mask["AP"] is None and self.box["AP"] is not None else "mask AP"

    @property
    def quality(self) -> float:
        """The value of that, in percent; 0 where there is nothing to be found."""
        return float((self.box if self.kind == "box AP" else self.mask)["AP"] or 0.0)

    def row(self) -> dict[str, float | None]:
        """For a table: AP and AP50 of boxes and masks, and each class's AP."""
        kinds = {"box": self.box, "mask": self.mask}
        means = {f"{kind} {key}": values[key] for kind, values in kinds.items() for key in ("AP", "AP50")}
        return means | {
            f"{kind} AP {name}": row["AP"] for kind, values in kinds.items() for name, row in values["per_class"].items()
        }


class Validation:
    """Photos to evaluate on during a run."""

    def __init__(
        self,
        files: Sequence[DataFile],
        info: WeightsInfo,
        *,
        one_class: str | None = None,
        crowds: str = "ignore",
        limit: int | None = None,
    ) -> None:
        """Read the files; their categories are classes of `info` by name, the options as for `read_data`.

        Raises SourceNotFound or ConfigError.
        """
        self.info = info
        self.categories = dict(enumerate(info.classes, 1))
        self.warnings: list[str] = []
        self.photos: list[Photo] = []
        for file in files:
            dataset = read_dataset(file.annotations, file.images, limit)
            self.warnings += [f"{file.annotations}: {sentence}" for sentence in dataset.faults.sentences()]
            self.photos += self._relabelled(dataset, one_class, crowds == "ignore")

    def _relabelled(self, dataset: Dataset, one_class: str | None, heed_crowds: bool) -> list[Photo]:
        """The photos with our labels for categories, and ids that no other file's photo has."""
        names = {name.casefold(): label for label, name in self.categories.items()}
        label_of = {
            identity: 1 if one_class is not None else names[name.casefold()]
            for identity, name in dataset.categories.items()
            if one_class is not None or name.casefold() in names
        }
        if not label_of:
            known = ", ".join(dataset.categories.values())
            raise ConfigError(f"{dataset.path}: has no class of {', '.join(self.info.classes)}; it has {known}")
        every = frozenset(label_of.values())
        answer: list[Photo] = []
        for photo in dataset.photos:
            truths = tuple(
                replace(truth, category_id=label_of[truth.category_id], crowd=truth.crowd and heed_crowds)
                for truth in photo.truths
                if truth.category_id in label_of
            )
            seen = every if photo.labelled is None else frozenset(label_of[i] for i in photo.labelled if i in label_of)
            answer.append(replace(photo, image_id=len(self.photos) + len(answer) + 1, truths=truths, labelled=seen))
        return answer

    def measure(self, model: MaskRCNN, size: tuple[int, int], stop: Callable[[], bool] | None = None) -> Measured | None:
        """AP of `model`, in evaluation mode, on pictures of (H, W); None if `stop` ended it. Raises BadOutput."""
        engine = TorchEngine(model, self.info, size)
        category_of = {label - 1: label for label in self.categories}
        faults = Faults()
        cases = []
        for case in detect(engine, self.photos, category_of, faults):
            cases.append(case)
            if stop is not None and stop():
                return None
        box = average_precision(*coco_documents(cases, self.categories, "box"), "box")
        mask = average_precision(*coco_documents(cases, self.categories, "mask"), "mask")
        return Measured(box, mask, tuple(cases))
