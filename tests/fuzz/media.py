"""Campaign over media files: sound ones damaged in their bytes or in the order and times of their packets, then run.

What runs is the product: its decoder alone, `probe`, or a whole pipeline into files, with an engine whose answer is known. A
pipeline that ends well must have written each of its pictures: they are counted again in the file.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamseg.config import PipelineConfig, parse_pipeline
from streamseg.decode import Decoder
from streamseg.detect.heads.mask_rcnn import declared
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import GraphSpec, Outputs
from streamseg.engine.openvino import why_not_openvino
from streamseg.pipeline import build as pipeline
from streamseg.pipeline import opening
from streamseg.pipeline.probe import probe
from tests.fuzz import seeds
from tests.fuzz.base import Wrong
from tests.fuzz.damage import damaged

SIZE = (48, 64)
MUXERS = ("mp4", "mov", "matroska", "webm", "avi", "mpegts", "nut", "flv", "asf")
OUTPUTS = ("out.mp4", "out.mkv", "out.mov", "out.ts", "out.avi", "out.webm")
EFFECTS = ("[overlay]", "[{blur: {classes: person}}]", "[]", "[alpha]")
SPEC = GraphSpec("fuzz", *SIZE, 1, declared(2, 28, 1), ("person", "car"), (1, 3), "fp32", 0.05, Path("fuzz.onnx"), "0" * 64)


class KnownEngine:
    """Finds the same two objects in every picture, at once."""

    name, device, spec, precision = "known", "nothing", SPEC, "fp32"
    in_flight, together = 1, 64

    def submit(self, images: Any) -> Future[Outputs]:
        """See Engine."""
        n = len(images)
        boxes = np.tile(np.array([[8, 8, 40, 40], [20, 10, 60, 30]], np.float32), (n, 1, 1))
        scores, labels = np.tile(np.array([0.9, 0.6], np.float32), (n, 1)), np.tile(np.array([0, 1], np.int32), (n, 1))
        future: Future[Outputs] = Future()
        masks = np.ones((n, 2, 28, 28), np.float32)
        future.set_result(Outputs({"boxes": boxes, "scores": scores, "labels": labels, "masks": masks}))
        return future

    def close(self) -> None:
        """See Engine."""


@dataclass
class Case:
    """One damaged file and what is done with it."""

    data: bytes
    suffix: str
    way: str
    options: dict[str, Any] = field(default_factory=dict)


class Media:
    """See the module."""

    name, count = "media", 20_000

    def prepare(self, folder: Path) -> None:
        """Write or find the sound files."""
        paths = seeds.write_all(folder / "seeds")
        self.scratch = folder / "scratch"
        self.scratch.mkdir(exist_ok=True)
        self.sound = [(path, path.read_bytes()) for path in paths]
        self.packets = {path: seeds.packets_of(path) for path, _ in self.sound if not path.name.startswith("frame")}
        why_not_openvino()  # choosing a device loads it
        opening.open_engine = lambda *_, check=None, **__: _checked(check)  # type: ignore[assignment]

    def make(self, rng: random.Random) -> Case:
        """One file: sound at first, then not."""
        path, data = rng.choice(self.sound)
        suffix = path.suffix
        repacked = self._repacked(path, rng) if path in self.packets and rng.random() < 0.4 else None
        if repacked is not None:
            data, suffix = repacked
        if repacked is None or rng.random() < 0.3:
            data = damaged(data, rng, [d for p, d in self.sound if p.suffix == path.suffix or rng.random() < 0.1])
        way = rng.choice(("decode", "decode", "decode", "probe", "run", "run"))
        options: dict[str, Any] = {}
        if rng.random() < 0.2:
            options["start"] = rng.choice((0.04, 0.1, 0.2, 5.0))
        if rng.random() < 0.1:
            options["duration"] = rng.choice((0.04, 0.12, 100.0))
        if way == "run":
            options |= {"output": rng.choice(OUTPUTS), "effects": rng.choice(EFFECTS)}
        return Case(data, suffix, way, options)

    def _repacked(self, path: Path, rng: random.Random) -> tuple[bytes, str] | None:
        packets = [seeds.Coded(**vars(p)) for p in self.packets[path]]
        for _ in range(rng.choice((1, 1, 2, 3))):
            rng.choice(EDITS)(packets, rng)
        format = rng.choice(MUXERS)
        target = self.scratch / "repacked"
        # Where the muxer does not take it, what it wrote is a broken file, too.
        with contextlib.suppress(av.FFmpegError, ValueError, OverflowError):
            seeds.remux(path, packets, target, format)
        data = target.read_bytes() if target.exists() else b""
        return (data, "." + format) if data else None

    def save(self, case: Case, folder: Path) -> Path:
        """Write the input down."""
        path = folder / f"input{case.suffix}"
        path.write_bytes(case.data)
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Do with it what the case says."""
        source = self.save(case, folder)
        span = {key: case.options[key] for key in ("start", "duration") if key in case.options}
        if case.way == "probe":
            probe(source)
            return "probed"
        if case.way == "decode":
            return self._decode(source, span)
        return self._run(source, folder, case, span)

    def _decode(self, source: Path, span: dict[str, Any]) -> str:
        see, last = Preprocess(*SIZE), None
        with Decoder(source, **span) as decoder:
            through = decoder.subscribe(("audio", "subtitle", "data"))
            for frame in decoder.frames():
                see(frame)
                if last is not None and frame.pts <= last:
                    raise Wrong(f"pts {frame.pts} comes after {last}")
                last = frame.pts
                through.take(frame.time)
            through.take(None)
        return "decoded"

    def _run(self, source: Path, folder: Path, case: Case, span: dict[str, Any]) -> str:
        target = folder / case.options["output"]
        text = f"outputs: {{picture: {{composite: {case.options['effects']}}}}}"
        config = parse_pipeline(text, "fuzz.yaml")
        config = config.model_copy(update={"decode": config.decode.model_copy(update=span)})
        report = _pipeline(source, config, [target, folder / "out.jsonl"]).run()
        if report.frames_done != report.frames_in:
            raise Wrong(f"{report.frames_in} frames went in, {report.frames_done} came out")
        lines = (folder / "out.jsonl").read_text("utf-8").count('"index"')
        written = count(target)
        if written != report.frames_done:
            raise Wrong(f"{target.name} holds {written} pictures of {report.frames_done}; {lines} lines of results")
        return "run"


def _checked(check: Callable[[GraphSpec], None] | None) -> KnownEngine:
    if check is not None:
        check(SPEC)
    return KnownEngine()


def _pipeline(source: Path, config: PipelineConfig, outputs: list[Path]) -> pipeline.Pipeline:
    return pipeline.build_pipeline(source, config, [str(path) for path in outputs], overwrite=True)


def count(path: Path) -> int:
    """Video packets of a file."""
    # Too short a transport stream is not recognised.
    with av.open(str(path), format="mpegts" if path.suffix == ".ts" else None) as container:
        return sum(bool(packet.size) for packet in container.demux(container.streams.video[0]))


# --- what may happen to packets -------------------------------------------------------------------------------------------


def _jump(packets: list[seeds.Coded], rng: random.Random) -> None:
    """From some packet on the clock is another."""
    at, by = rng.randrange(len(packets)), rng.choice((-1, 1)) * rng.choice((Fraction(1, 5), 2, 3, 60, 95443, 10**7))
    for packet in packets[at:]:
        _shift(packet, round(by / packet.time_base))


def _shift(packet: seeds.Coded, ticks: int) -> None:
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


def _jitter(packets: list[seeds.Coded], rng: random.Random) -> None:
    for packet in rng.sample(packets, rng.randrange(1, len(packets) + 1)):
        _shift(packet, rng.choice((-3, -1, 1, 2, 40, 900)))


def _unclocked(packets: list[seeds.Coded], rng: random.Random) -> None:
    for packet in rng.sample(packets, rng.randrange(1, len(packets) + 1)):
        which = rng.randrange(3)
        packet.pts = None if which != 1 else packet.pts
        packet.dts = None if which != 0 else packet.dts


def _lost(packets: list[seeds.Coded], rng: random.Random) -> None:
    for _ in range(rng.randrange(1, max(2, len(packets) // 2))):
        if len(packets) > 1:
            del packets[rng.randrange(len(packets))]


def _twice(packets: list[seeds.Coded], rng: random.Random) -> None:
    at = rng.randrange(len(packets))
    packets[at:at] = [seeds.Coded(**vars(p)) for p in packets[: rng.randrange(1, len(packets) + 1)]]


def _shuffled(packets: list[seeds.Coded], rng: random.Random) -> None:
    at = rng.randrange(len(packets))
    part = packets[at : at + rng.choice((2, 3, 8))]
    rng.shuffle(part)
    packets[at : at + len(part)] = part


def _false_keys(packets: list[seeds.Coded], rng: random.Random) -> None:
    for packet in packets:
        packet.key ^= rng.random() < 0.5


def _durations(packets: list[seeds.Coded], rng: random.Random) -> None:
    for packet in packets:
        packet.duration = rng.choice((0, packet.duration, packet.duration * 50, 2**31 - 1))


def _hurt(packets: list[seeds.Coded], rng: random.Random) -> None:
    """Sound containers around pictures that are not."""
    for packet in rng.sample(packets, rng.randrange(1, min(4, len(packets)) + 1)):
        packet.data = damaged(packet.data, rng) or b"\0"


def _two_clips(packets: list[seeds.Coded], rng: random.Random) -> None:
    """The clip again behind itself, its times going on, going back, or overlapping."""
    again = [seeds.Coded(**vars(p)) for p in packets]
    by = rng.choice((0, Fraction(9, 25), 2, 100, -1))
    for packet in again:
        _shift(packet, round(by / packet.time_base))
    packets.extend(again[rng.choice((0, 0, rng.randrange(len(again)))) :])


EDITS = (_jump, _jump, _jitter, _unclocked, _lost, _twice, _shuffled, _false_keys, _durations, _hurt, _hurt, _two_clips)
