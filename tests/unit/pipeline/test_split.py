"""A file for each track or class: as long as the film, at its exact times, and named so that every system holds it."""

from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamseg.composite import Alpha, Compositor, Matte
from streamseg.config import parse_pipeline
from streamseg.config.schema import EncodeConfig
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.encode import open_sink
from streamseg.errors import OutputExists
from streamseg.pipeline import opening, split
from streamseg.pipeline.outputs import Target, plan
from streamseg.pipeline.split import SplitSink
from streamseg.system.file_names import FileNames, file_name
from tests.unit.encode.helpers import INFO
from tests.unit.pictures import NAMES, instances, noise

BOXES = [[8.0, 8.0, 40.0, 56.0], [48.0, 8.0, 88.0, 56.0]]
"""Of a person, track 1, and a car, track 2."""
TIMES = [0, 40, 80, 240, 250, 260, 900]
SEEN = [[], [0], [0], [0, 1], [1], [], [1]]
"""Which of these each frame shows."""
TICK = Fraction(1, 1000)


def film(seen=SEEN, width=96, height=64, form="yuv420p"):
    found = instances(BOXES)
    ends = [*TIMES[1:], 1000]
    for index, (pts, rows) in enumerate(zip(TIMES, seen, strict=False)):
        picture = noise(form, width, height, index)
        picture.pts, picture.time_base = pts, TICK
        yield Result(Frame(picture, index, pts, TICK, ends[index] - pts), found[np.array(rows, np.int64)])


def run(path, effects=(), seen=SEEN, overwrite=False, results=None, **options):
    info = replace(INFO, time_base=TICK, rate=None)
    make = partial(open_sink, info=info, overwrite=overwrite, threads=1, **options)
    sink = SplitSink(str(path), make, video="%" not in str(path), overwrite=overwrite)
    sink.open()
    sink.prepare(Compositor(effects or [Matte()]), NAMES)
    for result in film(seen) if results is None else results:
        sink(Compositor()(result))
    sink.close()
    return sink


def read(path, form="gray"):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [*container.decode(stream)]
        return [round(p.pts * stream.time_base / TICK) for p in pictures], [
            p.to_ndarray(threads=1, format=form) for p in pictures
        ]


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "ffv1"), ("mov", "prores"), ("mp4", "h264")])
def test_each_is_as_long_as_the_film_and_at_its_times(suffix, codec, tmp_path):
    sink = run(tmp_path / f"{{class}}-{{track}}.{suffix}", codec=codec)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"car-2.{suffix}", f"person-1.{suffix}"]
    for name, row in (("person-1", 0), ("car-2", 1)):
        times, pictures = read(tmp_path / f"{name}.{suffix}")
        assert times == TIMES
        for picture, rows in zip(pictures, SEEN, strict=True):
            assert picture[32, int(BOXES[row][0]) + 16] > 250 if row in rows else picture.max() < 4
            assert picture[32, int(BOXES[1 - row][0]) + 16] < 4, "nothing of the other"
    assert [(r.name, Path(r.path).name, r.frames) for r in sink.reports("matte")] == [
        ("matte person#1", f"person-1.{suffix}", 7),
        ("matte car#2", f"car-2.{suffix}", 7),
    ]


def test_images_each_in_a_folder(tmp_path):
    run(tmp_path / "{class}" / "{track}" / "%03d.png", [Matte(bits=16)])
    for name, row in (("person/1", 0), ("car/2", 1)):
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == [f"{n:03d}.png" for n in range(7)]
        for index, rows in enumerate(SEEN):
            picture = cv2.imread(str(tmp_path / name / f"{index:03d}.png"), cv2.IMREAD_UNCHANGED)
            assert (picture.shape, picture.dtype, picture.max()) == ((64, 96), np.uint16, 65535 if row in rows else 0)


def test_one_for_each_class_holds_all_of_it(tmp_path):
    found = instances(BOXES)
    found = replace(found, labels=np.array([1, 1], np.int64))
    results = [replace(result, instances=found) for result in film(SEEN[:2])]
    run(tmp_path / "{class}.mkv", results=results, codec="ffv1")
    assert [path.name for path in tmp_path.iterdir()] == ["car.mkv"]
    for picture in read(tmp_path / "car.mkv")[1]:
        assert picture[32, 24] == picture[32, 68] == 255


def test_what_is_not_seen_is_transparent(tmp_path):
    run(tmp_path / "{track}.mkv", [Alpha()], alpha=True)
    _, pictures = read(tmp_path / "2.mkv", "rgba")
    assert [int(picture[..., 3].max()) for picture in pictures] == [255 if 1 in rows else 0 for rows in SEEN]


def test_an_hour_without_the_object_is_encoded_once(tmp_path, monkeypatch):
    """Seen: 90000 black pictures of 1080p before a late track took minutes, in which the film waited."""
    from streamseg.encode.images.sequence import ImageSink
    from streamseg.encode.video.encoder import Encoder

    sent: list[int] = []
    encode, send = ImageSink._encode, Encoder._send
    monkeypatch.setattr(ImageSink, "_encode", lambda self, *a: sent.append(1) or encode(self, *a))
    monkeypatch.setattr(Encoder, "_send", lambda self, *a: sent.append(1) or send(self, *a))
    late = [[]] * 6 + [[0]]
    run(tmp_path / "{track}" / "%03d.png", seen=late)
    assert len(sent) == 2
    sent.clear()
    run(tmp_path / "{track}.mkv", seen=late, codec="ffv1")
    assert len(sent) == 3
    times, pictures = read(tmp_path / "1.mkv")
    assert times == TIMES
    assert [int(picture.max()) for picture in pictures] == [0] * 6 + [255]


def test_an_empty_film_says_so_and_writes_none(tmp_path):
    sink = run(tmp_path / "{track}.mkv", seen=[[]] * 7)
    assert not [*tmp_path.iterdir()]
    assert sink.warnings == [f"{tmp_path}/{{track}}.mkv: nothing was found, so there is no file"]


def test_what_has_no_identity_yet_is_in_no_file_and_said(tmp_path):
    results = [replace(r, instances=replace(r.instances, track_ids=np.zeros(len(r), np.int64))) for r in film()]
    assert run(tmp_path / "{class}.mkv", results=results).warnings == []
    sink = run(tmp_path / "{track}.mkv", results=results)
    assert sink.warnings[-1].endswith("6 masks that belong to no track yet are in no file")


def test_more_than_can_be_open_are_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(split, "_MOST_VIDEOS", 1)
    monkeypatch.setattr(split, "_LEAST_VIDEOS", 1)
    sink = run(tmp_path / "{track}.mkv")
    assert [path.name for path in tmp_path.iterdir()] == ["1.mkv"]
    assert "1 of 2 have no file, since 1 can be written at a time: car#2; write these in another run" in sink.warnings[0]


@pytest.mark.parametrize("path", ["{track}.mkv", "{class}/{track}/%03d.png"])
def test_what_an_earlier_run_wrote_is_not_replaced_unasked(path, tmp_path):
    run(tmp_path / path)
    with pytest.raises(OutputExists, match=r"exists; pass --overwrite or choose another folder"):
        run(tmp_path / path)
    sink = run(tmp_path / path, seen=[[0]] * 7, overwrite=True)
    assert any("1 files of an earlier run are still there" in words for words in sink.warnings) == ("%" not in path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b\\c", "a_b_c"), ("..", "_"), ("", "_"), ("CON", "_CON"), ("com1.x", "_com1.x"), ("50%d {a}", "50_d _a_"),
        ("end. ", "end"), ("Jörg", "Jörg"), ("Jo\u0308rg", "Jörg"), ("-x", "_-x"), ("a\x00\n\u202eb", "a___b"),
        ("x" * 300, "x" * 120), ("日本", "日本"), (".hidden", "_.hidden"), ("traffic light", "traffic light"),
    ],
)  # fmt: skip
def test_names_that_every_system_holds(text, name, tmp_path):
    assert file_name(text) == name
    (tmp_path / f"{file_name(text)}.mkv").touch()


def test_no_two_names_are_one_file():
    names = FileNames()
    assert [names(text, other) for text, other in (("Anna", "3"), ("anna", "7"), ("ANNA", "7"), ("a/b", "1"), ("a:b", "2"))] == [
        "Anna", "anna-7", "ANNA-7-2", "a_b", "a_b-2",
    ]  # fmt: skip


def test_alone_after_o_it_means_mattes_and_by_name_what_the_pipeline_says():
    outputs = parse_pipeline(
        "outputs: {picture: {path: '{out}', composite: [blur]}, cut: {path: '{stem}.{track}.mov', composite: [alpha]}}",
        "x.yaml",
    ).outputs
    targets = plan(outputs, ["a.mp4", "m/{class}/{track}.mkv", "{track}.jsonl"], "film.mov")
    assert [(t.path, [step.name for step in t.composite]) for t in targets] == [
        ("a.mp4", ["blur"]),
        ("a.{track}.mov", ["alpha"]),
        ("m/{class}/{track}.mkv", ["matte"]),
        ("{track}.jsonl", []),
    ]


def test_results_of_each_track_are_lines_of_their_own(tmp_path):
    run(tmp_path / "{track}.jsonl")
    assert (tmp_path / "2.jsonl").read_text().count('"car"') >= 3
    assert '"person"' not in (tmp_path / "2.jsonl").read_text().replace('["person", "car", "dog"]', "").replace(
        '["person","car","dog"]', ""
    )


def test_names_that_a_person_gave(tmp_path):
    names = {1: "Anna/Maria", 2: "anna_maria"}
    results = [replace(r, instances=replace(r.instances, track_names=names)) for r in film()]
    sink = run(tmp_path / "{class}" / "{track}.mkv", results=results)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")) == [
        "car/anna_maria-2.mkv",
        "person/Anna_Maria.mkv",
    ]
    assert [report.name for report in sink.reports("matte")] == ["matte Anna/Maria", "matte anna_maria"]


@pytest.mark.parametrize(
    ("path", "codec", "meant"),
    [
        ("{track}.mkv", "auto", "ffv1"),
        ("{track}.mov", "auto", "prores"),
        ("{track}.mp4", "auto", "auto"),
        ("{track}.webm", "auto", "auto"),
        ("{track}.mkv", "hevc", "hevc"),
        ("all.mkv", "auto", "auto"),
        ("{track}/%d.png", "auto", "auto"),
    ],
)
def test_what_auto_means_for_a_file_for_each_track(path, codec, meant):
    assert opening._codec(Target("matte", path, (), EncodeConfig(codec=codec))) == meant
