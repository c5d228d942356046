"""RF-DETR-Seg by its own package against our pipeline: a network of random weights that does detect, its export, its answers.

Run by hand in an environment that holds `rfdetr` besides streamseg; nothing is downloaded:

    python -m benchmarks.families.rfdetr FOLDER PHOTO...

The network gets the picture as our pipeline makes it, so that the ways of resizing do not matter; what it answers is read by the
package's own postprocessing, in pixels of the photo.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.families.matching import CONF, Found, compare, opened
from benchmarks.families.pictures import read

MASKS = ("RFDETRSegNano",)
MODELS = (*MASKS, "RFDETRNano")


def made(name: str) -> Any:
    """A model of random weights: boxes of many sizes, and in a picture some tens of scores above `CONF`."""
    import rfdetr

    torch.manual_seed(7)
    model = getattr(rfdetr, name)(pretrain_weights=None, device="cpu")
    net = model.model.model.eval()
    with torch.no_grad():
        torch.nn.init.normal_(net.bbox_embed.layers[-1].weight, std=0.12)
        net.bbox_embed.layers[-1].bias[2:] = 1.0
        net.class_embed.weight *= 2.2
        net.class_embed.bias += 0.3
        if name in MASKS:
            net.segmentation_head.bias += 4  # masks of some size rather than specks
    return model


def expected(model: Any, picture: np.ndarray, height: int, width: int) -> Found:
    """What the package finds in a picture, uint8 [S, S, 3], in pixels of the photo of `height` x `width`."""
    from torchvision.transforms.functional import normalize, to_tensor

    with torch.no_grad():
        answer = model.model.model(normalize(to_tensor(picture), model.means, model.stds)[None])
        found = model.model.postprocess(answer, torch.tensor([[height, width]]), score_threshold=CONF)[0]
    kept = found["scores"] > CONF
    masks = found["masks"][kept, 0].numpy() if "masks" in found else np.ones((int(kept.sum()), height, width), bool)
    return Found(found["boxes"][kept].numpy(), found["scores"][kept].numpy(), found["labels"][kept].numpy(), masks)


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    folder, photos = Path(sys.argv[1]), [read(Path(each)) for each in sys.argv[2:]]
    for name in MODELS:
        model = made(name)
        path = Path(model.export(output_dir=str(folder / name), verbose=False) or next((folder / name).glob("*.onnx")))
        with opened(path, "onnxruntime") as ours:
            answers = [expected(model, ours.picture(photo)[0], *photo.shape[:2]) for photo in photos]
        for engine in ("onnxruntime", "openvino"):
            print(name, engine, compare(path, engine, photos, answers), flush=True)


if __name__ == "__main__":
    main()
