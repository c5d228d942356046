"""A program's own pictures as a source: times, colours, errors, and what becomes of the iterator."""

import gc
import itertools
import queue
import threading
import time
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest

import streamseg
from streamseg.decode import open_source
from streamseg.decode.arrays import TICK
from streamseg.errors import NoVideo, SourceError, SourceNotFound, StreamsegError, TooLarge
from tests import clips

H, W = 64, 96


def picture(i=0, size=(H, W)):
    """RGB, another one for each `i`."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([(x + 7 * i) % 256, (2 * y) % 256, (x + y + 40 * i) % 256], axis=-1).astype(np.uint8)


def frames_of(source, **options):
    with open_source(source, **options) as decoder:
        return list(decoder.frames()), decoder


@pytest.mark.parametrize("kind", ["list", "generator", "array", "own iterable"])
def test_any_iterable_is_a_source(kind, known):
    pictures = [picture(i) for i in range(5)]

    class Own:
        def __iter__(self):
            return iter(pictures)

    source = {"list": pictures, "generator": (p for p in pictures), "array": np.stack(pictures), "own iterable": Own()}[kind]
    results = list(streamseg.stream(source, model=known, rate=30))
    assert [r.frame.index for r in results] == list(range(5))
    assert [r.time for r in results] == pytest.approx([i / 30 for i in range(5)])
    assert all(np.array_equal(r.image(), p) for r, p in zip(results, pictures, strict=True))
    assert {r.frame.duration * r.frame.time_base for r in results} == {Fraction(1, 30)}


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (picture(3), "rgb24"),
        (picture(3)[..., 0], "gray"),
        (picture(3)[..., :1], "gray"),
        (np.dstack([picture(3), picture(5)[..., 0]]), "rgba"),
    ],
    ids=["rgb", "grey", "grey with an axis", "rgba"],
)
def test_planes_and_colours_are_the_arrays(array, name):
    (frame,), decoder = frames_of([array[:, ::-1]])  # no contiguous memory
    assert frame.picture.format.name == name
    assert np.array_equal(frame.picture.to_ndarray(), np.squeeze(array)[:, ::-1])
    tags = {"space": "unspecified" if name == "gray" else "gbr", "range": "full", "primaries": "bt709", "transfer": "srgb"}
    assert decoder.info.color.names == tags
    assert (decoder.info.width, decoder.info.height, decoder.info.live, decoder.info.kind) == (W, H, False, "frames")
    assert decoder.info.frame_count == 1


def test_a_buffer_may_be_used_again(known):
    buffer = np.zeros((H, W, 3), np.uint8)

    def camera():
        for i in range(6):
            buffer[:] = picture(i)
            yield buffer

    def of_pyav():
        for i in range(6):
            buffer[:] = picture(i)
            yield av.VideoFrame.from_numpy_buffer(buffer, "rgb24")

    for source in (camera(), of_pyav()):
        results = list(streamseg.stream(source, model=known))
        assert all(np.array_equal(r.image(), picture(i)) for i, r in enumerate(results))
        assert len(results) == 6


def test_pairs_have_their_own_times(known, tmp_path):
    times = [10.0, 10.04, np.float32(10.5), Fraction(1001 * 260, 24000), 11]
    results = list(streamseg.stream(zip(map(picture, range(5)), times, strict=True), model=known))
    assert [r.time for r in results] == pytest.approx([float(t) for t in times], abs=2e-6)
    assert results[3].frame.pts * TICK == times[3], "a picture of 23.976 a second has a whole number of ticks"
    assert not any(r.frame.synthetic_pts for r in results)
    out = tmp_path / "o.mp4"
    streamseg.run(zip(map(picture, range(5)), times, strict=True), out, model=known, pipeline={})
    assert [f.time for f in clips.decoded(out)] == pytest.approx([float(t) - 10 for t in times], abs=1e-3)


def test_pictures_of_pyav_keep_times_planes_and_tags(tmp_path, known):
    path = clips.vfr(tmp_path / "a.mp4")
    expected, _ = frames_of(path)
    with av.open(str(path)) as container:
        given = [f for f in container.decode(video=0)]  # noqa: C416 - all of them, as a list
        tags = [(f.colorspace, f.color_range) for f in given]
        found, _ = frames_of(iter(given))
        assert [(f.colorspace, f.color_range) for f in given] == tags, "the caller's pictures are as they were"
    assert [(f.pts, f.time_base) for f in found] == [(f.pts, f.time_base) for f in expected]
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a.picture.to_ndarray(), b.picture.to_ndarray())


def test_pictures_of_pyav_without_times_come_at_the_rate():
    found, _ = frames_of([av.VideoFrame.from_ndarray(picture(i), "rgb24") for i in range(3)], rate=50)
    assert [f.time for f in found] == [0, 0.02, 0.04]


def test_without_a_rate_it_is_said_which_is_taken(tmp_path, known):
    report = streamseg.run([picture(i) for i in range(3)], tmp_path / "o.mp4", model=known, pipeline={})
    assert any("no times of their own; 25 frames a second are taken (rate says other)" in w for w in report.warnings)
    assert report.source == "frames"
    report = streamseg.run([picture(i) for i in range(3)], tmp_path / "p.mp4", model=known, pipeline={}, rate=50)
    assert report.warnings == ()
    assert [f.time for f in clips.decoded(tmp_path / "p.mp4")] == pytest.approx([0, 0.02, 0.04])


def test_arrays_are_written_as_the_same_images_are(tmp_path, known):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        with av.open(str(folder / f"{i}.png"), "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("png", 25, width=W, height=H, pix_fmt="rgb24")
            container.mux([*stream.encode(av.VideoFrame.from_ndarray(picture(i), "rgb24")), *stream.encode(None)])
    nothing = {"outputs": {"picture": {"path": "{out}"}}}
    for source, name in ((folder, "images"), ([picture(i) for i in range(3)], "arrays")):
        for suffix in (".mp4", ".mkv"):
            options = {"codec": "ffv1"} if suffix == ".mkv" else {}
            streamseg.run(source, tmp_path / f"{name}{suffix}", model=known, pipeline=nothing, rate=25, **options)
    for suffix, kind in ((".mp4", "yuv420p"), (".mkv", "rgb24")):
        images, arrays = (clips.decoded(tmp_path / f"{name}{suffix}") for name in ("images", "arrays"))
        same = [
            np.array_equal(*(f.to_ndarray(format=kind, threads=1) for f in pair)) for pair in zip(images, arrays, strict=True)
        ]
        assert same == [True] * 3
        assert arrays[0].color_trc == 13
    assert all(np.array_equal(f.to_ndarray(format="rgb24", threads=1), picture(i)) for i, f in enumerate(arrays)), (
        "ffv1 keeps RGB"
    )


def test_a_folder_gets_a_film_of_that_name(tmp_path, known):
    streamseg.run([picture()], f"{tmp_path}/out/", model=known, pipeline="drive", rate=5)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["frames.mp4"]


def test_start_and_end_are_times():
    for source in ([picture(i) for i in range(20)], [(picture(i), i / 10) for i in range(20)]):
        found, _ = frames_of(source, rate=10, start=0.5, duration=0.4)
        assert [f.index for f in found] == [5, 6, 7, 8]
        assert [f.time for f in found] == pytest.approx([0.5, 0.6, 0.7, 0.8])


def test_another_size_begins_an_epoch(known):
    sizes = [(H, W), (H, W), (32, 48), (H, W)]
    results = list(streamseg.stream((picture(i, s) for i, s in enumerate(sizes)), model=known, rate=10))
    assert [(r.frame.height, r.frame.width) for r in results] == sizes
    assert [r.frame.epoch for r in results] == [0, 0, 1, 2]


def test_a_clock_that_goes_back_begins_an_epoch():
    found, _ = frames_of([(picture(i), t) for i, t in enumerate((5, 5.1, 0, 0.1))])
    assert [f.epoch for f in found] == [0, 0, 1, 1]
    assert all(a.pts < b.pts for a, b in itertools.pairwise(found))


# --- what is wrong is said plainly -------------------------------------------------------------------------------------------

GOOD = picture()
WRONG = {
    "floats": (GOOD / 255, "an array (ndarray of float64, [64, 96, 3]) is no picture; a picture is uint8"),
    "what to do with floats": (GOOD / np.float32(255), "(255 * a).round().astype(numpy.uint8)"),
    "16 bits": (GOOD.astype(np.uint16), "(a >> 8).astype(numpy.uint8)"),
    "channels first": (GOOD.transpose(2, 0, 1), "channels stand last: a.transpose(1, 2, 0)"),
    "two channels": (GOOD[..., :2], "[64, 96, 2]) is no picture"),
    "a batch": (GOOD[None], "[1, 64, 96, 3]) is no picture"),
    "no pixels": (GOOD[:0], "[0, 96, 3]) has no pixels"),
    "text": ("a.png", "'a.png' is no picture"),
    "nothing": (None, "None is no picture"),
    "a list": (GOOD.tolist(), "a list of 64 items is no picture"),
    "a time for the later ones only": ((GOOD, 1.0), "comes with a time, and the first one did not"),
    "no time": ((GOOD, None), "its time is None; a number of seconds is needed"),
    "no number": ((GOOD, float("nan")), "its time is nan"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_picture_is_named_with_its_number(case, known):
    value, words = WRONG[case]
    results = streamseg.stream([GOOD, GOOD, value], model=known, rate=5)
    taken = []
    with pytest.raises(SourceError) as raised:
        taken.extend(results)
    assert str(raised.value).startswith("frame 2: ")
    assert words in str(raised.value)
    assert len(taken) <= 2
    with pytest.raises(SourceError, match="frame 0: ") if not isinstance(value, tuple) else pytest.raises(StreamsegError):
        frames_of([value, 3])


def test_a_picture_without_a_time_among_those_with_one():
    with pytest.raises(SourceError, match="frame 1: comes without a time, and the first one did not"):
        frames_of([(GOOD, 0), GOOD])


def test_too_many_pixels_and_none_at_all():
    with pytest.raises(TooLarge, match=r"frame 1: a picture of 96x64 exceeds the limit of 3000 pixels"):
        frames_of([picture(0, (32, 48)), GOOD], max_pixels=3000)
    with pytest.raises(NoVideo, match="frames: there is none"):
        frames_of([])
    with pytest.raises(NoVideo, match="nothing from 5 s on"):
        frames_of([GOOD], start=5)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (GOOD, "it is one picture: give a list of pictures"),
        (GOOD[..., 0], "it is one picture: give a list of pictures"),
        ({"a": GOOD}, "not a dict of 1 items"),
        (b"\0\0\0 ftyp" * 9, "not 72 bytes (bytes)"),
    ],
    ids=["a picture", "a grey picture", "a dict", "bytes"],
)
def test_what_gives_no_pictures_is_no_source(value, words):
    with pytest.raises(SourceNotFound) as raised:
        next(streamseg.stream(value))
    assert words in str(raised.value)


def test_a_file_that_is_open_is_no_source(tmp_path):
    clips.cfr(tmp_path / "a.mp4", 1)
    with (tmp_path / "a.mp4").open("rb") as file, pytest.raises(SourceNotFound, match="a source is a path"):
        next(streamseg.stream(file))


def test_pictures_are_not_probed_away():
    pictures = iter([GOOD])
    with pytest.raises(StreamsegError, match="pictures of a program"):
        streamseg.probe(pictures)
    assert next(pictures) is GOOD


def test_an_error_of_the_generator_comes_out_with_the_number(known, tmp_path):
    def failing():
        yield from (picture(i) for i in range(4))
        raise LookupError("the sensor is too hot")

    taken = []
    with pytest.raises(SourceError, match=r"^frame 4: its iterator failed: LookupError: the sensor is too hot$") as raised:
        taken.extend(streamseg.stream(failing(), model=known, rate=5))
    assert isinstance(raised.value.__cause__, LookupError)
    with pytest.raises(SourceError, match="frame 4"):
        streamseg.run(failing(), tmp_path / "o.mp4", model=known, rate=5, pipeline={})
    assert len(clips.decoded(tmp_path / "o.mp4")) == 4, "what came before is written"


# --- the iterator's life -----------------------------------------------------------------------------------------------------


class Told:
    """An endless generator that says when it is closed, and in which threads it ran."""

    def __init__(self):
        self.closed, self.asked, self.threads = threading.Event(), 0, set()

    def pictures(self):
        try:
            while True:
                self.asked += 1
                self.threads.add(threading.current_thread())
                yield picture(self.asked % 5)
        finally:
            self.threads.add(threading.current_thread())
            self.closed.set()


def test_leaving_early_closes_the_generator(known):
    told, before = Told(), set(threading.enumerate())
    for result in streamseg.stream(told.pictures(), model=known, rate=30):
        if result.frame.index == 5:
            break
    del result
    gc.collect()
    assert told.closed.is_set()
    assert len(told.threads) == 1, "all of it ran in one thread"
    assert told.asked < 40, "a few frames ahead and no more"
    assert set(threading.enumerate()) <= before


def test_a_duration_closes_it_too(known, tmp_path):
    told = Told()
    streamseg.run(told.pictures(), tmp_path / "o.mp4", model=known, rate=10, duration=1, pipeline={})
    assert told.closed.is_set()
    assert len(clips.decoded(tmp_path / "o.mp4")) == 10


def test_a_generator_that_waits_for_ever_does_not_hold_anybody():
    waiting, entered = queue.SimpleQueue(), threading.Event()

    def stuck():
        yield picture()
        entered.set()
        waiting.get()

    decoder = open_source(stuck(), rate=5)
    got = []
    reader = threading.Thread(target=lambda: got.extend(decoder.frames()))
    reader.start()
    assert entered.wait(5)
    began = time.monotonic()
    decoder.stop()
    reader.join(5)
    decoder.close()
    assert (len(got), reader.is_alive()) == (1, False)
    assert time.monotonic() - began < 3
    waiting.put(None)


def test_an_endless_generator_takes_no_more_and_more_memory(known):
    tracemalloc.start()
    results = streamseg.stream(Told().pictures(), model=known, rate=30, smooth={"masks": "off", "edges": False})
    sizes = [tracemalloc.get_traced_memory()[0] for _ in itertools.islice(results, 200)]
    tracemalloc.stop()
    results.close()
    # The channels may be fuller at one time than at another: a dozen pictures of 18 kB. One kept of each frame would be 1.5 MB.
    assert min(sizes[160:]) - min(sizes[40:80]) < 300_000


def test_a_camera_that_is_faster_than_the_loop_loses_its_oldest_pictures(known):
    def camera():
        while True:
            time.sleep(0.002)
            yield picture()

    taken = []
    for result in streamseg.stream(camera(), model=known, rate=400, realtime=True):
        time.sleep(0.02)
        taken.append(result.frame.index)
        if len(taken) == 25:
            break
    assert taken[-1] > 40
    assert all(a < b for a, b in itertools.pairwise(taken))


def test_several_pictures_go_into_one_call_of_the_network(known):
    """Lists used to be one batch elsewhere, however long (ultralytics issue 24218)."""
    results = list(streamseg.stream((picture(i) for i in range(7)), model=known, rate=5, batch=3))
    assert [(r.frame.index, len(r)) for r in results] == [(i, 1) for i in range(7)]


@pytest.mark.parametrize("channels", [0, 1, 4])
def test_grey_and_transparent_pictures_go_through_the_network(channels, known, tmp_path):
    """As their files do; elsewhere arrays of one or four channels crashed (ultralytics issues 24750 and 25150)."""
    array = picture()[..., 0] if channels == 0 else np.repeat(picture()[..., :1], channels, axis=2)
    results = list(streamseg.stream([array] * 2, model=known, rate=5))
    assert [(len(r), r.plot().shape) for r in results] == [(1, (H, W, 3))] * 2
    report = streamseg.run([array] * 2, tmp_path / "o.mp4", model=known, rate=5, pipeline="drive")
    assert report.frames_done == len(clips.decoded(tmp_path / "o.mp4")) == 2


def test_a_coroutine_takes_them(known):
    import asyncio

    async def collect():
        return [r.frame.index async for r in streamseg.astream([picture(i) for i in range(4)], model=known, rate=5)]

    assert asyncio.run(collect()) == [0, 1, 2, 3]
