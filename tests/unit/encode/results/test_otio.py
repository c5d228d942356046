"""OpenTimelineIO, read back by opentimelineio: the film, a marker and a clip a track, exact times."""

import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import opentimelineio as otio
import pytest

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.timecode import Timecode
from streamseg.core.types import Activity, Event, Frame, Instances
from streamseg.encode import open_sink
from streamseg.errors import MissingExtra, OutputExists
from tests import clips
from tests.unit.encode.helpers import INFO

NAMES = ("person", "car")
NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)
PICTURE = clips.picture(0)


def found(tracks: dict[int, int]) -> Instances:
    """track id → label."""
    n = len(tracks)
    return Instances(
        np.repeat(np.array([[10, 10, 40, 40]], np.float32), n, 0).reshape(n, 4),
        np.full(n, 0.8, np.float32),
        np.array(list(tracks.values()), np.int64),
        np.full((n, 1, 1), 255, np.uint8),
        NAMES,
        np.array(list(tracks), np.int64),
    )


def write(path, seen, *, rate=Fraction(25), pts=None, first=0, base=None, events=None, **info):
    """`seen`: of each frame, track id → label. The timeline as read back, and the sink."""
    base = base or 1 / rate
    about = replace(INFO, rate=rate, time_base=base, **info)
    sink = open_sink(path, about, source=info.get("source_path"))
    sink.open()
    for n, tracks in enumerate(seen):
        at = n if pts is None else pts[n]
        next_at = at + 1 if pts is None else (pts[n + 1] if n + 1 < len(pts) else at + (at - pts[n - 1]))
        frame = Frame(PICTURE, first + n, at, base, next_at - at)
        activity = Activity({}, {}, {}, {}, tuple((events or {}).get(n, ())))
        result = Result(frame, found(tracks), activity=activity)
        sink(Rendered(result, PICTURE))
    sink.close()
    return otio.adapters.read_from_file(str(path)), sink


def span(item) -> tuple[float, float]:
    return (item.start_time.value, item.duration.value)


def test_the_film_has_a_marker_a_track_and_a_clip_a_track(tmp_path):
    seen = [{}, {1: 0}, {1: 0, 2: 1}, {2: 1}, {2: 0}, {3: 0}]
    timeline, _ = write(tmp_path / "cuts.otio", seen, name="films/walk.mov")
    lowest, second, third = timeline.video_tracks()
    film = lowest[0]
    assert film.name == "walk.mov"
    assert span(film.source_range) == (0, 6)
    assert [(m.name, *span(m.marked_range), m.color) for m in film.markers] == [
        ("person#1", 1, 2, "CYAN"),
        ("car#2", 2, 3, "ORANGE"),
        ("person#3", 5, 1, "GREEN"),
    ]
    there = [
        [(c.name, *span(c.source_range), *span(c.range_in_parent())) for c in track.find_clips()] for track in (second, third)
    ]
    assert there == [[("person#1", 1, 2, 1, 2), ("person#3", 5, 1, 5, 1)], [("car#2", 2, 3, 2, 3)]]


def test_tracks_that_overlap_lie_one_above_the_other(tmp_path):
    timeline, _ = write(tmp_path / "cuts.otio", [{1: 0, 2: 1}, {1: 0, 2: 1}, {3: 0}])
    names = [[item.name for item in track if isinstance(item, otio.schema.Clip)] for track in timeline.video_tracks()[1:]]
    assert names == [["person#1", "person#3"], ["car#2"]]


def test_every_clip_lies_above_the_moment_that_it_shows(tmp_path):
    timeline, _ = write(tmp_path / "cuts.otio", [{}, {1: 0}, {}, {2: 1}, {}, {}], first=100, start=4.0)
    for track in timeline.video_tracks():
        for clip in track.find_clips():
            assert clip.range_in_parent().start_time.value == clip.source_range.start_time.value - 100


@pytest.mark.parametrize(
    ("rate", "code", "text"),
    [(NTSC, "00:59:59;28", "01:00:00;01"), (FILM, "01:00:00:23", "01:00:01:02"), (Fraction(25), "10:00:00:00", "10:00:00:03")],
)
def test_times_are_counted_from_the_timecode_at_the_exact_rate(rate, code, text, tmp_path):
    label = Timecode.parse(code, rate)
    timeline, sink = write(tmp_path / "cuts.otio", [{}, {}, {}, {1: 0}], rate=rate, timecode=label)
    marker = timeline.video_tracks()[0][0].markers[0]
    assert marker.marked_range.start_time.rate == float(rate)
    assert otio.opentime.to_timecode(marker.marked_range.start_time, float(rate), label.drop) == text
    assert otio.opentime.to_timecode(timeline.global_start_time, float(rate), label.drop) == code
    assert not sink.warnings


@pytest.mark.parametrize("rate", [NTSC, FILM, Fraction(60000, 1001)])
def test_an_hour_later_no_picture_is_lost(rate, tmp_path):
    hour = round(3600 * rate)
    timeline, sink = write(
        tmp_path / "cuts.otio", [{}, {1: 0}], rate=rate, pts=[0, round(hour / rate * 90000)], base=Fraction(1, 90000)
    )
    marker = timeline.video_tracks()[0][0].markers[0]
    assert marker.marked_range.start_time.value == hour
    assert not sink.warnings


def test_a_film_of_variable_rate_is_rounded_and_said(tmp_path):
    timeline, sink = write(tmp_path / "cuts.otio", [{}, {1: 0}, {1: 0}], pts=[0, 54, 108], base=Fraction(1, 1000))
    assert span(timeline.video_tracks()[0][0].markers[0].marked_range) == (1, 3)
    assert "rate varies: times are rounded to 25 pictures a second" in sink.warnings[0]
    assert timeline.metadata["streamseg"]["variable_rate"] is True


def test_without_a_rate_it_is_the_one_that_the_film_had(tmp_path):
    base = Fraction(1, 90000)
    sink = open_sink(tmp_path / "cuts.otio", replace(INFO, rate=None, time_base=base))
    sink.open()
    for n in range(5):
        sink(Rendered(Result(Frame(PICTURE, n, 3003 * n, base, 3003), found({1: 0})), PICTURE))
    sink.close()
    timeline = otio.adapters.read_from_file(str(tmp_path / "cuts.otio"))
    marker = timeline.video_tracks()[0][0].markers[0]
    assert (marker.marked_range.start_time.rate, marker.marked_range.duration.value) == (float(NTSC), 5)


def test_gaps_scores_and_the_class_most_voted_for_stand_in_the_metadata(tmp_path):
    timeline, _ = write(tmp_path / "cuts.otio", [{1: 0}, {}, {}, {1: 1}, {1: 1}])
    facts = timeline.video_tracks()[0][0].markers[0].metadata["streamseg"]
    assert (facts["class"], facts["frames"], facts["mean_score"]) == ("car", 3, 0.8)
    assert [list(gap) for gap in facts["gaps"]] == [[1, 2]]
    assert facts["longest_gap"] == pytest.approx(2 / 25)


def test_a_track_is_called_as_a_person_did(tmp_path):
    sink = open_sink(tmp_path / "cuts.otio", INFO)
    sink.open()
    named = replace(found({1: 0, 2: 1}), track_names={2: "the red one"})
    sink(Rendered(Result(Frame(PICTURE, 0, 0, Fraction(1, 25), 1), named), PICTURE))
    sink.close()
    timeline = otio.adapters.read_from_file(str(tmp_path / "cuts.otio"))
    assert [m.name for m in timeline.video_tracks()[0][0].markers] == ["person#1", "the red one"]
    assert {clip.name for track in timeline.video_tracks()[1:] for clip in track.find_clips()} == {"person#1", "the red one"}


def test_crossed_lines_and_zones_are_markers(tmp_path):
    events = {2: [Event("count", 0.04, 1, "person"), Event("cross", 0.04, 1, "person", "door", "in")]}
    timeline, _ = write(tmp_path / "cuts.otio", [{1: 0}, {1: 0}, {1: 0}], events=events)
    markers = timeline.video_tracks()[0][0].markers
    assert [(m.name, *span(m.marked_range)) for m in markers] == [("person#1", 0, 3), ("person#1: cross door in", 1, 1)]


def test_the_clip_leads_to_the_file_and_knows_all_of_it(tmp_path):
    film = tmp_path / "a film.mov"
    film.write_bytes(b"")
    sink = open_sink(tmp_path / "cuts.otio", replace(INFO, duration=40.0, start=4.0, name=str(film)), source=film)
    sink.open()
    for n in range(2):
        sink(Rendered(Result(Frame(PICTURE, 100 + n, 100 + n, Fraction(1, 25), 1), found({1: 0})), PICTURE))
    sink.close()
    clip = otio.adapters.read_from_file(str(tmp_path / "cuts.otio")).video_tracks()[0][0]
    assert clip.media_reference.target_url == film.as_uri()
    assert span(clip.media_reference.available_range) == (0, 1000)
    assert span(clip.source_range) == (100, 2)


def test_masks_without_a_track_are_counted_and_an_existing_file_is_kept(tmp_path):
    _, sink = write(tmp_path / "cuts.otio", [{0: 0}])
    assert "1 masks that belong to no track yet are left out" in sink.warnings[0]
    with pytest.raises(OutputExists):
        open_sink(tmp_path / "cuts.otio", INFO).open()


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(MissingExtra, match=r"opentimelineio is not installed; run: pip install .*edit"):
        open_sink(tmp_path / "cuts.otio", INFO).open()
