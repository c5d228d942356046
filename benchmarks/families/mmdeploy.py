"""RTMDet-Ins and Mask R-CNN by MMDetection and MMDeploy against our pipeline: random weights, their own export, their own answers.

Run by hand in an environment that holds `mmdet`, `mmengine`, `mmdeploy` and `mmcv-lite` besides streamseg; nothing is downloaded:

    python -m benchmarks.families.mmdeploy FOLDER PHOTO...

Of mmcv's compiled operators, which need a build of their own, non-maximum suppression and RoIAlign are taken from torchvision;
all else, also what writes the graph, is the packages'. The network gets the picture as our pipeline makes it. What RTMDet-Ins
answers is found by MMDetection (`predict`), without MMDeploy's graph. Of Mask R-CNN this graph finds other proposals than
MMDetection where hundreds score alike, so the graph's answers are taken, and read by MMDeploy's own postprocessing. All in pixels
of the photo.
"""

from __future__ import annotations

import functools
import importlib.machinery
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from benchmarks.families.matching import CONF, Found, Ours, compare, opened
from benchmarks.families.pictures import read
from benchmarks.families.random_networks import answers, calibrate

MODELS = {
    "rtmdet-ins": "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py",
    "mask-rcnn": "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
}
SIZE = {"rtmdet-ins": (640, 640), "mask-rcnn": (320, 320)}


def nms(boxes: Any, scores: Any, iou_threshold: float, offset: int = 0, score_threshold: float = 0, max_num: int = -1) -> Any:
    kept = (scores > score_threshold).nonzero(as_tuple=True)[0]
    kept = kept[torchvision.ops.nms(boxes[kept], scores[kept], float(iou_threshold))]
    kept = kept[:max_num] if max_num > 0 else kept
    return torch.cat([boxes[kept], scores[kept, None]], 1), kept


def batched_nms(boxes: Any, scores: Any, labels: Any, config: Any, class_agnostic: bool = False) -> Any:
    kept = torchvision.ops.batched_nms(boxes, scores, labels, config["iou_threshold"])
    return torch.cat([boxes[kept], scores[kept, None]], 1), kept


class RoIAlign(torch.nn.Module):
    def __init__(
        self, output_size: Any, spatial_scale: float = 1, sampling_ratio: int = 0, aligned: bool = True, **_: Any
    ) -> None:
        super().__init__()
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.arguments = (self.output_size, spatial_scale, sampling_ratio or -1, aligned)

    def forward(self, features: Any, rois: Any) -> Any:
        return torchvision.ops.roi_align(features, rois, *self.arguments)


class Operators(types.ModuleType):
    """Stands for mmcv.ops: the three that these models need, and a class without abilities for each other name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        self.nms, self.batched_nms, self.RoIAlign = nms, batched_nms, RoIAlign

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (torch.nn.Module,), {})
        setattr(self, name, made)
        return made


def prepare() -> None:
    """Put the operators in their place, and have graphs written as the packages expect, by tracing and without a GPU."""
    modules = ["", *(f".{each}" for each in ("nms", "roi_align", "point_sample", "deform_conv", "modulated_deform_conv"))]
    modules += [f".{each}" for each in ("multi_scale_deform_attn", "roi_align_rotated", "nms_rotated", "carafe", "merge_cells")]
    sys.modules |= {f"mmcv.ops{each}": Operators(f"mmcv.ops{each}") for each in modules}
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    from mmdet.models.task_modules.prior_generators import MlvlPointGenerator
    from mmdet.utils import register_all_modules

    plain = MlvlPointGenerator.single_level_grid_priors
    MlvlPointGenerator.single_level_grid_priors = lambda self, size, level_idx, dtype=torch.float32, device="cpu", **more: (
        plain(self, size, level_idx, dtype, "cpu", **more)
    )
    register_all_modules()


def deploy_config() -> Any:
    """As MMDeploy's configs/mmdet/_base_/base_instance-seg_static.py for ONNX Runtime."""
    from mmengine.config import Config

    thresholds = {
        "score_threshold": 0.05,
        "iou_threshold": 0.5,
        "max_output_boxes_per_class": 200,
        "pre_top_k": -1,
        "keep_top_k": 100,
    }
    return Config(
        {
            "onnx_config": {
                "type": "onnx",
                "opset_version": 16,
                "save_file": "end2end.onnx",
                "input_names": ["input"],
                "output_names": ["dets", "labels", "masks"],
                "input_shape": None,
                "keep_initializers_as_inputs": False,
            },
            "codebase_config": {
                "type": "mmdet",
                "task": "ObjectDetection",
                "model_type": "end2end",
                "post_processing": {**thresholds, "background_label_id": -1, "export_postprocess_mask": False},
            },
            "backend_config": {"type": "onnxruntime"},
        }
    )


def config(name: str) -> Any:
    import mmdet
    from mmengine.config import Config

    made = Config.fromfile(str(Path(mmdet.__file__).parent / ".mim" / "configs" / MODELS[name]))
    made.model.backbone.init_cfg = None
    for step in made.test_pipeline:
        if step.type == "Resize":
            step.scale = SIZE[name]
    if name != "rtmdet-ins":
        made.test_pipeline.insert(2, {"type": "Pad", "size": SIZE[name], "pad_val": {"img": (114, 114, 114)}})
    for loader in (made.test_dataloader, made.val_dataloader):
        loader.dataset.pipeline = made.test_pipeline
    return made


def prepared(picture: np.ndarray, model: Any) -> torch.Tensor:
    """The picture, uint8 [H, W, 3] RGB, as the model's own preprocessor makes it."""
    bgr = torch.from_numpy(picture[:, :, ::-1].copy()).permute(2, 0, 1)
    given: torch.Tensor = model.data_preprocessor({"inputs": [bgr], "data_samples": []}, False)["inputs"]
    return given


def nudge(name: str, model: Any, pictures: torch.Tensor) -> None:
    """Activations as varied as a trained network's, boxes of many sizes, some tens of scores above `CONF`."""

    def forward() -> Any:  # anew: the head changes what it is given
        features = model.extract_feat(pictures)
        return model.bbox_head(features) if name == "rtmdet-ins" else features

    calibrate(model, forward)
    with torch.no_grad():
        if name == "rtmdet-ins":
            head = model.bbox_head
            for layers, wanted in ((head.rtm_cls, 1.0), (head.rtm_reg, 2.0), (head.rtm_kernel, 0.9)):
                for layer in layers:
                    layer.weight *= wanted / max(1e-6, float(answers(layer, forward).std()))
            for layer in head.rtm_reg:
                layer.bias += 3
            scores = forward()[0]
            for layer, answer in zip(head.rtm_cls, scores, strict=True):
                layer.bias -= torch.quantile(answer.amax(1).flatten(), 0.998) + 0.846
        else:
            head = model.roi_head.bbox_head
            torch.nn.init.normal_(head.fc_cls.weight, std=0.12)
            torch.nn.init.normal_(head.fc_reg.weight, std=0.02)
            torch.nn.init.normal_(model.rpn_head.rpn_cls.weight, std=0.1)
            torch.nn.init.normal_(model.rpn_head.rpn_reg.weight, std=0.02)


def expected(model: Any, ours: Ours, photo: np.ndarray, path: Path | None) -> Found:
    """What MMDetection, or MMDeploy with the graph at `path`, finds in the picture that our pipeline makes of the photo."""
    from mmdet.structures import DetDataSample

    picture, letterbox = ours.picture(photo)
    height, width = photo.shape[:2]
    sample = DetDataSample()
    scale = (letterbox.scale_x, letterbox.scale_y)
    shape = (round(height * scale[1]), round(width * scale[0]))
    sample.set_metainfo({"img_shape": shape, "ori_shape": (height, width), "scale_factor": scale})
    sample.set_metainfo({"batch_input_shape": picture.shape[:2]})
    with torch.no_grad():
        if path is None:
            found = model.predict(prepared(picture, model), [sample])[0].pred_instances
        else:
            found = deployed(path, prepared(picture, model), sample)
    kept = found.scores > CONF
    return Found(*(each[kept].numpy() for each in (found.bboxes, found.scores, found.labels, found.masks)))


def deployed(path: Path, picture: torch.Tensor, sample: Any) -> Any:
    """What MMDeploy makes of the answers of its graph, which ONNX Runtime runs as it is."""
    import onnxruntime
    from mmdeploy.codebase.mmdet.deploy.object_detection_model import End2EndModel

    answers = onnxruntime.InferenceSession(path).run(["dets", "labels", "masks"], {"input": picture.numpy()})
    reader = types.SimpleNamespace(model_cfg=None, deploy_cfg=deploy_config(), device="cpu")
    samples = [sample]
    End2EndModel.postprocessing_results(reader, *map(torch.from_numpy, answers), samples)
    return samples[0].pred_instances


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    prepare()
    from mmdeploy.apis import torch2onnx
    from mmdeploy.codebase.mmdet.deploy import object_detection  # noqa: F401 - registers it
    from mmdet.registry import MODELS as REGISTRY

    folder, photos = Path(sys.argv[1]), [read(Path(each)) for each in sys.argv[2:] if "." in each]
    folder.mkdir(parents=True, exist_ok=True)
    for name in [each for each in sys.argv[2:] if "." not in each] or MODELS:
        torch.manual_seed(5)
        settings = config(name)
        model = REGISTRY.build(settings.model).eval()
        resized = [
            torchvision.transforms.functional.resize(torch.from_numpy(p).permute(2, 0, 1), SIZE[name]) for p in photos[:4]
        ]
        nudge(name, model, torch.cat([prepared(p.permute(1, 2, 0).numpy(), model) for p in resized]))
        weights = folder / f"{name}.pth"
        torch.save({"state_dict": model.state_dict()}, weights)
        path = folder / f"{name}.onnx"
        torch2onnx(sys.argv[2], str(folder), path.name, deploy_config(), settings, str(weights), "cpu")
        with opened(path, "onnxruntime") as ours:
            answers = [expected(model, ours, photo, None if name == "rtmdet-ins" else path) for photo in photos]
        for engine in ("onnxruntime", "openvino"):
            print(name, engine, compare(path, engine, photos, answers), flush=True)


if __name__ == "__main__":
    main()
