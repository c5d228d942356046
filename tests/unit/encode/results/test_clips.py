"""Clips of events: the right seconds of the source, to the bit, with sound, and a table that says where each event is."""

import csv
import io
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from streamseg.composite import Rendered
from streamseg.core.event_clips import EventClips
from streamseg.core.result import Result
from streamseg.core.scene import Scene
from streamseg.core.types import Activity, Event, Instances
from streamseg.decode import Decoder
from streamseg.encode import open_sink
from streamseg.encode.results import clips as module
from streamseg.errors import OutputError, OutputExists
from tests import clips
from tests.full_disk import file_size_limit
from tests.unit.encode.helpers import INFO

SHORT = EventClips(before=1.0, after=1.0)
FRAMES = 200


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Eight seconds; the number of each picture can be read from it."""
    return clips.cfr(tmp_path_factory.mktemp("film") / "drive.mp4", FRAMES, 25, clips.Video(b_frames=2), audio=True)


def event(time, kind="cross", track=1, **more):
    return Event(kind, time, track, "car", "gate", **more)


def run(film, folder, events, *, driving=False, told_after=0.2, options=SHORT, **more):
    """All frames of a film, with events that are told a moment after they happened; the closed sink."""
    with Decoder(film) as decoder:
        sink = open_sink(folder, decoder.info, source=str(film), clips=options, **more)
        sink.open()
        left = sorted(events, key=lambda e: e.time)
        try:
            for frame in decoder.frames():
                told = [e for e in left if e.time + told_after <= frame.time]
                left = [e for e in left if e not in told]
                scene = Scene.unknown(0) if driving else None
                activity = Activity({}, {}, {}, {}, tuple(told))
                sink(Rendered(Result(frame, Instances.empty(("car",)), activity=activity, scene=scene), frame.picture))
        except BaseException:
            sink.abort()
            raise
    sink.close()
    return sink


def table(folder):
    return list(csv.DictReader(io.StringIO((folder / "clips.csv").read_bytes().decode("utf-8-sig"), newline="")))


def pictures(path):
    """(seconds, number of the picture) of each in a film."""
    with av.open(str(path)) as container:
        return [(float(f.time), clips.read_index(clips.plane_array(f))) for f in container.decode(video=0)]


def films(folder):
    return sorted(p.name for p in folder.iterdir() if p.suffix in (".mp4", ".mkv"))


def test_a_clip_shows_the_seconds_around_an_event_with_sound(film, tmp_path):
    run(film, tmp_path / "a.clips", [event(4.0)])
    (row,) = table(tmp_path / "a.clips")
    assert films(tmp_path / "a.clips") == [row["clip"]] == ["00-00-04.0_cross_car#1.mp4"]
    seen = pictures(tmp_path / "a.clips" / row["clip"])
    begin = float(row["begin"])
    numbers = [number for _, number in seen]
    assert numbers == list(range(round(begin * 25), round(begin * 25) + len(seen))), "every picture, in order"
    assert all(at == pytest.approx(i / 25, abs=1e-3) for i, (at, _) in enumerate(seen))
    assert 2.5 <= begin <= 3.0, "from the key frame before on; they are 12 pictures apart"
    assert numbers[-1] >= 125 - 1
    assert numbers[-1] <= 130
    shown = max((at, number) for at, number in seen if at <= float(row["at"]) + 1e-3)
    assert shown[1] == 100, "where the table says that the event is"
    theirs = {data for _, _, data in clips.packets(film)}
    ours = [data for _, _, data in clips.packets(tmp_path / "a.clips" / row["clip"])]
    assert set(ours) <= theirs
    assert len(ours) >= 2.0 * 48000 / 1024
    assert {data for _, _, data in clips.packets(tmp_path / "a.clips" / row["clip"], "video")} <= {
        data for _, _, data in clips.packets(film, "video")
    }, "copied, not encoded"


def test_events_close_together_share_a_clip(film, tmp_path):
    sink = run(film, tmp_path / "a.clips", [event(2.0), event(3.5, "enter", 2), event(6.5, "leave", 3, seconds=1.0)])
    rows = table(tmp_path / "a.clips")
    assert [(r["kind"], r["track"]) for r in rows] == [("cross", "1"), ("enter", "2"), ("leave", "3")]
    assert rows[0]["clip"] == rows[1]["clip"] != rows[2]["clip"]
    assert float(rows[1]["at"]) - float(rows[0]["at"]) == pytest.approx(1.5)
    assert len(films(tmp_path / "a.clips")) == 2
    last = pictures(tmp_path / "a.clips" / rows[0]["clip"])[-1][1]
    assert last >= round(4.5 * 25) - 1
    assert sink.warnings == []


def test_a_clip_is_no_longer_than_was_asked_for(film, tmp_path):
    run(film, tmp_path / "a.clips", [event(1 + 0.5 * i) for i in range(10)], options=replace(SHORT, longest=3.0))
    rows = table(tmp_path / "a.clips")
    assert len({row["clip"] for row in rows}) >= 2
    assert all(float(row["end"]) - float(row["begin"]) < 3.0 + 12 / 25 + 0.2 for row in rows)
    assert all(0 <= float(row["at"]) <= float(row["end"]) - float(row["begin"]) for row in rows)


@pytest.mark.parametrize(
    ("options", "driving", "kinds"),
    [
        (SHORT, False, {"cross"}),
        (SHORT, True, {"alert"}),
        (replace(SHORT, kinds=("count",)), True, {"count"}),
    ],
)
def test_the_kinds_of_events_are_chosen(options, driving, kinds, film, tmp_path):
    told = [event(2.0, "cross"), event(2.2, "alert"), event(2.4, "count"), event(2.6, "stop")]
    run(film, tmp_path / "a.clips", told, options=options, driving=driving)
    assert {row["kind"] for row in table(tmp_path / "a.clips")} == kinds


def test_clips_at_both_ends_of_a_film(film, tmp_path):
    run(film, tmp_path / "a.clips", [event(0.1), event(7.9)], told_after=0.0)
    first, last = table(tmp_path / "a.clips")
    assert pictures(tmp_path / "a.clips" / first["clip"])[0][1] == 0
    assert pictures(tmp_path / "a.clips" / last["clip"])[-1][1] == FRAMES - 1


SOURCES = {
    "ts": lambda path: clips.cfr(path, 150, 25, clips.Video(b_frames=2), container_format="mpegts", audio=True),
    "mkv": lambda path: clips.cfr(path, 150, 25, clips.Video(b_frames=2)),
    "avi": lambda path: clips.cfr(path, 150, 25, clips.Video(codec="mpeg4"), container_format="avi"),
    "one-key.mp4": lambda path: clips.cfr(path, 150, 25, clips.Video(gop=1000)),
    "hevc.mp4": lambda path: clips.cfr(path, 150, 25, clips.Video(codec="libx265")),
    "mjpeg.mov": lambda path: clips.cfr(path, 150, 25, clips.Video(codec="mjpeg", pix_fmt="yuvj420p")),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_films_of_many_kinds_are_cut(kind, tmp_path):
    film = SOURCES[kind](tmp_path / f"a.{kind}")
    run(film, tmp_path / "a.clips", [event(Decoder(film).open().start_time + 3.0)])
    (row,) = table(tmp_path / "a.clips")
    seen = pictures(tmp_path / "a.clips" / row["clip"])
    assert [number for _, number in seen] == list(range(seen[0][1], seen[0][1] + len(seen)))
    assert seen[0][1] <= 50
    assert seen[-1][1] >= 99
    assert max(number for at, number in seen if at <= float(row["at"]) + 2e-3) == 75


def test_a_turned_film_gives_turned_clips(tmp_path):
    film = clips.rotated(tmp_path / "a.mp4", 90, 60)
    run(film, tmp_path / "a.clips", [event(1.2)])
    (row,) = table(tmp_path / "a.clips")
    with av.open(str(tmp_path / "a.clips" / row["clip"])) as container:
        assert next(container.decode(video=0)).rotation == 90


def test_the_files_of_a_trip_are_one_film(film, tmp_path):
    """The second begins where the first ends; an event at the joint is seen from both sides."""
    joints = [SimpleNamespace(at=8.0 * i, shift=8.0 * i, part=SimpleNamespace(path=film)) for i in range(2)]
    sink = open_sink(tmp_path / "a.clips", replace(INFO, kind="trip"), clips=SHORT, joints=lambda: joints)
    sink.open()
    for i in range(2 * FRAMES):
        frame = clips_frame(i)
        told = (event(8.0),) if i == 210 else (event(11.0),) if i == 300 else ()
        sink(Rendered(Result(frame, Instances.empty(("car",)), activity=Activity({}, {}, {}, {}, told)), frame.picture))
    sink.close()
    first, second = table(tmp_path / "a.clips")
    seen = [number for _, number in pictures(tmp_path / "a.clips" / first["clip"])]
    assert seen == [*range(seen[0], FRAMES), *range(seen[-1] + 1)], "on through the joint"
    assert seen[0] <= FRAMES - 25
    assert seen[-1] >= 24
    assert next(n for _, n in pictures(tmp_path / "a.clips" / second["clip"])) <= 50


def clips_frame(i):
    from streamseg.core.types import Frame

    return Frame(PICTURE, i, i, Fraction(1, 25), 1, epoch=i // FRAMES)


PICTURE = clips.picture(0)


def test_an_event_behind_a_jump_of_the_clock_has_no_clip_and_that_is_said(film, tmp_path):
    with Decoder(film) as decoder:
        sink = open_sink(tmp_path / "a.clips", decoder.info, source=str(film), clips=SHORT)
    sink.open()
    for i in (0, 1, FRAMES):
        frame = clips_frame(i)
        activity = Activity({}, {}, {}, {}, (event(frame.time),) if i else ())
        sink(Rendered(Result(frame, Instances.empty(("car",)), activity=activity), frame.picture))
    sink.close()
    rows = table(tmp_path / "a.clips")
    assert [bool(row["clip"]) for row in sorted(rows, key=lambda row: float(row["time"]))] == [True, False]
    assert any("1 events have no clip" in words for words in sink.warnings)


def test_a_film_without_times_has_no_clips_and_that_is_said(tmp_path):
    film = clips.raw_h264(tmp_path / "a.h264", 60)
    sink = run(film, tmp_path / "a.clips", [event(1.0)])
    assert [row["clip"] for row in table(tmp_path / "a.clips")] == [""]
    assert any("1 events have no clip" in words for words in sink.warnings)


def test_the_limit_of_bytes_is_kept_and_said(film, tmp_path):
    sink = run(film, tmp_path / "a.clips", [event(1.0), event(4.0), event(7.0)], options=replace(SHORT, limit=1))
    assert len(films(tmp_path / "a.clips")) == 1
    assert [bool(row["clip"]) for row in table(tmp_path / "a.clips")] == [True, False, False]
    assert any("2 clips are not written" in words for words in sink.warnings)


def test_clips_come_while_the_film_runs(film, tmp_path, monkeypatch):
    """A run that is killed leaves those before."""
    monkeypatch.setattr(module, "_LATE", 1.0)
    there = []
    real = module.ClipsSink._write

    def watched(self, result):
        real(self, result)
        there.append(len(films(self.path)))

    monkeypatch.setattr(module.ClipsSink, "_write", watched)
    run(film, tmp_path / "a.clips", [event(1.0), event(6.9)])
    assert there[-1] == 1
    assert len(films(tmp_path / "a.clips")) == 2
    assert not [p for p in (tmp_path / "a.clips").iterdir() if p.name.startswith(".")]


def test_names_of_any_characters_make_files(film, tmp_path):
    told = [Event("cross", 1.0, 1, "../CON:\n", "=1+1"), Event("cross", 4.0, 2, "Füße", "ü"), Event("cross", 7.0, 2, "", "")]
    run(film, tmp_path / "a.clips", told)
    rows = table(tmp_path / "a.clips")
    assert all((tmp_path / "a.clips" / row["clip"]).is_file() for row in rows)
    assert rows[0]["place"] == "'=1+1"
    assert rows[1]["clip"] == "00-00-04.0_cross_Füße#2.mp4"


@pytest.mark.parametrize(
    "info", [{"kind": "camera", "live": True}, {"kind": "images"}, {"kind": "pipe"}, {"kind": "network"}, {"kind": "frames"}]
)
def test_what_cannot_be_read_again_is_refused(info, tmp_path):
    with pytest.raises(OutputError, match="clips are cut out of films on this machine, and made is none"):
        open_sink(tmp_path / "a.clips", replace(INFO, **info)).open()


def test_clips_that_are_there_are_kept_unless_told(film, tmp_path):
    run(film, tmp_path / "a.clips", [event(1.0)])
    with pytest.raises(OutputExists, match=r"tables such as clips\.csv exist; pass --overwrite"):
        run(film, tmp_path / "a.clips", [event(1.0)])
    run(film, tmp_path / "a.clips", [event(1.0)], overwrite=True)
    assert len(films(tmp_path / "a.clips")) == 1


def test_a_full_disk_leaves_no_half_clip(film, tmp_path):
    with file_size_limit(3000), pytest.raises(OutputError, match="File too large"):
        run(film, tmp_path / "a.clips", [event(4.0)])
    assert [p.name for p in (tmp_path / "a.clips").iterdir()] == ["clips.csv"]


def test_a_source_that_is_gone_is_told(tmp_path):
    film = clips.cfr(tmp_path / "a.mp4", 60)
    with Decoder(film) as decoder:
        info = decoder.info
    sink = open_sink(tmp_path / "a.clips", info, source=str(film), clips=SHORT)
    sink.open()
    film.unlink()
    frame = clips_frame(1)
    sink(Rendered(Result(frame, Instances.empty(("car",)), activity=Activity({}, {}, {}, {}, (event(0.0),))), frame.picture))
    with pytest.raises(OutputError, match=r"a clip cannot be cut out of .*a\.mp4: .*No such file"):
        sink.close()
