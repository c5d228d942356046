"""What becomes of the source's other streams (sound, subtitles, data) in an output: copied, converted or left out.

One rule holds for all. A stream is copied if libav writes its parameters into the container's header, unless the table in
`containers` says that this fails later. Sound and text that do not fit are converted to the container's own kind. A stream for
which neither works is left out, and a warning names it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import av
from av.stream import Discard

from streamseg.encode.video.containers import CONTAINERS, Container, container_of
from streamseg.encode.video.remux import AV_ERRORS, add_copy, codec_of, keep
from streamseg.encode.video.sound import SoundConverter, SoundFormat, choose_sound
from streamseg.encode.video.text import BITMAPS, TextConverter, add_text, is_text

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.stream import Stream

__all__ = ["Audio", "Converter", "OutputStream", "OutputStreams", "Packets", "choose_stream", "is_silent", "what_becomes_of"]

Audio = Literal["convert", "copy", "none"]
"""What happens to sound: `convert` copies what fits and converts the rest, `copy` converts nothing, `none` leaves all out."""
_APART = 0.05
"""Seconds: sound that does not begin with the picture, but more apart, is not copied into a container that cannot say so."""

_QUICKTIME = {
    "bod": "tib", "cym": "wel", "cze": "ces", "deu": "ger", "ell": "gre", "eus": "baq", "fas": "per", "fre": "fra", "hye": "arm",
    "isl": "ice", "kat": "geo", "mkd": "mac", "msa": "may", "mya": "bur", "nld": "dut", "rum": "ron", "slo": "slk", "sqi": "alb",
    "zho": "chi",
}  # fmt: skip
"""Languages with two codes (ISO 639-2), of which libav knows QuickTime's number for the other one only."""


class Packets(Protocol):
    """The source's packets for one output (`streamseg.decode.PassThrough`)."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Templates of what is passed through."""

    @property
    def window(self) -> tuple[float | None, float | None]:
        """Seconds of the source that are wanted: from, and up to; None: no limit."""

    def take(self, until: float | None = None) -> list[Any]:
        """Packets due until a time in seconds on the source's clock; None: the rest."""

    def lead(self, stream: Stream) -> None:
        """Give what comes shortly before the window, too: a decoder needs it to begin."""

    def discard(self, stream: Any) -> None:
        """Stop passing a stream."""

    def close(self) -> None:
        """Nothing more is wanted."""


class Converter(Protocol):
    """Makes packets of the output from packets of the source."""

    damaged: int

    def cut(self, first: Fraction | None, last: Fraction | None, *, fill: bool = False) -> None:
        """See `SoundConverter.cut`."""

    def feed(self, packet: Any) -> list[Any]:
        """Packets that are ready after one more."""

    def finish(self) -> list[Any]:
        """The rest."""


@dataclass(frozen=True, slots=True)
class OutputStream:
    """One stream that goes into the output."""

    kept: Stream
    """Its parameters, which stay when the source is closed."""
    sound: SoundFormat | None = None
    """What it is converted to."""
    text: str = ""
    """The encoder of the text that it is converted to."""
    counted: bool = False
    """See `SoundConverter`."""

    @property
    def converted(self) -> bool:
        """Whether it is sound that is decoded and encoded again, so that it can be cut anywhere."""
        return self.sound is not None

    @property
    def is_text(self) -> bool:
        """Whether it is subtitles."""
        return self.kept.type == "subtitle"

    @property
    def rate(self) -> int:
        """Samples a second in the output; 0 for what is no sound."""
        return int(getattr(self.kept.codec_context, "sample_rate", 0) or 0) if self.sound is None else self.sound.rate

    @property
    def priming(self) -> Fraction:
        """Seconds by which the first packet comes before the first sample."""
        return Fraction(self.sound.priming, self.sound.rate) if self.sound is not None else Fraction(0)

    def add(self, container: OutputContainer) -> tuple[Stream, Converter | None]:
        """Add it to a container: the stream, and what makes its packets if they are not copied. Raises one of AV_ERRORS."""
        converter: Converter | None = None
        if self.sound is not None:
            stream: Stream = self.sound.add(container)
            converter = SoundConverter(self.kept, self.sound, cast("AudioStream", stream), self.counted)
        elif self.text:
            stream = add_text(container, self.kept, self.text)
            converter = TextConverter(self.kept, stream)
        else:
            stream = add_copy(container, self.kept)
        stream.metadata.update(self.kept.metadata)
        stream.disposition = self.kept.disposition
        if container.format.name == "mov" and self.kept.language in _QUICKTIME:
            stream.metadata["language"] = _QUICKTIME[self.kept.language]
        return stream, converter


class OutputStreams:
    """What becomes of each stream, decided while the source is still open."""

    def __init__(self, packets: Packets | None, suffix: str, audio: Audio = "convert", begins: float | None = None) -> None:
        """`begins`: seconds of the first picture, where the source is played from its beginning."""
        self.packets = packets
        self.warnings: list[str] = []
        self.kept: dict[int, OutputStream] = {}
        """By their index in the source."""
        kind, lost = container_of(suffix), dict[str, list[str]]()
        for template in packets.streams if packets is not None else ():
            assert packets is not None
            if is_silent(template):
                packets.discard(template)
                continue
            chosen, said = choose_stream(template, suffix, audio, _apart(template, begins) if not kind.timed else 0.0)
            if chosen is None:
                packets.discard(template)
                if said:
                    lost.setdefault(said, []).append(_name(template))
                continue
            self.kept[template.index] = chosen
            if said:
                self.warnings.append(f"{_name(template)} {said}")
            if chosen.sound is not None:
                packets.lead(template)
        self.warnings += [
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} left out: {why}" for why, names in lost.items()
        ]


def choose_stream(
    template: Stream, suffix: str, audio: Audio = "convert", apart: float = 0.0
) -> tuple[OutputStream | None, str]:
    """What becomes of a stream in a file of this suffix: what goes into the output, and what to say; None, and why it is left out.

    `apart`: seconds after the first picture at which it begins, where the container cannot say so. Nothing is said of what is
    copied unchanged, or left out because that was asked for.
    """
    kind, codec = container_of(suffix), codec_of(template)
    if template.type == "audio" and audio == "none":
        return None, ""
    try:
        kept = keep(template)
    except AV_ERRORS as error:
        return None, f"FFmpeg does not know what it is ({error})"
    apart = apart if template.type == "audio" else 0.0
    if abs(apart) <= _APART and fits(kept, kind) and not _has_foreign_tag(template, kind):
        return OutputStream(kept), ""
    reason = f"a {suffix} file cannot hold it"
    if not _is_known(kept):
        return None, "the source does not tell its sample rate, or how many channels it has"
    if abs(apart) > _APART:
        order = "after" if apart > 0 else "before"
        reason = f"a {suffix} file cannot say that it begins {abs(apart):.2f} s {order} the picture"
    if template.type == "audio" and audio == "copy":
        return None, f"{reason}, and with --audio copy nothing is converted{_elsewhere(kept)}"
    if template.type == "audio" and (target := choose_sound(kept, kind)) is not None:
        counted = template.container.format.name == "avi"
        return OutputStream(kept, sound=target, counted=counted), f"is converted to {_words(target, kept)}: {reason}"
    if template.type in ("audio", "subtitle") and kept.codec_context is None:
        return None, f"{reason}, and this build of FFmpeg has no decoder for it{_elsewhere(kept)}"
    if kind.text and is_text(kept) and _works(kept, kind):
        return OutputStream(kept, text=kind.text), f"is converted to {kind.text}: {reason}"
    if codec in BITMAPS:
        reason += ", and they are pictures, of which no text can be made"
    elif is_text(kept) and not kind.text:
        reason = f"a {suffix} file holds no text"
    return None, f"{reason}{_elsewhere(kept)}"


def what_becomes_of(template: Stream) -> str:
    """What becomes of a stream in a file of each kind, in a sentence."""
    ways: dict[str, list[str]] = {}
    for suffix in CONTAINERS:
        chosen, _ = choose_stream(template, suffix)
        if chosen is None:
            way = "left out of"
        elif chosen.sound is not None:
            way = f"converted to {chosen.sound.name} for"
        else:
            way = f"converted to {chosen.text} for" if chosen.text else "copied into"
        ways.setdefault(way, []).append(suffix)
    if len(ways) == 1:
        return f"{_name(template)}: {next(iter(ways)).rsplit(' ', 1)[0]}"
    return f"{_name(template)}: {'; '.join(f'{way} {_listed(suffixes)}' for way, suffixes in sorted(ways.items()))}"


def fits(kept: Stream, kind: Container) -> bool:
    """Whether a container can hold a stream as it is: not all muxers know before their header what they cannot hold."""
    if kept.type == "attachment":
        return kind.attachments
    codec = codec_of(kept)
    if kept.type == "data" and codec not in kind.data:
        return False
    if codec in kind.refused or (kind.only and codec not in kind.only) or codec == "unknown":
        return False
    if not _is_known(kept):
        return False  # a header is written, and nobody could play it
    try:
        with av.open(io.BytesIO(), "w", format=kind.muxer) as trial:
            add_copy(trial, kept)
            trial.start_encoding()
    except AV_ERRORS:
        return False
    return True


def _is_known(kept: Stream) -> bool:
    """False for sound without a rate or channels."""
    context: Any = kept.codec_context
    return kept.type != "audio" or context is None or bool(context.sample_rate and context.layout.nb_channels)


def _works(kept: Stream, kind: Container) -> bool:
    try:
        with av.open(io.BytesIO(), "w", format=kind.muxer) as trial:
            add_text(trial, kept, kind.text)
            trial.start_encoding()
    except AV_ERRORS:
        return False
    return True


def _elsewhere(kept: Stream) -> str:
    able = [suffix for suffix, kind in CONTAINERS.items() if fits(kept, kind)]
    return f"; {_listed(able)} can" if able else ""


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _words(target: SoundFormat, kept: Stream) -> str:
    context: Any = kept.codec_context
    changed = [f"{target.rate} Hz"] if target.rate != context.sample_rate else []
    changed += [target.layout] if len(av.AudioLayout(target.layout).channels) != context.layout.nb_channels else []
    return f"{target.name} ({', '.join(changed)})" if changed else target.name


def _name(template: Stream) -> str:
    """For people, as `audio stream 1 (pcm_alaw, eng)`."""
    codec = codec_of(template)
    known = template.metadata.get("filename") or (template.metadata.get("handler_name") if codec == "unknown" else None)
    language = template.language if template.language not in (None, "und") else None
    return f"{template.type} stream {template.index} ({', '.join(filter(None, (known or codec, language)))})"


def _has_foreign_tag(template: Stream, kind: Container) -> bool:
    """Whether a stream without a decoder here bears the mark of another container, which QuickTime's muxer writes as it is."""
    known = template.codec_context is not None or template.type not in ("audio", "subtitle")
    return not (known or kind.only or kind.muxer in template.container.format.name)


def is_silent(template: Stream) -> bool:
    """What libav made something else of, and gives no packets of: a timecode track, the texts of an mp4's chapters."""
    return template.type == "data" and ("timecode" in template.metadata or template.discard == Discard.all)


def _apart(template: Stream, begins: float | None) -> float:
    if begins is None or template.start_time is None or not template.time_base:
        return 0.0
    return float(template.start_time * template.time_base) - begins
