"""What a Result is as a value: it can be pickled and copied, prints shortly, and gives rows for a table."""

import copy
import pickle
import sys
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg import errors
from streamseg.composite.labels import label_text
from streamseg.core.result import Result
from streamseg.core.types import Activity, Event, Frame, Instances, Occlusion, Track
from streamseg.decode import Decoder
from streamseg.pixels import planes, sidedata
from streamseg.pixels.filters import Filter
from streamseg.pixels.layouts import nearest_layout
from streamseg.pixels.siting import siting
from streamseg.select import Selection
from tests import clips
from tests.unit import pictures

FORMATS = ["yuv420p", "nv12", "yuv420p10le", "p010le", "yuva444p10le", "rgb24", "gbrp", "gray", "bgra"]


def result(name="yuv420p", width=51, height=37, **of_frame):
    picture = pictures.noise(name, width, height)
    picture.pts, picture.time_base = 1001, Fraction(1, 30000)
    picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc = 9, 1, 9, 16
    frame = Frame(picture, 7, 1001, Fraction(1, 30000), 500, 2, 12.5, **of_frame)
    found = pictures.instances([[4, 4, 20, 30], [10, 8, 40, 36]])
    hidden = Occlusion(
        np.array([1, 0.5], np.float32), np.array([0, 1]), np.array([0, 1]), np.array([False, True]), found.boxes.copy()
    )
    event = Event("enter", 0.03, 1, "person", "yard")
    activity = Activity({"person": 2}, {"person": 2}, {}, {"yard": {"inside": 1}}, (event,), {"yard": np.zeros((3, 2), "f4")})
    return Result(frame, found, hidden, activity, False)


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    elif isinstance(a, av.VideoFrame):
        x, y = planes.views(a), planes.views(b)
        assert (x.layout, x.width, x.height) == (y.layout, y.width, y.height)
        for p, q in zip(x.planes, y.planes, strict=True):
            np.testing.assert_array_equal(p.array, q.array)
        for name in ("pts", "dts", "time_base", "colorspace", "color_range", "color_primaries", "color_trc"):
            assert getattr(a, name) == getattr(b, name), name
    elif hasattr(a, "__dataclass_fields__"):
        for name in a.__dataclass_fields__:
            assert_same(getattr(a, name), getattr(b, name))
    elif isinstance(a, tuple | list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, dict):
        assert_same([*a.items()], [*b.items()])
    else:
        assert a == b


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_comes_through_pickle_as_it_was(name):
    one = result(name, synthetic_pts=True, corrupt=True, field_order="tff")
    assert_same(pickle.loads(pickle.dumps(one)), one)


SITINGS = ["left", "center", "topleft", "top", "bottomleft", "bottom"]


@pytest.mark.parametrize("location", SITINGS)
@pytest.mark.parametrize(
    ("name", "mode"), [("yuv420p", "prog"), ("yuv420p10le", "prog"), ("nv12", "tff"), ("yuv422p", "bff"), ("uyvy422", "prog")]
)
def test_what_is_shown_of_a_pickle_is_equal_wherever_chroma_lies(name, mode, location):
    noise = pictures.noise(nearest_layout(name), 52, 38)
    one = result("yuv420p", 52, 38)
    said = Filter(("setparams", f"chroma_location={location}:field_mode={mode}"))(planes.convert(noise, name))
    planes.copy_tags(one.frame.picture, said)
    for order in (None, "tff"):
        first = replace(one, frame=replace(one.frame, picture=said, field_order=order))
        for again in (
            pickle.loads(pickle.dumps(first)),
            copy.deepcopy(first),
            pickle.loads(pickle.dumps(copy.deepcopy(first))),
        ):
            np.testing.assert_array_equal(again.plot(), first.plot())
            np.testing.assert_array_equal(again.image("rgb48le"), first.image("rgb48le"))


def test_a_decoded_picture_tells_where_its_chroma_lies_and_a_copy_does(tmp_path):
    film = clips.cfr(tmp_path / "in.mp4", 2)  # H.264: left, where nothing is said (H.264, E.2.1)
    with Decoder(film) as decoder:
        frame = next(decoder.frames())
    assert siting(frame.picture) == "left"
    assert siting(pickle.loads(pickle.dumps(frame)).picture) == "left"
    assert siting(pictures.noise("yuv420p", 3, 5)) is None


def test_a_pickle_is_as_large_as_what_is_in_it():
    one = result(width=1001, height=700)  # lines are padded in memory
    samples = sum(plane.array.nbytes for plane in planes.views(one.frame.picture).planes)
    assert len(pickle.dumps(one)) - samples < 5000
    assert len(pickle.dumps(one.masks)) < 5000, "masks need no picture"


def test_a_format_without_plain_planes_becomes_the_nearest_that_has():
    picture = pictures.noise("yuv422p", 50, 30).reformat(format="yuyv422", threads=1)
    back = pickle.loads(pickle.dumps(Frame(picture, 0, 0, Fraction(1, 25)))).picture
    assert back.format.name == "yuv422p"
    for p, q in zip(planes.views(back).planes, planes.views(planes.supported(picture)).planes, strict=True):
        np.testing.assert_array_equal(p.array, q.array)


def test_a_picture_on_a_device_comes_to_host_memory():
    pytest.importorskip("torch", reason="needs the extra 'gpu'")
    from streamseg.device.upload import Uploader
    from streamseg.gpu import Device

    one = result("nv12", 64, 48)
    there = Frame(Uploader(Device("cpu"))(one.frame.picture), 7, 1001, Fraction(1, 30000))
    assert_same(pickle.loads(pickle.dumps(there)).picture, one.frame.picture)


def test_side_data_stay_with_the_picture():
    one = result()
    kept = (sidedata.Kept("CONTENT_LIGHT_LEVEL", b"12345678"), sidedata.Kept("A53_CC", b"\0\1"))
    sidedata.keep(one.frame.picture, kept)
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(pickle.loads(pickle.dumps(one)))):
        assert [(d.type.name, bytes(d)) for d in sidedata.listed(other.frame.picture)] == [tuple(k) for k in kept]


def test_a_shallow_copy_shares_the_picture_and_a_deep_one_does_not():
    one = result()
    assert copy.copy(one).frame.picture is copy.copy(one.frame).picture is one.frame.picture
    deep = copy.deepcopy(one)
    assert_same(deep, one)
    planes.views(deep.frame.picture).planes[0].array[:] = 1
    deep.instances.boxes[:] = 0
    assert planes.views(one.frame.picture).planes[0].array.max() > 1
    assert one.boxes.max() == 40


def test_what_is_printed_is_short_and_says_what_it_is():
    one = result()
    found = one.instances.summary()
    assert repr(one) == f"Result(frame 7 at 0.033 s, 51x37: {found}, carried along)"
    assert repr(one.masks) == "FullMasks(2 of bool [37, 51])"
    assert repr(one.occlusion) == "Occlusion(of 2 instances, 1 behind others)"
    assert repr(one.activity).startswith(
        "Activity(now={'person': 2}, total={'person': 2}, lines={}, zones={'yard': {'inside': 1}}"
    )
    assert "array" not in repr(one.activity)
    assert repr(Track(3, 0, 1.0, 2.5, 20)) == (
        "Track(track_id=3, label=0, first_time=1.0, last_time=2.5, hits=20, state='confirmed')"
    )


def test_results_can_be_compared_and_put_into_a_set():
    one, other = result(), result()
    assert one == one  # noqa: PLR0124
    assert one != other
    assert len({one, other, one}) == 2
    assert one in [other, one]
    assert one.instances != other.instances
    assert one.occlusion != other.occlusion


@pytest.mark.parametrize("name", ["time", "frame", "boxes", "anything"])
def test_what_never_changes_says_how_to_get_another(name):
    one = result()
    how = r"; dataclasses\.replace\(it, \.\.\.\) makes another, with any of frame=\.\.\., instances=\.\.\., occlusion="
    with pytest.raises(FrozenInstanceError, match=f"a Result never changes, so its '{name}' cannot be set or deleted{how}"):
        setattr(one, name, 3)
    with pytest.raises(FrozenInstanceError, match="a Result never changes"):
        delattr(one, name)
    for noun in (one.frame, one.instances, one.occlusion, one.activity, one.activity.events[0]):
        with pytest.raises(FrozenInstanceError, match=f"a {type(noun).__name__} never changes.*dataclasses"):
            setattr(noun, name, 3)
    assert replace(one, detected=True).detected


def test_rows_are_flat_and_all_alike():
    one = result()
    rows = one.rows(masks=True)
    bare = Result(one.frame, one.instances).rows(masks=True)
    assert [list(row) for row in rows] == [list(row) for row in bare]
    names = "frame pts time epoch detected track_id class label score track_score doubtful name x0 y0 x1 y1"
    names += " visible occluded_by order at_border extent_x0 extent_y0 extent_x1 extent_y1 mask"
    assert list(rows[0]) == names.split()
    assert [type(value) for value in rows[1].values() if not isinstance(value, bool | dict | str | None)] == (
        [int, int, float, int, int, int, float, float] + [float] * 5 + [int, int] + [float] * 4
    )
    assert [rows[1][n] for n in ("frame", "pts", "x0", "y1", "occluded_by", "extent_x1")] == [7, 1001, 10, 36, 1, 40]
    assert [row["mask"] for row in rows] == [instance["mask"] for instance in one.to_json()["instances"]]
    assert bare[0]["visible"] is None
    assert Result(one.frame, Instances.empty(("person",))).rows() == []


def test_rows_become_a_data_frame():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(row for one in [result(), result()] for row in one.rows())
    assert table.shape == (4, 24)
    assert table.groupby("frame")["x1"].max().to_dict() == {7: 40.0}


def test_rows_become_an_arrow_table():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist([row for one in [result(), result()] for row in one.rows(masks=True)])
    assert (table.num_rows, table.num_columns) == (4, 25)
    assert table.schema.field("visible").type == pyarrow.float64()


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name[0].isupper()])
def test_errors_come_back_from_another_process_as_they_were(name):
    kind = getattr(errors, name)
    arguments = {"MissingExtra": ("torch", "train"), "StageError": ("decode", ValueError("x"))}.get(name, ("a sentence",))
    error = kind(*arguments)
    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(back), str(back), back.exit_code, back.__dict__) == (kind, str(error), error.exit_code, error.__dict__)


def test_an_instance_by_its_number_is_instances_of_one():
    found = replace(result().instances, fine=(None, np.full((40, 40), 9, np.uint8)))
    for number, same in ((0, 0), (1, 1), (-1, 1), (-2, 0), (np.int64(1), 1)):
        one = found[number]
        assert len(one) == 1
        assert one.boxes.tolist() == [found.boxes[same].tolist()]
        assert one.fine == (found.fine[same],)
    assert [each.boxes[0].tolist() for each in found] == found.boxes.tolist()
    assert found[:0].boxes.shape == (0, 4)
    assert [*found[:0]] == []
    for beyond in (2, -3):
        with pytest.raises(IndexError, match=f"there is no instance {beyond}: there are 2"):
            found[beyond]


def test_without_supervision_its_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(errors.MissingExtra, match="supervision is not installed; run: pip install supervision") as caught:
        result().to_supervision()
    assert caught.value.exit_code == 17


def test_a_track_is_called_as_a_person_called_it():
    """In tables, JSON and labels; selections find it, too."""
    plain = result()
    found = replace(plain.instances, track_names={2: "Anna", 9: "nobody"})
    named = replace(plain, instances=found)
    assert [each.get("name") for each in named.to_json()["instances"]] == [None, "Anna"]
    assert [row["name"] for row in named.rows()] == [None, "Anna"]
    assert found.called == ["person", "Anna"]
    assert found[1].called == ["Anna"]
    assert label_text("{name} {id}", found, 1) == "Anna 2"
    assert Selection.parse("Anna").chosen(named).tolist() == [False, True]
