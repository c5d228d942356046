"""The pictures of a training set: read one, or find out which of many cannot be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.datasets.annotations import is_file
from streamseg.datasets.faults import Faults
from streamseg.datasets.photos import TrainingPhoto
from streamseg.errors import ConfigError
from streamseg.system.callbacks import Progress


def with_pictures(photos: Sequence[TrainingPhoto], faults: Faults, on_progress: Progress | None) -> list[TrainingPhoto]:
    """Those whose picture is there, can be read, and has the stated size. `on_progress` counts pictures."""
    kept = []
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        for done, (photo, problem) in enumerate(zip(photos, pool.map(_problem, photos), strict=True), 1):
            if problem is None:
                kept.append(photo)
            else:
                faults.add(problem, f"{photo.path.name} ({photo.width}×{photo.height})")
            if on_progress is not None:
                on_progress(done, len(photos))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt need not wait for all the others
    return kept


def _problem(photo: TrainingPhoto) -> str | None:
    if not is_file(photo.path):
        return "image file is missing"
    try:
        read_picture(photo)
    except ConfigError:
        return "image that cannot be read, or is not of the stated size"
    return None


def read_picture(photo: TrainingPhoto) -> NDArray[np.uint8]:
    """Uint8 RGB [H, W, 3], turned as its annotations are. Raises ConfigError when it is not a picture of the stated size.

    Some tools heed the orientation that a camera notes, some do not: the one that gives the stated size is taken.
    """
    try:
        data = np.fromfile(photo.path, np.uint8)
        for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION):
            decoded = cv2.imdecode(data, flags)
            if decoded is None:
                break
            if decoded.shape[:2] == (photo.height, photo.width):
                return np.asarray(decoded[..., ::-1], np.uint8)
    except (OSError, cv2.error) as error:
        raise ConfigError(f"{photo.path}: cannot be read: {error}") from error
    raise ConfigError(f"{photo.path} is not a picture of {photo.width}×{photo.height}")
