"""Background: a picture or a video behind the objects, in the film's colours and at the film's times."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamseg.composite import Background, Compositor, to_image
from streamseg.composite.backdrop import Backdrop
from streamseg.errors import ConfigError, NoVideo, SourceNotFound, StreamsegError, Unreadable
from streamseg.pixels import planes
from streamseg.pixels.color import drawing_codes, encoding
from tests.unit.pictures import codes, instances, noise, result

BOX = [60.0, 40.0, 100.0, 80.0]
COLOR = (180, 90, 40)


def still(path: Path, rgb=COLOR, size=(64, 48), alpha: int | None = None) -> Path:
    picture = np.full((size[1], size[0], 3), rgb[::-1], np.uint8)
    if alpha is not None:
        picture = np.dstack([picture, np.full(picture.shape[:2], alpha, np.uint8)])
    cv2.imwrite(str(path), picture)
    return path


def video(path: Path, times: list[float], size=(64, 48), last: float = 0.1) -> Path:
    """Frame n is grey, of luma 20 + 10 n, lossless, shown from times[n] on."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for n, time in enumerate(times):
            picture = av.VideoFrame(*size, "yuv420p")
            luma, *chroma = planes.views(picture).planes
            luma.array[...] = 20 + 10 * n
            for plane in chroma:
                plane.array[...] = 128
            picture.pts, picture.time_base = round(1000 * time), Fraction(1, 1000)
            picture.duration = round(1000 * ((times[n + 1] if n + 1 < len(times) else time + last) - time))
            for packet in stream.encode(picture):
                packet.duration = picture.duration
                container.mux(packet)
        container.mux(stream.encode())
    return path


def draw(effect, fmt="yuv420p", size=(160, 120), trc=1, matrix=1, full=False, time=0.0, order=None) -> av.VideoFrame:
    picture = noise(fmt, *size)
    picture.color_trc, picture.colorspace, picture.color_range = trc, matrix, 2 if full else 1
    if trc != 1:
        picture.color_primaries = 9
    seen = result(picture, instances([BOX]))
    frame = replace(seen.frame, pts=round(time * 90000), field_order=order)
    return Compositor(effect)(replace(seen, frame=frame)).picture


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p10le", "p010le", "yuv444p", "gbrp", "rgb24", "yuva420p"])
def test_a_picture_has_its_colours_in_every_encoding(tmp_path, fmt, matrix, full) -> None:
    drawn = draw(Background(source=str(still(tmp_path / "a.png"))), fmt, matrix=matrix, full=full)
    expected = drawing_codes(COLOR, encoding(drawn))
    for array, spec in planes.views(drawn).planes:
        for place, component in enumerate(spec.components):
            sample = array[2, 2] if array.ndim == 2 else array[2, 2, place]
            wanted = expected[component] if component < 3 else 2 ** encoding(drawn).depth - 1
            assert int(sample) >> planes.views(drawn).layout.lsb == pytest.approx(wanted, abs=1.6)


@pytest.mark.parametrize("trc", [16, 18])
def test_in_hdr_its_white_is_reference_white(tmp_path, trc) -> None:
    for rgb in ((255, 255, 255), COLOR, (0, 0, 0)):
        drawn = draw(Background(source=str(still(tmp_path / "a.png", rgb))), "yuv420p10le", trc=trc, matrix=9)
        expected = drawing_codes(rgb, encoding(drawn))
        made = [int(array[2, 2]) for array, _ in planes.views(drawn).planes]
        np.testing.assert_allclose(made, expected, atol=4)


def test_hdr_behind_sdr_is_clipped_at_white_and_keeps_its_greys(tmp_path) -> None:
    path, of = tmp_path / "pq.mkv", None
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        picture = noise("yuv420p10le", 64, 48)
        for target in (picture, stream.codec_context):
            target.color_trc, target.color_primaries, target.colorspace, target.color_range = 16, 9, 9, 1
        of = encoding(picture)
        for array, spec in planes.views(picture).planes:
            array[...] = round(drawing_codes((128, 128, 128), of)[spec.components[0]])
            array[:, array.shape[1] // 2 :] = round(of.from_rgb(np.ones(3))[spec.components[0]])  # 10,000 nits
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    shown = to_image(draw(Background(source=str(path), fit="stretch")))
    assert np.abs(shown[5, 10].astype(int) - 128).max() <= 3
    assert shown[5, 150].min() >= 253


def test_cover_cuts_contain_has_bars_stretch_deforms(tmp_path) -> None:
    path = tmp_path / "a.png"
    picture = np.zeros((100, 400, 3), np.uint8)
    picture[:, 100:300] = 255  # the middle half is white
    cv2.imwrite(str(path), picture)
    shown = {
        fit: to_image(draw(Background(source=str(path), fit=fit, color="red"), "yuv444p"))[:, :, 1]
        for fit in ("cover", "contain", "stretch")
    }
    assert shown["cover"][5].min() > 250, "4:1 into 4:3: a third of the width is left, all white"
    contained = to_image(draw(Background(source=str(path), fit="contain", color="red"), "yuv444p"))
    assert (contained[5, 80, 0] > 250) & (contained[5, 80, 1] < 5), "a bar"
    assert contained[110, 5, 0] > 250
    assert contained[100 - 41 + 2, 2].max() < 5, "40 rows of picture, black at the left"
    assert (shown["stretch"][5, [20, 80, 150]] > 128).tolist() == [False, True, False]


@pytest.mark.parametrize("size", [(160, 120), (161, 119), (97, 200), (300, 97)])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("fit", ["cover", "contain", "stretch"])
def test_the_middle_of_the_picture_is_in_the_middle(tmp_path, fit, fmt, size) -> None:
    """A dot, a little above and left of the middle where it is scaled up: within a chroma sample of where it belongs."""
    path = tmp_path / "a.png"
    picture = np.zeros((90, 110, 3), np.uint8)
    picture[43:47, 53:57] = 255
    cv2.imwrite(str(path), picture)
    seen = noise(fmt, *size)
    seen.color_range = 2
    drawn = Compositor(Background(source=str(path), fit=fit))(result(seen, instances([]))).picture
    luma = codes(drawn)[0].astype(float)
    y, x = np.indices(luma.shape) + 0.5
    assert (luma * x).sum() / luma.sum() == pytest.approx(size[0] / 2, abs=1.1)
    assert (luma * y).sum() / luma.sum() == pytest.approx(size[1] / 2, abs=1.1)


@pytest.mark.parametrize("order", [None, "tff"])
@pytest.mark.parametrize("size", [(161, 119), (160, 120), (97, 200)])
@pytest.mark.parametrize("fmt", ["yuv420p", "nv12", "yuv422p10le", "rgb24", "gray"])
@pytest.mark.parametrize("fit", ["cover", "contain", "stretch"])
def test_every_size_and_layout_is_filled(tmp_path, fit, fmt, size, order) -> None:
    path = still(tmp_path / "a.png", (128, 128, 128), (37, 53))
    effect = Background(source=str(path), fit=fit, color="grey")
    drawn = draw(effect, fmt, size, order=order, full=True)
    shown = to_image(drawn, interlaced=order is not None)
    assert np.abs(shown[:30].astype(int) - 128).max() <= 2
    assert np.abs(shown[90:].astype(int) - 128).max() <= 2


def test_a_transparent_picture_lies_over_the_film(tmp_path) -> None:
    before = codes(noise("yuv420p", 160, 120))[0]
    gone = draw(Background(source=str(still(tmp_path / "a.png", alpha=0)), decontaminate=False))
    np.testing.assert_array_equal(codes(gone)[0], before)
    half = draw(Background(source=str(still(tmp_path / "b.png", (0, 0, 0), alpha=128))))
    assert codes(half)[0][2, 2] == pytest.approx(16 * 128 / 255 + before[2, 2] * 127 / 255, abs=1)


def test_transparent_pixels_give_no_colour_to_their_neighbours(tmp_path) -> None:
    path = tmp_path / "a.png"
    picture = np.zeros((100, 100, 4), np.uint8)
    picture[:, 50:] = 255  # opaque white beside transparent black
    cv2.imwrite(str(path), picture)
    seen = noise("gray", 300, 300)
    planes.views(seen).planes[0].array[...] = 255
    seen.color_range = 2
    drawn = Compositor(Background(source=str(path)), keep_grey=True)(result(seen, instances([]))).picture
    assert codes(drawn)[0].min() >= 253


def test_a_video_is_shown_at_its_own_times_and_loops(tmp_path) -> None:
    """Times of its own, unevenly far apart; the last picture lasts 0.3 s: the lap is 1.0 s."""
    times = [0.0, 0.1, 0.15, 0.5, 0.7]
    path = video(tmp_path / "a.mkv", times, last=0.3)
    behind = Backdrop(str(path))
    for at in np.arange(0, 3.4, 0.0333):
        within = at % behind_length(times, 0.3)
        expected = sum(within >= time - 1e-9 for time in times) - 1
        shown = planes.views(behind.at(float(at)).picture).planes[0].array[0, 0]
        assert shown == 20 + 10 * expected, at
    behind.close()


def behind_length(times: list[float], last: float) -> float:
    return times[-1] + last


def test_a_video_that_does_not_loop_holds_its_last_picture(tmp_path) -> None:
    path = video(tmp_path / "a.mkv", [0.0, 0.1, 0.2])
    behind = Backdrop(str(path), loop=False)
    assert [planes.views(behind.at(t).picture).planes[0].array[0, 0] for t in (0.0, 0.25, 9.0)] == [20, 40, 40]
    assert planes.views(behind.at(0.1).picture).planes[0].array[0, 0] == 30, "back in time"
    behind.close()


def test_a_film_that_begins_late_shows_what_belongs_there(tmp_path) -> None:
    """What is drawn at a time does not depend on where a run began: parts that are rendered one by one fit together."""
    effect = Background(source=str(video(tmp_path / "a.mkv", [0.0, 0.1, 0.2, 0.3])))
    compositor, seen = Compositor(effect), result(noise("yuv420p", 160, 120), instances([BOX]))
    whole = []
    for n in range(40):
        frame = replace(seen.frame, pts=n * 3003)
        whole.append(codes(compositor(replace(seen, frame=frame)).picture)[0][2, 2])
    compositor.close()
    for n in (0, 7, 30, 39):
        assert codes(draw(effect, time=n * 3003 / 90000))[0][2, 2] == whole[n]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda folder: folder / "gone.png", SourceNotFound, "background.*gone.png"),
        (
            lambda folder: (folder / "text.mp4", (folder / "text.mp4").write_text("no video"))[0],
            Unreadable,
            "background.*text.mp4",
        ),
        (lambda folder: sound(folder / "a.wav"), NoVideo, "background.*a.wav"),
        (lambda folder: (folder / "empty.png", (folder / "empty.png").touch())[0], StreamsegError, "background.*empty.png"),
        (lambda folder: "-", ConfigError, "background.*again.*name a file"),
        (lambda folder: "rtsp://localhost/camera", ConfigError, "background.*again.*name a file"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_the_run(tmp_path, make, error, message) -> None:
    effect = Background(source=str(make(tmp_path)))
    for refuse in (effect.check, lambda: Compositor(effect)):
        with pytest.raises(error, match=message):
            refuse()


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    return path


def test_files_are_closed_with_the_compositor(tmp_path) -> None:
    import os

    path = video(tmp_path / "a.mkv", [0.0, 0.1])
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else None
    for _ in range(5):
        compositor = Compositor(Background(source=str(path)))
        compositor(result(noise("yuv420p", 160, 120), instances([BOX])))
        compositor.close()
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before
