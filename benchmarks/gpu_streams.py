"""The picture's way in benchmarks/gpu.py: each stage by itself on the GPU's clock, and whole pipelines, one and eight at once."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import queue
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import av
import clips
import cv2
import gpu_network as networks
import numpy as np

from streamseg import load_pipeline
from streamseg.composite import Overlay
from streamseg.config import override
from streamseg.core.types import Instances
from streamseg.decode import Decoder
from streamseg.device.upload import Uploader
from streamseg.encode import SinkCounters
from streamseg.engine import open_engine
from streamseg.gpu import Device, DeviceDecoding, DevicePicture
from streamseg.gpu.kernels import CompositeKernels, PreprocessKernel, Surface
from streamseg.pipeline import opening
from streamseg.pipeline.build import build_pipeline
from streamseg.pixels import planes

PHOTO = Path(__file__).resolve().parent.parent / "docs" / "pedestrians.jpg"
CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")
READY_SECONDS = 240.0


def street(width: int, height: int, frames: int) -> Path:
    """A camera that moves over a photo of people in a street, H.264, 25 pictures a second; made once."""
    folder = Path(tempfile.gettempdir()) / "streamseg-benchmarks"
    target = folder / f"pan-{width}x{height}-{frames}.mp4"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    photo = cv2.imread(str(PHOTO))
    scale = 1.25 * max(width / photo.shape[1], height / photo.shape[0])
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    room_y, room_x = photo.shape[0] - height, photo.shape[1] - width
    part = target.with_suffix(".part.mp4")
    with av.open(str(part), "w") as sink:
        stream = sink.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            angle = 2 * np.pi * number / frames
            y, x = round(room_y * (0.5 + 0.5 * np.sin(angle))), round(room_x * (0.5 - 0.5 * np.cos(angle)))
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(photo[y : y + height, x : x + width]), "bgr24")
            made = picture.reformat(format="yuv420p", dst_colorspace="ITU709", threads=1)
            made.pts, made.time_base = number, Fraction(1, 25)
            sink.mux(stream.encode(made))
        sink.mux(stream.encode())
    part.rename(target)
    return target


def crowd(width: int, height: int, count: int = 20) -> Instances:
    """Ellipses of sizes as in a street."""
    rng = np.random.default_rng(1)
    h = rng.uniform(0.1, 0.45, count) * height
    w = h * rng.uniform(0.4, 1.6, count)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    grid = (np.arange(28) + 0.5) / 28 * 2 - 1
    ellipse = (255 * np.clip(2 - 2 * (grid[None] ** 2 + grid[:, None] ** 2), 0, 1)).astype(np.uint8)
    boxes, scores = np.stack([x, y, x + w, y + h], 1).astype(np.float32), np.linspace(1, 0.5, count).astype(np.float32)
    labels, ids = rng.integers(0, len(CLASSES), count), np.arange(1, count + 1)
    return Instances(boxes, scores, labels, np.repeat(ellipse[None], count, 0), CLASSES, ids)


# --- stages ---------------------------------------------------------------------------------------------------------------------


def decode_ms(source: Path, device: Device | None, mode: str, frames: int) -> tuple[float, str]:
    """Milliseconds a frame of decoding alone (host clock, all cores), frames on `device`, and how they were decoded."""
    hardware = None if device is None else DeviceDecoding(device, mode)  # type: ignore[arg-type]
    with Decoder(source, hardware=hardware) as decoder:
        began, last, count = time.perf_counter(), None, 0
        for frame in itertools.islice(decoder.frames(), frames):
            last, count = frame, count + 1
        if last is not None:
            planes.on_host(last.picture)  # until what was started is done
        return 1e3 * (time.perf_counter() - began) / max(1, count), hardware.how if hardware else "CPU"


def stage_ms(
    source: Path, sizes: Sequence[tuple[int, int]], device: Device, count: int, instances: int = 20
) -> dict[str, float]:
    """Median milliseconds a frame of the picture's stages, each alone: by the GPU's clock, uploads and downloads by the host's."""
    torch, name = device.torch, device.where.type
    with Decoder(source) as decoder:
        frame = next(decoder.frames())
    upload = Uploader(device)
    picture = upload(planes.on_host(frame.picture))
    surface = Surface.of(picture, torch.cuda.current_stream() if device.on_gpu else None)
    found = crowd(picture.width, picture.height, instances)
    draw = CompositeKernels([Overlay()], device.where)
    own = replace(surface, planes=tuple(plane.clone() for plane in surface.planes))

    def copied() -> None:
        for plane in surface.planes:
            plane.clone()

    def there_and_back() -> None:
        made = upload(planes.on_host(frame.picture))
        DevicePicture(device, made.use(device.stream()), made.format, made.tags).host()

    def prepared(size: tuple[int, int]) -> float:
        prepare, out = PreprocessKernel(*size, device.where), device.empty((*size, 3), torch.uint8)
        return median(networks.times(lambda: prepare(surface, out), name, count, ahead=True))

    median = statistics.median
    return {f"preprocess to {h}x{w}": prepared((h, w)) for h, w in sizes} | {
        "copy of the planes": median(networks.times(copied, name, count, ahead=True)),
        f"composite, {instances} instances": median(networks.times(lambda: draw(own, found), name, count, ahead=True)),
        "upload and download (host clock)": median(networks.times(there_and_back, "cpu", count)),
    }


# --- whole pipelines --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Job:
    """One pipeline's run; goes to another process."""

    source: str
    engine: str
    network: str
    size: tuple[int, int]
    precision: str
    batch: int
    frames: int
    device: str = "cuda"
    model: str = ""
    """ONNX graph, for engines that compile one."""
    encode: bool = False
    """Write an .mp4; else pictures are finished, brought to the host and let go."""
    decode: str = "auto"


class _Discard:
    """A sink that takes finished pictures as an encoder would, and drops them."""

    def __init__(self) -> None:
        self.counters, self.warnings, self.name = SinkCounters(), list[str](), "nowhere"

    def open(self) -> None: ...

    def __call__(self, rendered: Any) -> None:
        planes.on_host(rendered.picture)
        self.counters.frames += 1

    def close(self) -> None: ...

    abort = close


def engine_of(job: Job) -> Any:
    if job.engine == "torch":
        return networks.reference(networks.load(job.network, job.size), job.precision, job.batch, job.device)
    return open_engine(job.model, engine=job.engine, batch=job.batch)


@contextlib.contextmanager
def _prepared(job: Job, folder: Path) -> Iterator[Any]:
    """The pipeline, open and stopped after `job.frames`."""
    changes = {
        "decode": {"policy": "block", "device": job.decode},
        "infer": {"engine": job.engine, "batch": job.batch, "every": 1},
        "postprocess": {"classes": "all"},
    }
    config = override(load_pipeline("drive"), changes)
    with contextlib.ExitStack() as stack:
        if not job.encode:
            stack.enter_context(mock.patch.object(opening, "open_sink", return_value=_Discard()))
        device = Device(job.device) if job.decode != "host" else None
        engine = engine_of(job)
        stack.callback(engine.close)
        target = [str(folder / "out.mp4")]
        yield build_pipeline(job.source, config, target, overwrite=True, device=device, engine=engine, limit=job.frames)


def run(job: Job) -> dict[str, Any]:
    """One pipeline in this process: frames a second, and what each stage took."""
    with tempfile.TemporaryDirectory() as folder, _prepared(job, Path(folder)) as built:
        report = built.run()
    return {"fps": report.fps, "frames": report.frames_done, "instances": report.instances, "stages": report.stages}


def _child(job: Job, start: Any, answers: Any) -> None:
    try:
        with tempfile.TemporaryDirectory() as folder, _prepared(job, Path(folder)) as built:
            start.wait(READY_SECONDS)
            began = time.time()
            report = built.run()
            answers.put((began, time.time(), report.frames_done))
    except Exception as error:  # whatever it is, nobody must wait for this one
        start.abort()
        answers.put(f"{type(error).__name__}: {error}")


def run_together(job: Job, count: int) -> dict[str, Any]:
    """`count` pipelines at once, each in a process of its own, begun together: frames a second of all of them."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(count), context.Queue()
    children = [context.Process(target=_child, args=(job, start, answers), daemon=True) for _ in range(count)]
    for child in children:
        child.start()
    try:
        found = [answers.get(timeout=2 * READY_SECONDS) for _ in children]
    except queue.Empty:
        raise RuntimeError(f"{count} pipelines did not end within {2 * READY_SECONDS:.0f} s") from None
    finally:
        for child in children:
            child.join(10)
            if child.is_alive():
                child.kill()
    failed = [answer for answer in found if isinstance(answer, str)]
    if failed:
        raise RuntimeError(min(failed, key=lambda text: text.startswith("BrokenBarrierError")))
    seconds = max(end for _, end, _ in found) - min(began for began, _, _ in found)
    return {"fps": sum(frames for *_, frames in found) / seconds, "streams": count, "seconds": seconds}


def long_enough(clip: Path, frames: int, have: int) -> Path:
    """`clip` as often as it takes to have so many frames."""
    return clip if frames <= have else clips.repeated(clip, -(-frames // have))
