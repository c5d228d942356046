"""Audio and subtitles: the same bytes, in sync, a copy for each output."""

from __future__ import annotations

import io
import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamseg.decode import Decoder, PassThrough
from streamseg.decode.passthrough import PassThroughHub
from tests import clips


def collect(decoder: Decoder, through: PassThrough) -> list[av.Packet]:
    taken = []
    for frame in decoder.frames():
        taken += through.take(until=frame.time)
    return taken + through.take()


def audio(path: Path) -> list[tuple[int | None, int | None, bytes]]:
    return clips.packets(path, "audio")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_audio_packets_are_byte_equal_and_keep_their_times(tmp_path: Path, name: str) -> None:
    path = clips.cfr(tmp_path / name, 50, audio=True)
    with Decoder(path) as decoder:
        got = collect(decoder, decoder.subscribe(("audio",)))
    assert [(p.pts, p.dts, bytes(p)) for p in got] == audio(path)
    assert len(got) > 80


def test_side_data_and_flags_travel_too(tmp_path: Path) -> None:
    """Without skip_samples an AAC track starts 21 ms late."""
    path = clips.cfr(tmp_path / "a.mkv", 10, audio=True)
    with Decoder(path) as decoder:
        first = collect(decoder, decoder.subscribe())[0]
    assert [s.data_type for s in first.iter_sidedata()] == ["skip_samples"]
    assert first.is_keyframe
    assert first.time_base == Fraction(1, 1000)


def test_each_output_has_packets_of_its_own(tmp_path: Path) -> None:
    """Muxing rescales a packet's times and moves it to another stream."""
    path = clips.cfr(tmp_path / "a.mkv", 25, audio=True)
    with Decoder(path) as decoder:
        one, two = decoder.subscribe(), decoder.subscribe()
        sink = av.open(io.BytesIO(), "w", format="mpegts")
        target = sink.add_stream_from_template(one.streams[0])
        for _ in decoder.frames():
            pass
        for packet in one.take():
            packet.stream = target
            sink.mux(packet)
        assert [(p.pts, p.dts, bytes(p)) for p in two.take()] == audio(path)
        sink.close()


def test_take_gives_what_is_due_once_and_in_order(tmp_path: Path) -> None:
    path = clips.with_subtitles(tmp_path / "s.mkv")
    with Decoder(path) as decoder:
        through = decoder.subscribe()
        for _ in decoder.frames():
            pass
        early = through.take(until=0.5)
        late = through.take(until=None)
    times = [float(p.dts * p.time_base) for p in early + late]
    assert times == sorted(times)
    assert max(float(p.dts * p.time_base) for p in early) <= 0.5 < min(float(p.dts * p.time_base) for p in late)
    assert len(early + late) == len(audio(path)) + 3
    assert through.take() == []


def test_subtitles_come_with_their_text_and_time(tmp_path: Path) -> None:
    for name in ("s.mkv", "s.mp4"):
        with Decoder(clips.with_subtitles(tmp_path / name)) as decoder:
            got = collect(decoder, decoder.subscribe(("subtitle",)))
        text = [(float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base), bytes(p)[-3:]) for p in got]
        assert text == [(start, end, line.encode()[-3:]) for start, end, line in clips.SUBTITLES]


def test_a_copy_remuxed_is_the_same_file_content(tmp_path: Path) -> None:
    path = clips.with_subtitles(tmp_path / "s.mp4")
    with Decoder(path) as decoder, av.open(str(tmp_path / "o.mp4"), "w") as out:
        through = decoder.subscribe()
        targets = {s.index: out.add_stream_from_template(s) for s in through.streams}
        for packet in collect(decoder, through):
            packet.stream = targets[packet.stream_index]
            out.mux(packet)
    for kind in ("audio", "subtitles"):
        assert clips.packets(tmp_path / "o.mp4", kind) == clips.packets(path, kind)


def test_a_cut_takes_sound_of_the_cut_only(tmp_path: Path) -> None:
    path = clips.with_subtitles(tmp_path / "s.mkv", 60)
    with Decoder(path, start=0.7, duration=0.6) as decoder:
        got = collect(decoder, decoder.subscribe())
    sound = [p for p in got if p.stream.type == "audio"]
    expected = [x for x in audio(path) if 0.7 <= (x[0] or 0) / 1000 < 1.3]
    assert [(p.pts, p.dts, bytes(p)) for p in sound] == expected
    words = [(p.pts, p.duration, bytes(p)) for p in got if p.stream.type == "subtitle"]
    assert words == [(700, 300, b"two"), (1100, 500, b"three")], (
        "the text on screen at the cut is shown for the rest of its time"
    )


def test_discard_and_close_hold_nothing(tmp_path: Path) -> None:
    with Decoder(clips.with_subtitles(tmp_path / "s.mkv")) as decoder:
        one, two = decoder.subscribe(), decoder.subscribe()
        one.discard(next(s for s in one.streams if s.type == "subtitle"))
        two.close()
        for _ in decoder.frames():
            pass
    assert {p.stream.type for p in one.take()} == {"audio"}
    assert two.take() == []


def test_memory_is_bounded_when_nobody_takes(tmp_path: Path) -> None:
    with Decoder(clips.cfr(tmp_path / "a.mkv", 50, audio=True)) as decoder:
        everything = decoder.subscribe()
        bounded = PassThrough(everything.streams, max_bytes=2000)
        for _ in decoder.frames():
            pass
        for packet in everything.take():
            bounded.offer(packet)
    held = bounded.take()
    assert sum(p.size for p in held) <= 2000
    assert bounded.dropped > 0
    assert held[-1].pts == audio(tmp_path / "a.mkv")[-1][0], "the newest are kept"


def test_dts_that_go_back_are_moved_to_the_one_before(tmp_path: Path) -> None:
    with Decoder(clips.cfr(tmp_path / "a.mkv", 5, audio=True)) as decoder:
        through = decoder.subscribe()
        for _ in decoder.frames():
            pass
        packets = through.take()
        again = PassThrough(through.streams)
        for dts in (0, 21, 21, 20, 64):
            packets[0].dts = packets[0].pts = dts
            again.offer(packets[0])
    assert [p.dts for p in again.take()] == [0, 21, 21, 21, 64]
    assert again.rebased == 1


def test_packets_are_offered_and_taken_from_two_threads(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "a.mkv", 200, audio=True)
    got: list[av.Packet] = []
    with Decoder(path) as decoder:
        through = decoder.subscribe()
        done = threading.Event()

        def sink() -> None:
            while not done.wait(0.001):
                got.extend(through.take())

        thread = threading.Thread(target=sink)
        thread.start()
        for _ in decoder.frames():
            pass
        done.set()
        thread.join()
        got.extend(through.take())
    assert [(p.pts, bytes(p)) for p in got] == [(x[0], x[2]) for x in audio(path)]


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with Decoder(clips.cfr(tmp_path / "a.mkv", 5)) as decoder, pytest.raises(ValueError, match="audio, subtitle, data"):
        decoder.subscribe(("sound",))


class Parcel:
    """What a packet tells of itself, without its bytes."""

    def __init__(
        self, dts: int | None, pts: int | None = None, *, size: int = 1, kind: str = "audio", duration: int = 0
    ) -> None:
        self.dts, self.pts, self.size, self.duration = dts, pts, size, duration
        self.stream = type("Stream", (), {"type": kind, "index": 1})()
        self.stream_index, self.time_base, self.is_corrupt = 1, Fraction(1, 1000), False


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> PassThrough:
    """An output that takes parcels as they are."""
    monkeypatch.setattr("streamseg.decode.passthrough.clone", lambda parcel: parcel)
    return PassThrough([Parcel(0).stream])


def test_128_mib_are_held_for_who_takes_nothing(unopened: PassThrough) -> None:
    for time in range(128):
        unopened.offer(Parcel(time, size=2**20))
    assert unopened.dropped == 0
    unopened.offer(Parcel(128, size=1))
    assert unopened.dropped == 1
    assert [p.dts for p in unopened.take()] == list(range(1, 129)), "the oldest goes first"


def test_one_packet_that_is_too_large_is_still_held(unopened: PassThrough) -> None:
    unopened.offer(Parcel(0))
    unopened.offer(Parcel(1, size=2**28))
    assert [p.dts for p in unopened.take()] == [1]


def test_times_never_decrease_and_those_that_are_missing_follow(unopened: PassThrough) -> None:
    offered = [Parcel(100, 100), Parcel(90), Parcel(80, 300), Parcel(None), Parcel(100, 95), Parcel(140, 120)]
    for parcel in offered:
        unopened.offer(parcel)
    assert unopened.take() == offered
    assert [(p.dts, p.pts) for p in offered] == [(100, 100), (100, 100), (100, 300), (None, None), (100, 95), (140, 120)]
    assert unopened.rebased == 2


def test_a_packet_without_time_before_all_others_comes_at_once(unopened: PassThrough) -> None:
    unopened.offer(Parcel(None))
    assert len(unopened.take(0.0)) == 1


def inside(parcel: Parcel, start: float | None, end: float | None) -> bool:
    hub = PassThroughHub()
    hub.window(start, end)
    return hub._trim(parcel)


def test_the_window_begins_with_its_start_and_ends_before_its_end() -> None:
    assert inside(Parcel(None), 1.0, 2.0), "a packet without time belongs to the one before"
    assert inside(Parcel(1000), 1.0, 2.0)
    assert not inside(Parcel(2000), 1.0, 2.0)
    assert inside(Parcel(1999), 1.0, 2.0)
    assert inside(Parcel(99999), 1.0, None)
    assert not inside(Parcel(999, kind="data"), 1.0, 2.0)
    assert not inside(Parcel(2500, 999, kind="data"), 1.0, 2.0), "what counts is when it is presented"


def test_a_text_that_is_on_screen_at_the_start_is_shortened() -> None:
    text = Parcel(400, 400, kind="subtitle", duration=1000)
    assert inside(text, 1.0, 2.0)
    assert (text.pts, text.dts, text.duration) == (1000, 1000, 400)
    assert not inside(Parcel(400, 400, kind="subtitle", duration=600), 1.0, 2.0), "it is gone when the window begins"
