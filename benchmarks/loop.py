"""The loop that most people write, to compare with: OpenCV reads and writes, supervision draws, one frame after the other.

The network is the same file in the same engine, called as such a loop calls it: one image, wait for the answer. Masks are given to
supervision as tutorials do it, at frame size, or as its CompactMask (0.28 and later): run lengths within their boxes.
"""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import supervision as sv

from streamseg.engine import open_engine

try:
    from supervision.detection.compact_mask import CompactMask
except ImportError:  # an older supervision
    CompactMask = None

WAYS = ("dense", "compact") if CompactMask else ("dense",)
"""How masks can be given to the supervision that is installed."""


def letterbox(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float]:
    scale = min(height / image.shape[0], width / image.shape[1])
    resized = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)))
    padded = np.full((height, width, 3), 114, np.uint8)
    padded[: resized.shape[0], : resized.shape[1]] = resized
    return cv2.cvtColor(padded, cv2.COLOR_BGR2RGB), scale


def cropped(mask: np.ndarray, box: np.ndarray, height: int, width: int) -> tuple[tuple[int, int], np.ndarray]:
    """A 28x28 mask in frame pixels, as tutorials do it: resized to the box, thresholded; and where it begins (x, y)."""
    x0, y0, x1, y1 = np.clip(np.rint(box), 0, [width, height, width, height]).astype(int)
    if x1 <= x0 or y1 <= y0:
        return (0, 0), np.zeros((1, 1), bool)
    return (int(x0), int(y0)), cv2.resize(mask, (int(x1 - x0), int(y1 - y0))) > 0.5


def dense(masks: np.ndarray, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """[N, height, width]."""
    full = np.zeros((len(masks), height, width), bool)
    for mask, box, into in zip(masks, boxes, full, strict=True):
        (x, y), crop = cropped(mask, box, height, width)
        into[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return full


def compact(masks: np.ndarray, boxes: np.ndarray, height: int, width: int) -> CompactMask:
    """The same without a picture of the frame's size: supervision has no faster way in."""
    parts = [cropped(mask, box, height, width) for mask, box in zip(masks, boxes, strict=True)]
    shapes, offsets = (np.array(rows, np.int32) for rows in ([crop.shape for _, crop in parts], [at for at, _ in parts]))
    return CompactMask([runs(crop) for _, crop in parts], shapes, offsets, (height, width))


def runs(crop: np.ndarray) -> np.ndarray:
    """Lengths of the runs of a mask, column by column, the first one of zeros (COCO's order)."""
    flat = crop.ravel(order="F")
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]]))
    return np.concatenate([[0], counts] if flat[0] else [counts]).astype(np.int32)


def run(source: Path, target: Path, conf: float = 0.5, way: str = "dense") -> tuple[int, float]:
    """(frames, seconds), the engine's loading not counted; `way`: one of WAYS."""
    at_frame_size = {"dense": dense, "compact": compact}[way]
    engine = open_engine("lite")
    spec = engine.spec
    mask_annotator, box_annotator, label_annotator = sv.MaskAnnotator(), sv.BoxAnnotator(), sv.LabelAnnotator()
    capture = cv2.VideoCapture(str(source))
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS), size)
    frames, began = 0, time.perf_counter()
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        image, scale = letterbox(frame, spec.height, spec.width)
        found = engine.submit(image[None]).result()
        keep = found["scores"][0] >= conf
        boxes, scores, labels = found["boxes"][0][keep] / scale, found["scores"][0][keep], found["labels"][0][keep]
        if len(boxes):
            masks = at_frame_size(found["masks"][0][keep], boxes, size[1], size[0])
            detections = sv.Detections(xyxy=boxes, mask=masks, confidence=scores, class_id=labels)
            captions = [f"{spec.classes[c]} {s:.2f}" for c, s in zip(labels, scores, strict=True)]
            frame = mask_annotator.annotate(frame, detections)
            frame = box_annotator.annotate(frame, detections)
            frame = label_annotator.annotate(frame, detections, captions)
        writer.write(frame)
        frames += 1
    writer.release()
    seconds = time.perf_counter() - began
    engine.close()
    return frames, seconds
