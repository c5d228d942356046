"""Frames of a road with known answers, written as a log, and logs read back by their own tools."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from mcap.reader import make_reader

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Fix, Horizon, Scene
from streamseg.core.types import Activity, Event, Frame, Instances
from streamseg.encode import Sink, open_sink
from tests import clips
from tests.unit.encode.helpers import INFO

NAMES = ("person", "car")
CAMERA = CameraModel(96, 64, 80.0, 80.0, 48.0, 32.0, mounted=1.4)
BOXES = np.array([[10, 10, 40, 40], [50, 20, 80, 44]], np.float32)
TICKS = Fraction(1, 90_000)


def disc() -> np.ndarray:
    """A mask, [28, 28] uint8: all of a disc that touches the box's sides."""
    y, x = np.mgrid[:28, :28] + 0.5
    return np.where((x - 14) ** 2 + (y - 14) ** 2 < 14**2, 255, 0).astype(np.uint8)


def instances(n: int = 2, *, masks: bool = True) -> Instances:
    """A person of track 1 and a car of track 2, or the first of them."""
    made = np.repeat(disc()[None], n, 0) if masks else np.zeros((n, 0, 0), np.uint8)
    scores, ids = np.array([0.9, 0.8], np.float32)[:n], np.array([1, 2], np.int64)[:n]
    return Instances(BOXES[:n], scores, np.array([0, 1], np.int64)[:n], made, NAMES, ids)


def road(n: int = 2) -> Scene:
    """The person is known nowhere; the car stands 12 m ahead and 2 m to the right, and is reached in 3 s."""
    nan = np.nan
    known = {
        "ttc": [nan, 3.0],
        "ttc_std": [nan, 0.2],
        "distance": [nan, 12.0],
        "distance_std": [nan, 1.0],
        "lateral": [nan, 2.0],
        "speed": [nan, -4.0],
    }
    arrays = {name: np.array(value, np.float32)[:n] for name, value in known.items()}
    corridor = np.array([[40, 63], [56, 63], [48, 32]], np.float32)
    fix = Fix(52.5, 13.25, 34.0, speed=5.0, heading=90.0, accuracy=3.0)
    return replace(
        Scene.unknown(n), **arrays, corridor=corridor, camera=CAMERA, horizon=Horizon(40.0, 0.0, 1.0), fix=fix, own_speed=5.0
    )


def frames(times: Iterable[int], pictures: Sequence[av.VideoFrame] | None = None, **more: Any) -> Iterator[Frame]:
    for i, pts in enumerate(times):
        yield Frame(clips.picture(i) if pictures is None else pictures[i], i, pts, TICKS, **more)


def at_25(n: int) -> range:
    return range(0, n * 3600, 3600)


def results(
    frames: Iterable[Frame], *, scene: bool = True, masks: bool = True, events: dict[int, Event] | None = None
) -> Iterator[Result]:
    """Of each frame the same two instances; nothing in every fifth."""
    for frame in frames:
        n = 0 if frame.index % 5 == 4 else 2
        happened = (events or {}).get(frame.index)
        activity = Activity({"person": n // 2}, {}, {}, {}, () if happened is None else (happened,))
        yield Result(frame, instances(n, masks=masks), activity=activity, scene=road(n) if scene else None)


def write(path: Path, found: Iterable[Result], **info: Any) -> Sink:
    """The closed sink."""
    sink = open_sink(path, replace(INFO, time_base=TICKS, **info))
    sink.open()
    for result in found:
        sink(Rendered(result, result.frame.picture))
    sink.close()
    return sink


@dataclass
class Message:
    topic: str
    time: int
    """Nanoseconds."""
    data: bytes
    schema: Any


def read_mcap(path: Path) -> list[Message]:
    with path.open("rb") as file:
        found = make_reader(file).iter_messages()
        return [Message(channel.topic, message.log_time, message.data, schema) for schema, channel, message in found]


def decoded(data: Sequence[bytes]) -> list[list[av.VideoFrame]]:
    """Of each message the pictures that come out at once."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoder.flags |= av.codec.context.Flags.low_delay
    return [list(decoder.decode(av.Packet(each))) for each in data]
