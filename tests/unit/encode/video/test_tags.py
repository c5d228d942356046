"""Metadata and other videos: kept where there is a place for them, else said."""

from dataclasses import replace
from fractions import Fraction

import av
import pytest

from streamseg.encode import open_sink
from tests import clips
from tests.unit.encode.helpers import INFO, copy, frames, rendered

PHONE = {
    "creation_time": "2024-05-06T07:08:09.000000Z",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.location.ISO6709": "+52.5200+013.4050+034.000/",
}
SONG = {"title": "T", "artist": "A", "comment": "Größe", "location": "+52.5200+013.4050/"}
CAMERA = {"make": "Canon", "firmware": "HD6.01"}
LOST = {".avi": {"creation_time", *PHONE, "location", *CAMERA}, ".ts": {*PHONE, *SONG, *CAMERA}}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts"])
@pytest.mark.parametrize("told", [PHONE, SONG, CAMERA], ids=["phone", "song", "camera"])
def test_metadata_is_kept_or_named(told, suffix, tmp_path):
    sink = open_sink(tmp_path / f"out{suffix}", replace(INFO, metadata=told))
    sink.open()
    for frame in frames([clips.picture(i) for i in range(5)]):
        sink(rendered(frame))
    sink.close()
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    lost = [key for key in told if key in LOST.get(suffix, ())]
    assert {key: found.get(key.lower()) for key in told if key not in lost} == {k: v for k, v in told.items() if k not in lost}
    said = [warning.split(": ")[-1] for warning in sink.warnings]
    assert said == ([", ".join(lost)] if lost else [])


def test_another_video_is_named(tmp_path):
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height = 96, 64
        streams[0].metadata.update({"language": "ger", "title": "vorne"})
        for number in range(3):
            for stream in streams:
                frame = clips.picture(number)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
    (said,) = copy(source, tmp_path / "o.mkv").warnings
    assert said.endswith("video stream 1 (ffv1) is left out: one video is processed")
    with av.open(str(tmp_path / "o.mkv")) as container:
        assert {k: container.streams.video[0].metadata.get(k) for k in ("language", "title")} == {
            "language": "ger",
            "title": "vorne",
        }
