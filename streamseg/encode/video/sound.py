"""Sound that a container cannot hold, decoded and encoded again into what it can, with every sample at its own time.

Positions are counted in samples of the output, from the times of the source's frames: where those run on, one sample follows the
other, whatever a container's clock rounds (Matroska counts milliseconds); where they leave a gap, silence fills it; where they
overlap, what was there first stays. What comes before the first picture of a cut, or after its end, is cut at the sample.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.codec import Codec

from streamseg.encode.video.remux import AV_ERRORS, codec_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.stream import Stream

    from streamseg.encode.video.containers import Container

    Packet = av.Packet[Any]

__all__ = ["SoundConverter", "SoundFormat", "choose_sound"]

_DRIFT = Fraction(3, 100)
"""Seconds by which a frame's time may differ from where the one before ended: rounding and jitter; more is a gap or an overlap."""
_LONGEST_SILENCE = 60
"""Seconds of a gap that are filled; after a longer one the times go on without."""
_LOSSLESS = frozenset(
    {"alac", "flac", "mlp", "s302m", "shorten", "tak", "truehd", "tta", "wavpack", "wmalossless", "ape", "als"}
)
_DEEP = ("pcm_bluray", "pcm_dvd", "alac", "flac", "mlp", "s302m", "truehd", "wavpack", "tta")
"""Decoded to 32 bit, of which they have 24 at most."""
_USUAL = {"5.0(side)": "5.0", "5.1(side)": "5.1"}
"""Where the same channels have another layout that all players know."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What sound is converted to."""

    encoder: str
    format: str
    """Of samples, as the encoder takes them."""
    rate: int
    layout: str
    bit_rate: int

    @property
    def name(self) -> str:
        """For people."""
        return str(Codec(self.encoder, "w").canonical_name)

    @property
    def priming(self) -> int:
        """Samples that the encoder puts before the first one."""
        return {"aac": 1024, "libopus": self.rate * 312 // 48_000}.get(self.encoder, 0)

    def add(self, container: OutputContainer) -> AudioStream:
        """Add the stream. Raises one of AV_ERRORS."""
        stream: AudioStream = container.add_stream(self.encoder, rate=self.rate)  # type: ignore[assignment]
        context = stream.codec_context
        context.layout, context.format = self.layout, self.format
        context.time_base = Fraction(1, self.rate)
        if self.bit_rate:
            context.bit_rate = self.bit_rate
        return stream


def choose_sound(kept: Stream, kind: Container) -> SoundFormat | None:
    """What a stream that `remux.keep` gave is converted to for a container; None where nothing does."""
    context: Any = kept.codec_context
    if context is None or not context.sample_rate or not context.layout.nb_channels:
        return None
    lossless = codec_of(kept).startswith("pcm_") or codec_of(kept) in _LOSSLESS
    for name in (kind.lossless, kind.sound) if lossless else (kind.sound,):
        encoder, format = _encoder(name, kept) if name else ("", "")
        for layout in dict.fromkeys((_USUAL.get(context.layout.name, context.layout.name), "stereo", "mono")):
            target = SoundFormat(encoder, format, _rate(encoder, context.sample_rate), layout, 0) if encoder else None
            if target is not None and _works(target := _with_bits(target), kind):
                return target
    return None


def _encoder(name: str, kept: Stream) -> tuple[str, str]:
    """(encoder, sample format) for a name in the table of containers."""
    codec = codec_of(kept)
    context: Any = kept.codec_context
    format = context.format.name.removesuffix("p") if getattr(context, "format", None) else ""
    if name == "aac":
        return "aac", "fltp"
    if name == "libopus":
        return "libopus", "s16" if format == "s16" else "flt"
    if name == "flac":
        return "flac", "s16" if format in ("", "u8", "s16") else "s32"
    if format == "s32":
        return ("pcm_s24le", "s32") if codec.startswith(_DEEP) or "24" in codec else ("pcm_s32le", "s32")
    if codec.startswith("pcm_") and format in ("flt", "dbl"):
        return ("pcm_f32le", "flt") if format == "flt" else ("pcm_f64le", "dbl")
    return "pcm_s16le", "s16"


def _rate(encoder: str, rate: int) -> int:
    """The encoder's sample rate that loses least: the source's own, or the next higher one."""
    rates = sorted(Codec(encoder, "w").audio_rates or (rate,))
    return rate if rate in rates else next((r for r in rates if r > rate), rates[-1])


def _with_bits(target: SoundFormat) -> SoundFormat:
    channels = len(av.AudioLayout(target.layout).channels)
    each = {"aac": min(96_000, 5 * target.rate), "libopus": min(80_000, 5 * target.rate)}.get(target.encoder, 0)
    return SoundFormat(target.encoder, target.format, target.rate, target.layout, each * channels)


def _works(target: SoundFormat, kind: Container) -> bool:
    """Whether the encoder opens, and the container takes what it gives."""
    try:
        with av.open(io.BytesIO(), "w", format=kind.muxer) as trial:
            target.add(trial)
            trial.start_encoding()
    except AV_ERRORS:
        return False
    return True


class SoundConverter:
    """One track: packets of the source in, packets of the output out, in order. Raises one of AV_ERRORS from the encoder."""

    def __init__(self, kept: Stream, target: SoundFormat, stream: AudioStream, counted: bool = False) -> None:
        """`kept`: from `remux.keep`, decoded by its own context; `stream`: what `SoundFormat.add` gave, its container open.

        counted: the source has no times for sound (AVI), one sample follows the other whatever its packets say.
        """
        self._counted = counted
        self._decoder: Any = kept.codec_context
        self._target, self._stream = target, stream
        self._resampler: AudioResampler | None = None
        self._resampled: tuple[str, str, int] | None = None
        self._clock: Fraction | None = None
        """Seconds of the source where the next frame should begin."""
        self._at = 0
        """Sample of the output where the next resampled one belongs."""
        self._end: int | None = None
        """Sample of the output up to which the encoder has all."""
        self._first: int | None = None
        self._last: int | None = None
        self._fill = False
        self._given = 0
        self.damaged = 0
        """Packets that could not be decoded; silence stands for them."""

    def cut(self, first: Fraction | None, last: Fraction | None, *, fill: bool = False) -> None:
        """Seconds of the source: nothing is kept before `first` or from `last` on; `fill`: silence from `first` on."""
        rate = self._target.rate
        self._first = None if first is None else round(first * rate)
        self._last = None if last is None else round(last * rate)
        self._fill = fill

    def feed(self, packet: Packet) -> list[Packet]:
        """Packets that are ready after one more of the source."""
        try:
            frames = self._decoder.decode(packet)
        except (*AV_ERRORS, EOFError, MemoryError):
            self.damaged += 1
            return []
        return [made for frame in frames for made in self._place(frame)]

    def finish(self) -> list[Packet]:
        """What is still inside decoder, resampler and encoder."""
        made: list[Packet] = []
        try:
            frames = self._decoder.decode(None)
        except (*AV_ERRORS, EOFError, MemoryError):
            frames = []
        for frame in frames:
            made += self._place(frame)
        made += self._drain()
        if self._end is not None:
            made += self._stream.encode(None)
        return made

    def _place(self, frame: AudioFrame) -> list[Packet]:
        if not frame.samples or not frame.sample_rate:
            return []
        made: list[Packet] = []
        time = None if frame.pts is None or not frame.time_base else frame.pts * frame.time_base
        if self._clock is None:
            self._clock = time if time is not None else Fraction(0)
            self._at = round(self._clock * self._target.rate)
        elif time is not None and not self._counted and abs(time - self._clock) > _DRIFT + 2 * (frame.time_base or 0):
            made += self._drain()
            self._clock = time
            self._at = round(time * self._target.rate)
        made += self._follow(frame)
        self._clock += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None
        assert self._resampler is not None
        for block in self._resampler.resample(frame):
            made += self._write(block)
        return made

    def _follow(self, frame: AudioFrame) -> list[Packet]:
        """A resampler for frames like this one: rate and channels may change in mid-stream."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape == self._resampled:
            return []
        made, target = self._drain(), self._target
        self._resampler = av.AudioResampler(format=target.format, layout=target.layout, rate=target.rate)
        self._resampled = shape
        return made

    def _drain(self) -> list[Packet]:
        resampler, self._resampler, self._resampled = self._resampler, None, None
        blocks = resampler.resample(None) if resampler is not None else []
        return [made for block in blocks if block is not None for made in self._write(block)]

    def _write(self, block: AudioFrame) -> list[Packet]:
        """Encode the part of a block that is wanted and was not there before, and the silence that is missing before it."""
        at, self._at = self._at, self._at + block.samples
        begin = at if self._first is None else max(at, self._first)
        if self._end is None:
            self._end = self._first if self._fill and self._first is not None else begin
        begin = max(begin, self._end)
        end = self._at if self._last is None else min(self._at, self._last)
        if end <= begin:
            return []
        made = self._bridge(begin)
        return made + self._encode(self._samples(block, begin - at, end - at), end - begin)

    def _bridge(self, begin: int) -> list[Packet]:
        assert self._end is not None
        missing = begin - self._end
        if missing > _LONGEST_SILENCE * self._target.rate:
            # The encoder takes whole frames, and the time of a frame is that of its first sample.
            size = self._stream.codec_context.frame_size
            made = self._silence(-self._given % size if size else 0)
            self._end, self._given = begin, 0
            return made
        made = []
        while (missing := begin - self._end) > 0:
            made += self._silence(min(missing, self._target.rate))
        return made

    def _silence(self, count: int) -> list[Packet]:
        if not count:
            return []
        block = av.AudioFrame(format=self._target.format, layout=self._target.layout, samples=count)
        return self._encode(np.zeros_like(block.to_ndarray()), count)

    def _samples(self, block: AudioFrame, first: int, last: int) -> npt.NDArray[Any]:
        array, each = block.to_ndarray(), 1 if block.format.is_planar else len(block.layout.channels)
        return np.ascontiguousarray(array[:, first * each : last * each])

    def _encode(self, samples: npt.NDArray[Any], count: int) -> list[Packet]:
        assert self._end is not None
        frame = av.AudioFrame.from_ndarray(samples, format=self._target.format, layout=self._target.layout)
        frame.sample_rate, frame.pts, frame.time_base = self._target.rate, self._end, Fraction(1, self._target.rate)
        self._end += count
        self._given += count
        return list(self._stream.encode(frame))
