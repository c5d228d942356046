"""One encode for all who listen: what they get decodes to the frames that were shown, at their times, from a key frame on."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from streamseg.composite import Rendered
from streamseg.core.types import Frame
from streamseg.encode.stream import Listener, SharedStream, StreamFormat, Unit
from tests import clips
from tests.unit.encode.helpers import frames, rendered

SIZE = (96, 64)


def pictures(count: int, size: tuple[int, int] = SIZE, pix_fmt: str = "yuv420p", first: int = 0) -> list[Rendered]:
    return [rendered(frame) for frame in frames(clips.picture(first + i, *size, pix_fmt) for i in range(count))]


def taken(listener: Listener) -> list[StreamFormat | Unit]:
    return list(iter(listener.take, None))


def units(listener: Listener) -> list[Unit]:
    return [each for each in taken(listener) if isinstance(each, Unit)]


def decoded(messages: Iterable[StreamFormat | Unit]) -> tuple[list[int], list[Fraction], av.VideoStream]:
    """What PyAV reads from the fragments, one behind the other: the numbers in the pictures, their times, and the stream."""
    data = b"".join(each.init if isinstance(each, StreamFormat) else each.fragment for each in messages)
    with av.open(io.BytesIO(data)) as container:
        found = list(container.decode(video=0))
        stream = container.streams.video[0]
        return [clips.read_index(clips.plane_array(f)) for f in found], [f.pts * f.time_base for f in found], stream


@pytest.fixture
def stream() -> Iterable[SharedStream]:
    made = SharedStream("door")
    yield made
    made.close()


def test_the_fragments_are_the_frames_at_their_times(stream: SharedStream) -> None:
    listener = stream.listen()
    for shown in pictures(60):
        stream.put(shown)
    messages = taken(listener)
    assert isinstance(messages[0], StreamFormat)
    numbers, times, _ = decoded(messages)
    made = [each for each in messages[1:] if isinstance(each, Unit)]
    assert numbers == [each.index for each in made] == list(range(60))
    assert times == [Fraction(i, 25) for i in range(60)] == [Fraction(each.ticks, 90_000) for each in made]


def test_a_picture_is_there_before_the_next_one_comes(stream: SharedStream) -> None:
    listener = stream.listen()
    for number, shown in enumerate(pictures(5)):
        stream.put(shown)
        assert [each.index for each in units(listener)] == [number]


def test_the_codec_string_is_what_the_stream_is(stream: SharedStream) -> None:
    listener = stream.listen()
    stream.put(pictures(1)[0])
    format, unit = taken(listener)
    assert isinstance(format, StreamFormat)
    assert (format.width, format.height) == SIZE
    _, _, read = decoded([format, unit])
    assert read.codec_context.profile == "Constrained Baseline"
    record = read.codec_context.extradata
    assert record is not None
    assert format.codec == f"avc1.{record[1:4].hex()}"
    assert format.codec.startswith("avc1.42c0")


def test_a_late_listener_begins_with_the_next_picture(stream: SharedStream) -> None:
    stream._key_at = -1.0
    early = stream.listen()
    shown = pictures(8)
    for each in shown[:4]:
        stream.put(each)
    stream._key_at = -1.0  # the last key frame was a while ago
    late = stream.listen()
    for each in shown[4:]:
        stream.put(each)
    assert [(each.index, each.key) for each in units(late)] == [(4, True), (5, False), (6, False), (7, False)]
    assert [each.key for each in units(early)] == [True, False, False, False, True, False, False, False]


def test_key_frames_come_every_two_seconds_at_any_rate(stream: SharedStream) -> None:
    listener = stream.listen()
    times = [0, 50, 100, 101, 102, 150, 220, 225, 330, 331]
    for frame in frames((clips.picture(i) for i in range(len(times))), times, Fraction(1, 50)):
        stream.put(rendered(frame))
    keys = [Fraction(each.ticks, 90_000) * 50 for each in units(listener) if each.key]
    assert keys == [0, 100, 220, 330]


def test_nothing_is_encoded_while_nobody_listens(stream: SharedStream) -> None:
    shown = pictures(6)
    stream.put(shown[0])
    assert stream.encoded == 0
    listener = stream.listen()
    assert [each.index for each in units(listener)] == [0]  # the newest picture, at once
    stream.put(shown[1])
    listener.close()
    for each in shown[2:5]:
        stream.put(each)
    assert stream.encoded == 2
    again = stream.listen()
    stream.put(shown[5])
    assert [each.index for each in units(again)] == [4, 5]


def test_a_slow_listener_is_let_go_and_told_and_no_other(stream: SharedStream) -> None:
    slow, other = stream.listen(patience=0.0), stream.listen()
    for shown in pictures(4):
        stream.put(shown)
    assert "too slow" in slow.ended
    assert slow.get(0) is None
    assert [each.index for each in units(other)] == [0, 1, 2, 3]
    assert stream.too_slow == 1
    assert stream.stats()["listeners"] == 1


def test_another_size_is_another_format_and_time_goes_on(stream: SharedStream) -> None:
    listener = stream.listen()
    for shown in (*pictures(3), *pictures(3, (64, 48))):  # the second film's times begin at 0 again
        stream.put(shown)
    messages = taken(listener)
    formats = [each for each in messages if isinstance(each, StreamFormat)]
    assert [(each.width, each.height, each.number) for each in formats] == [(96, 64, 0), (64, 48, 1)]
    assert isinstance(messages[4], StreamFormat)
    made = [each for each in messages if isinstance(each, Unit)]
    assert [each.key for each in made] == [True, False, False] * 2
    assert all(b.ticks > a.ticks for a, b in pairwise(made))
    assert decoded(messages[4:])[0] == [0, 1, 2]


def test_a_new_epoch_begins_with_a_format_and_a_key_frame(stream: SharedStream) -> None:
    listener = stream.listen()
    for number, shown in enumerate(pictures(4)):
        stream.put(rendered(replace(shown.result.frame, epoch=number // 2)))
    messages = taken(listener)
    assert [each.epoch for each in messages] == [0, 0, 0, 1, 1, 1]
    assert isinstance(messages[3], StreamFormat)


def test_a_clock_that_is_set_does_not_set_the_streams(stream: SharedStream) -> None:
    listener = stream.listen()
    for frame in frames((clips.picture(i) for i in range(6)), [0, 40, 80, 10_000_000, 10_000_040, 5], Fraction(1, 1000)):
        stream.put(rendered(frame))
    times = [each.time for each in units(listener)]
    assert times == sorted(set(times))
    assert times[-1] < 1.0
    assert times[4] - times[3] == pytest.approx(0.04, abs=1e-4)


@pytest.mark.parametrize(
    ("pix_fmt", "size"),
    [("rgb24", (96, 64)), ("gray", (96, 64)), ("yuv444p10le", (97, 65)), ("nv12", (96, 64)), ("yuv420p", (95, 63))],
)
def test_any_picture_becomes_what_browsers_play(stream: SharedStream, pix_fmt: str, size: tuple[int, int]) -> None:
    listener = stream.listen()
    for shown in pictures(3, size, pix_fmt):
        stream.put(shown)
    assert stream.failed == ""
    numbers, _, read = decoded(taken(listener))
    assert numbers == [0, 1, 2]
    assert (read.codec_context.pix_fmt or "").replace("yuvj", "yuv") == "yuv420p"  # j: of full range


def test_hdr_is_shown_as_a_screen_shows_it(stream: SharedStream) -> None:
    frame = frames([clips.picture(0, pix_fmt="yuv420p10le")])[0]
    frame.picture.colorspace, frame.picture.color_primaries, frame.picture.color_trc = 9, 9, 16
    listener = stream.listen()
    stream.put(rendered(frame))
    _, _, read = decoded(taken(listener))
    assert read.codec_context.color_trc != 16


def test_the_picture_that_others_share_is_not_written_into(stream: SharedStream) -> None:
    stream.listen()
    shown = pictures(1)[0]
    picture = shown.picture
    assert isinstance(picture, av.VideoFrame)
    picture.pict_type, before = PictureType.P, clips.plane_array(picture)
    stream.put(shown)
    assert (picture.pts, picture.time_base, picture.pict_type) == (0, Fraction(1, 25), PictureType.P)
    assert np.array_equal(clips.plane_array(picture), before)


def test_a_picture_that_cannot_be_encoded_is_said_and_the_next_is_tried(stream: SharedStream) -> None:
    listener = stream.listen()
    good, wide = pictures(1)[0], av.VideoFrame(16500, 16, "yuv420p")
    wide.pts, wide.time_base = 5, Fraction(1, 25)
    stream.put(rendered(Frame(wide, 0, 0, Fraction(1, 25))))
    assert "cannot" in stream.failed
    stream.put(good)
    assert stream.failed == ""
    assert [each.index for each in units(listener)] == [0]


def test_the_end_is_told(stream: SharedStream) -> None:
    heard = []
    listener = stream.listen(lambda: heard.append(1))
    stream.put(pictures(1)[0])
    stream.close("the camera was removed")
    assert len(taken(listener)) == 2
    assert listener.ended == "the camera was removed"
    assert stream.listen().ended == "the camera was removed"
    assert len(heard) == 2
