"""Tells what a camera's tracks did, with a picture of the object as it is shown."""

from __future__ import annotations

import time

import cv2
import numpy as np

from streamseg.composite import to_image
from streamseg.encode.sink import RenderedPicture
from streamseg.live.bus import Bus
from streamseg.live.news import Happened

__all__ = ["Teller"]

THUMBNAIL = 320
"""Pixels of a thumbnail's longer side at most."""
AROUND = 0.15
"""What of the picture round an object is shown, too: shares of its width and height."""


class Teller:
    """Publishes the events of each picture of one camera. Called from one thread."""

    def __init__(self, camera: str, bus: Bus) -> None:
        self._camera, self._bus = camera, bus
        self._last_id = 0

    def __call__(self, rendered: RenderedPicture) -> None:
        """Tell what became certain with this picture."""
        result = rendered.result
        if result.activity is None or not result.activity.events:
            return
        now, frame = time.time() - (time.monotonic() - result.frame.arrived), result.frame
        for event in result.activity.events:
            where = np.flatnonzero(result.instances.track_ids == event.track_id)
            box = tuple(float(edge) for edge in result.instances.boxes[where[0]]) if len(where) else None
            self._bus.publish(
                Happened(
                    self._next_id(),
                    self._camera,
                    now - (frame.time - event.time) if event.utc is None else event.utc,
                    event,
                    frame.index,
                    frame.epoch,
                    box,  # type: ignore[arg-type]
                    b"" if box is None else _thumbnail(rendered, box),
                    frame.arrived - (frame.time - event.time),
                )
            )

    def _next_id(self) -> str:
        """Rises with time, also over restarts, as long as the clock does."""
        self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        return f"{self._camera}-{self._last_id:017d}"


def _thumbnail(rendered: RenderedPicture, box: tuple[float, ...]) -> bytes:
    """JPEG of what is shown in a box and a little round it."""
    frame = rendered.result.frame
    picture = to_image(rendered.picture, interlaced=frame.field_order is not None)
    (x0, y0, x1, y1), (height, width) = box, picture.shape[:2]
    beside, above = AROUND * (x1 - x0), AROUND * (y1 - y0)
    left, top = max(0, int(x0 - beside)), max(0, int(y0 - above))
    part = picture[top : min(height, int(y1 + above) + 1), left : min(width, int(x1 + beside) + 1)]
    scale = min(1.0, THUMBNAIL / part.shape[1], THUMBNAIL / part.shape[0])
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
