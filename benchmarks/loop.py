"""The loop that most people write, to compare with: OpenCV reads and writes, supervision draws, one frame after the other.

The network is the same file in the same engine, called as such a loop calls it: one image, wait for the answer.
"""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import supervision as sv

from streamseg.engine import open_engine


def letterbox(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float]:
    scale = min(height / image.shape[0], width / image.shape[1])
    resized = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)))
    padded = np.full((height, width, 3), 114, np.uint8)
    padded[: resized.shape[0], : resized.shape[1]] = resized
    return cv2.cvtColor(padded, cv2.COLOR_BGR2RGB), scale


def paste(mask: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """A 28x28 mask at frame size, as tutorials do it: resize to the box, threshold, place."""
    full = np.zeros((height, width), bool)
    x0, y0, x1, y1 = np.clip(np.rint(box), 0, [width, height, width, height]).astype(int)
    if x1 > x0 and y1 > y0:
        full[y0:y1, x0:x1] = cv2.resize(mask, (x1 - x0, y1 - y0)) > 0.5
    return full


def run(source: Path, target: Path, conf: float = 0.5) -> tuple[int, float]:
    """(frames, seconds), the engine's loading not counted."""
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
        masks = [paste(m, b, size[1], size[0]) for m, b in zip(found["masks"][0][keep], boxes, strict=True)]
        if len(boxes):
            detections = sv.Detections(xyxy=boxes, mask=np.stack(masks), confidence=scores, class_id=labels)
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
