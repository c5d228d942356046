"""Pictures become frames: times that a source gives late, colour tags that only the stream has."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.decode.color_tags import ColorTags
from streamseg.decode.framer import Framer
from streamseg.decode.header import Header
from streamseg.decode.picture import DecodedPicture
from streamseg.decode.timeline import DecodeCounters
from tests import clips

TB = Fraction(1, 90000)


def header(**changes: object) -> Header:
    known: dict[str, object] = {
        "name": "cam",
        "kind": "network",
        "live": True,
        "time_base": TB,
        "rate": Fraction(25),
        "duration": None,
        "frame_count": None,
        "tags": ColorTags(9, 1, 9, 16),
        "sample_aspect_ratio": None,
        "metadata": {},
        "streams": (),
        "container": "rtsp",
        "codec": "h264",
    }
    return Header(**(known | changes))  # type: ignore[arg-type]


def frames(times: list[int | None], broken: tuple[int, ...] = (), **changes: object) -> tuple[list[Frame], DecodeCounters]:
    counters = DecodeCounters()
    framer = Framer(header(**changes), 0, Fraction(0), None, counters, [])
    pictures = [DecodedPicture(clips.picture(i), t, TB, 3600, i in broken) for i, t in enumerate(times)]
    return list(framer.frames(pictures)), counters


def test_a_first_picture_without_pts_stands_one_step_before_the_next() -> None:
    """RTSP gives the first none; 0 may lie hours before the second."""
    got, counters = frames([None, 7200, 10800])
    assert [f.pts for f in got] == [3600, 7200, 10800]
    assert [f.synthetic_pts for f in got] == [True, False, False]
    assert counters.synthetic_pts == 1
    assert counters.non_monotonic == 0


def test_so_does_the_first_picture_after_a_reconnect() -> None:
    got, counters = frames([0, 3600, None, 900000, 903600], broken=(2,))
    assert [f.pts for f in got] == [0, 3600, 896400, 900000, 903600]
    assert [f.epoch for f in got] == [0, 0, 1, 1, 1]
    assert counters.gaps == 0


def test_without_any_pts_the_rate_must_do() -> None:
    got, counters = frames([None] * 4)
    assert [f.pts for f in got] == [0, 3600, 7200, 10800]
    assert counters.synthetic_pts == 4


def test_the_last_picture_is_not_lost_while_it_waits_for_a_next() -> None:
    assert len(frames([None])[0]) == 1
    assert len(frames([0, None], broken=(1,))[0]) == 2


def test_the_stream_s_tags_fill_in_only_what_is_unknown() -> None:
    picture = clips.picture(0)
    picture.colorspace = 1
    framer = Framer(header(), 0, Fraction(0), None, DecodeCounters(), [])
    frame = next(framer.frames([DecodedPicture(picture, 0, TB)]))
    assert ColorTags.of(frame.picture) == ColorTags(1, 1, 9, 16)


def test_pictures_are_turned_and_mirrored_as_asked_beyond_their_tag(tmp_path: Path) -> None:
    """Each of the eight ways, after the tag's own: as NumPy turns the picture that the tag gives."""
    for tagged in (0, 90):
        film = (
            clips.rotated(tmp_path / f"{tagged}.mp4", tagged, frames=1) if tagged else clips.cfr(tmp_path / "0.mp4", frames=1)
        )
        plain = luma(film)
        for rotate in (0, 90, 180, 270):
            for mirror in (False, True):
                wanted = np.rot90(plain, -rotate // 90)
                wanted = wanted[:, ::-1] if mirror else wanted
                assert np.array_equal(luma(film, rotate=rotate, mirror=mirror), wanted), (tagged, rotate, mirror)


def luma(film: Path, **how: object) -> np.ndarray:
    with Decoder(film, **how) as decoder:
        return clips.plane_array(next(iter(decoder.frames())).picture)
