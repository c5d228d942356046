"""A film whose packets are read and not decoded: its sound and text come to outputs as while it is decoded, to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.encode.video.sink import VideoSink
from streamseg.errors import Unreadable
from tests import clips
from tests.unit.decode.test_access import B
from tests.unit.decode.test_stretch import cut_off, longer_sound
from tests.unit.encode.helpers import rendered
from tests.unit.encode.keeper import Folder


def chapters(path: Path) -> Path:
    """Sound, text and two chapters."""
    plain = clips.with_subtitles(path.with_name(f"plain{path.suffix}"))
    with av.open(str(plain)) as source, av.open(str(path), "w") as into:
        streams = {s.index: into.add_stream_from_template(s) for s in source.streams}
        ends = {"time_base": Fraction(1, 1000), "metadata": {"title": "one"}}
        into.set_chapters([{"id": i, "start": 800 * i, "end": 800 * i + 800, **ends} for i in range(2)])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                into.mux(packet)
    return path


def joined(path: Path) -> Path:
    one = clips.cfr(path.with_name("one.ts"), 40, video=B, audio=True)
    path.write_bytes(one.read_bytes() * 2)
    return path


KINDS: dict[str, Callable[[Path], Path]] = {
    **{f"sound{s}": lambda p: clips.cfr(p, 47, video=B, audio=True) for s in (".mp4", ".mkv", ".mov", ".ts", ".flv", ".avi")},
    **{f"text{s}": clips.with_subtitles for s in (".mkv", ".mp4")},
    **{f"chapters{s}": chapters for s in (".mkv", ".mp4")},
    **{f"longer-sound{s}": longer_sound for s in (".mp4", ".mkv", ".ts")},
    "fragments.mp4": lambda p: clips.cfr(
        p, 40, video=B, audio=True, container_options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "short.mp4": lambda p: clips.cfr(p, 7, video=B, audio=True),
    "one.mkv": lambda p: clips.cfr(p, 1, audio=True),
    "whole-parts.mp4": lambda p: clips.cfr(p, 40, video=B, audio=True),
    "silent.mp4": lambda p: clips.cfr(p, 40, video=B),
    "joined.ts": joined,
}


def written(path: Path, keeper: Folder, decoder: Decoder, frames: Callable[[], Iterator[Frame]]) -> tuple[bytes, list[str]]:
    """The bytes of a film written of a source, and what the sink and the source had to say."""
    info = decoder.open()
    sink = VideoSink(path, info, passthrough=decoder.subscribe(), keeper=keeper, crf=30, overwrite=True)
    sink.open()
    for frame in frames():
        sink(rendered(frame))
    sink.close()
    decoder.close()
    return path.read_bytes(), [*sink.warnings, *decoder.warnings]


@pytest.mark.parametrize("output", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("kind", KINDS)
def test_sound_and_text_come_as_while_it_is_decoded(tmp_path: Path, kind: str, output: str) -> None:
    """The parts of the video are there already; in place of their pictures the first one is given, again and again."""
    path = KINDS[kind](tmp_path / kind)
    keeper, decoder = Folder(tmp_path / "parts"), Decoder(path)
    frames: list[Frame] = []

    def decoded() -> Iterator[Frame]:
        for frame in decoder.frames():
            frames.append(frame)
            yield frame

    made = written(tmp_path / f"out{output}", keeper, decoder, decoded)
    again = Decoder(path)
    kept = len(frames) // keeper.length * keeper.length  # the last part is kept only if it is full
    stand_ins = [replace(frame, picture=frames[0].picture) for frame in frames[:kept]] + frames[kept:]
    joined = written(tmp_path / f"out{output}", keeper, again, lambda: again.undecoded(stand_ins))
    assert len(frames) > 0
    assert joined[1] == made[1]
    assert joined[0] == made[0]


def test_a_film_that_breaks_off_is_told(tmp_path: Path) -> None:
    path = cut_off(tmp_path / "a.mkv")
    decoder = Decoder(path)
    decoder.open()
    given = []
    with pytest.raises(Unreadable, match="breaks off at"):
        given.extend(decoder.undecoded(range(24)))
    decoder.close()


def test_it_can_be_stopped(tmp_path: Path) -> None:
    decoder = Decoder(clips.cfr(tmp_path / "a.mp4", 30, audio=True))
    decoder.open()
    numbers: Iterator[Any] = decoder.undecoded(range(30))
    assert next(numbers) == 0
    decoder.stop()
    assert list(numbers) == []
    decoder.close()
