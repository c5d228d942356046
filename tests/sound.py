"""Sound for tests: a chirp, whose samples tell where they belong, in any codec that FFmpeg can write."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamseg.decode import PassThrough
from streamseg.encode.video.muxer import Muxer, Origin
from streamseg.encode.video.other_streams import Audio, OutputStreams


def chirp(rate: int, first: int, last: int) -> np.ndarray:
    """Samples `first` to `last` of a tone that rises from 200 to 2600 Hz in a second: float64, -0.4 to 0.4."""
    t = np.arange(first, last) / rate
    return 0.4 * np.sin(2 * np.pi * (200 * t + 1200 * t * t))


def write(
    path: Path,
    codec: str,
    *,
    seconds: float = 0.5,
    rate: int = 48_000,
    layout: str = "stereo",
    start: float = 0.0,
    pauses: Callable[[int], bool] = lambda sample: False,
) -> Path:
    """A file with nothing but a chirp, from `start` seconds on; blocks of 480 samples that begin where it `pauses` are missing."""
    with av.open(str(path), "w", format="adts" if path.suffix == ".aac" else None) as container:
        stream = container.add_stream(codec, rate=rate)
        context = stream.codec_context
        context.layout, context.time_base = layout, Fraction(1, rate)
        context.bit_rate = 12_200 if "amr" in codec else 128_000
        convert = av.AudioResampler(context.format, layout, rate)
        channels = len(context.layout.channels)
        for first in range(0, round(seconds * rate), 480):
            if pauses(first):
                continue
            tone = chirp(rate, first, first + 480).astype(np.float32)
            block = av.AudioFrame.from_ndarray(np.tile(tone, (channels, 1)), format="fltp", layout=layout)
            block.sample_rate, block.time_base = rate, Fraction(1, rate)
            block.pts = first + round(start * rate)
            for part in convert.resample(block):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def samples(path: Path, track: int = 0) -> tuple[float, np.ndarray, int]:
    """(seconds of the first sample, the first channel from there on as float32, rate), decoded by PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        begin: float | None = None
        parts: list[np.ndarray] = []
        convert: av.AudioResampler | None = None
        for frame in container.decode(stream):
            if convert is None:
                rate = frame.sample_rate
                begin = 0.0 if frame.pts is None else float(frame.pts * frame.time_base)
                convert = av.AudioResampler("fltp", frame.layout, rate)
            frame.pts = None
            parts += [block.to_ndarray()[0] for block in convert.resample(frame)]
    assert begin is not None, "no sound"
    return begin, np.concatenate(parts), rate


def misfit(path: Path, *, start: float = 0.0, last: float | None = None) -> float:
    """How far a file is from the chirp that began at `start`: RMS of the difference over that of the chirp, while it sounds."""
    begin, got, rate = samples(path)
    first = round((begin - start) * rate)
    length = len(got) if last is None else min(len(got), round((last - begin) * rate))
    lead = max(0, -first) + rate // 100  # encoders fade in
    wanted = chirp(rate, first + lead, first + length - rate // 100)
    return _apart(got[lead : lead + len(wanted)], wanted)


def difference(source: Path, target: Path) -> float:
    """How far two files are apart where both sound, by their own times: RMS of the difference over that of the first."""
    (begin, one, rate), (later, other, other_rate) = samples(source), samples(target)
    assert rate == other_rate
    shift = round((later - begin) * rate)
    one, other = one[max(0, shift) :], other[max(0, -shift) :]
    length, edge = min(len(one), len(other)), rate // 100
    return _apart(other[edge : length - edge], one[edge : length - edge])


def _apart(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((got - wanted) ** 2) / np.mean(wanted**2)))


def remux(
    source: Path,
    target: Path,
    audio: Audio = "convert",
    *,
    first: Fraction = Fraction(0),
    origin: Origin = "source",
    window: tuple[float | None, float | None] = (None, None),
) -> OutputStreams:
    """All that is no picture, from `source` into `target`, as a video's sink takes it over; `first`: the first picture's time."""
    with av.open(str(source)) as container:
        streams = [stream for stream in container.streams if stream.type != "video"]
        through = PassThrough(streams, window=window)
        for packet in container.demux([stream for stream in streams if stream.type != "attachment"]):
            if packet.size:
                through.offer(packet)
        tracks = OutputStreams(through, target.suffix, audio, float(first))
        if not tracks.kept:
            return tracks
        muxer = Muxer(target, tracks, overwrite=True, time_base=Fraction(1, 1000), metadata={})
        muxer.begin(round(first * 1000), origin)
        muxer.finish()
    return tracks
