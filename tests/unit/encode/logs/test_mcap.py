"""MCAP, read back by the package mcap and Foxglove's schemas: times, pictures, outlines, the road; cut off; on a full disk."""

import errno
import json
import math
import struct
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from foxglove_schemas_protobuf.Log_pb2 import Log
from foxglove_schemas_protobuf.PointsAnnotation_pb2 import PointsAnnotation
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.exceptions import McapError
from mcap.reader import NonSeekingReader, make_reader

from streamseg.composite import Rendered
from streamseg.core.types import Event
from streamseg.encode import check_output, open_sink
from streamseg.encode.stream.h264 import nal_units
from streamseg.errors import MissingExtra, OutputError, OutputExists
from streamseg.scene.sizes import SIZES
from tests import clips
from tests.unit.encode.helpers import INFO
from tests.unit.encode.logs.helpers import BOXES, at_25, decoded, frames, read_mcap, results, write

KINDS = {
    "/camera/compressed": CompressedVideo,
    "/camera/annotations": ImageAnnotations,
    "/camera/boxes": ImageAnnotations,
    "/camera/places": ImageAnnotations,
    "/camera/calibration": CameraCalibration,
    "/tf": FrameTransform,
    "/scene": SceneUpdate,
    "/fix": LocationFix,
    "/log": Log,
}


def of(path, topic):
    """The messages of a topic, decoded, each with its time in nanoseconds."""
    return [(m.time, KINDS[topic].FromString(m.data)) for m in read_mcap(path) if m.topic == topic]


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """60 frames of a road at 25 a second, an alert at the 20th."""
    path = tmp_path_factory.mktemp("mcap") / "drive.mcap"
    alert = Event("alert", 0.72, 2, "car", details={"ttc": 2.25})
    write(path, results(frames(at_25(60)), events={20: alert}))
    return path


def test_each_topic_has_its_messages_and_a_schema_that_decodes_them(drive):
    messages = read_mcap(drive)
    counts = {topic: sum(m.topic == topic for m in messages) for topic in {m.topic for m in messages}}
    every = dict.fromkeys(KINDS.keys() - {"/camera/calibration", "/log"}, 60) | {"/results": 60}
    assert counts == every | {"/camera/calibration": 3, "/log": 1}
    for message in messages:
        if message.schema.encoding == "protobuf":
            pool = descriptor_pool.DescriptorPool()
            for file in descriptor_pb2.FileDescriptorSet.FromString(message.schema.data).file:
                pool.Add(file)
            kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(message.schema.name))
            assert kind.FromString(message.data).ByteSize() == len(message.data)
            assert message.schema.name == KINDS[message.topic].DESCRIPTOR.full_name


def test_each_message_of_video_gives_its_picture_at_once(drive):
    """As viewers need it: Annex B, no B-frames, parameter sets before each key frame, one picture a message."""
    found = of(drive, "/camera/compressed")
    pictures = decoded([video.data for _, video in found])
    assert [len(made) for made in pictures] == [1] * 60, "a picture waits for later ones: there are B-frames"
    for i, (made,) in enumerate(pictures):
        assert clips.read_index(clips.plane_array(made)) == i
        shown, source = (clips.plane_array(p).astype(float) for p in (made, clips.picture(i)))
        assert np.abs(shown - source).mean() < 1.0
    for i, (time, video) in enumerate(found):
        kinds = [unit[0] & 31 for unit in nal_units(video.data)]
        assert (kinds[:2] == [7, 8] and 5 in kinds) if i % 25 == 0 else (7 not in kinds and 5 not in kinds)
        assert video.data.startswith(b"\0\0\0\1")
        assert video.format == "h264"
        assert video.frame_id == "camera"
        assert time == i * 40_000_000 == video.timestamp.seconds * 10**9 + video.timestamp.nanos


def test_times_of_a_variable_rate_are_exact(tmp_path):
    times = [7, 3008, 3009, 100_007, 100_107]
    write(tmp_path / "vfr.mcap", results(frames(times)))
    expected = [round(Fraction(ticks, 90_000) * 10**9) for ticks in times]
    assert [time for time, _ in of(tmp_path / "vfr.mcap", "/camera/compressed")] == expected
    assert [time for time, _ in of(tmp_path / "vfr.mcap", "/camera/annotations")] == expected


def test_a_film_that_begins_before_its_zero_is_moved(tmp_path):
    write(tmp_path / "early.mcap", results(frames([-3600, 0, 3600])))
    assert [time for time, _ in of(tmp_path / "early.mcap", "/camera/compressed")] == [0, 40_000_000, 80_000_000]


def test_live_frames_have_the_time_of_day(tmp_path):
    utc = 1_790_000_000.5
    live = [frame for i in range(3) for frame in [*frames(at_25(3), utc=utc + i * 0.04)][i : i + 1]]
    write(tmp_path / "live.mcap", results(live), live=True)
    times = [time for time, _ in of(tmp_path / "live.mcap", "/camera/compressed")]
    assert [(time - 1_790_000_000_500_000_000) / 1e6 for time in times] == pytest.approx([0, 40, 80], abs=0.001)


def test_masks_are_outlines_with_a_label_each(drive):
    _, found = of(drive, "/camera/annotations")[0]
    assert [text.text for text in found.texts] == ["person 1", "car 2 3.0 s 12 m"]
    assert len(found.points) == 2
    for line, box in zip(found.points, BOXES, strict=True):
        assert line.type == PointsAnnotation.LINE_LOOP
        at = np.array([(p.x, p.y) for p in line.points])
        center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        # Through the centres of the outermost pixels of an ellipse that fills the box.
        assert np.abs(np.hypot(*((at - center) / (half - 0.5)).T) - 1).max() < 0.12
        assert line.fill_color.a > 0
        assert line.timestamp == found.timestamp
    facts = {pair.key: pair.value for pair in found.points[1].metadata}
    assert facts["track_id"] == "2"
    assert facts["class"] == "car"
    assert facts["ttc"] == "3"
    assert facts["ttc_std"] == "0.2"
    assert {pair.key: pair.value for pair in found.metadata}["frame"] == "0"
    assert not of(drive, "/camera/annotations")[4][1].points, "of a frame in which nothing is, to take the last away"


def test_the_road_is_in_metres(drive):
    _, scene = of(drive, "/scene")[0]
    (entity,) = scene.entities  # of the person nothing is known
    assert entity.id == "2"
    assert entity.frame_id == "ego"
    (cube,) = entity.cubes
    # Its nearest point is 12 m ahead, the box 30 x 24 pixels at a focal length of 80; 2 m to the right is -y.
    assert cube.pose.position.x - cube.size.x / 2 == pytest.approx(12)
    assert cube.pose.position.y == pytest.approx(-2)
    assert (cube.size.y, cube.size.z) == pytest.approx((30 * 12 / 80, 24 * 12 / 80))
    assert cube.size.x == pytest.approx(SIZES["car"].width), "it is 4.5 m wide: it stands across the road"
    assert [p.x for p in entity.lines[0].points] == pytest.approx([11, 13]), "one deviation to both sides"
    assert scene.deletions[0].type == scene.deletions[0].ALL
    _, calibration = of(drive, "/camera/calibration")[0]
    assert list(calibration.K) == [80, 0, 48, 0, 80, 32, 0, 0, 1]
    assert (calibration.width, calibration.height) == (96, 64)
    _, fix = of(drive, "/fix")[0]
    assert (fix.latitude, fix.longitude, fix.altitude) == (52.5, 13.25, 34.0)
    assert fix.heading == pytest.approx(math.pi / 2)
    assert fix.velocity.x == pytest.approx(5)
    assert fix.position_covariance[0] == 9
    _, marks = of(drive, "/camera/places")[0]
    assert [text.text for text in marks.texts] == ["corridor", "horizon"]


def test_the_camera_looks_where_the_horizon_says(drive):
    """The horizon is 8 pixels below the middle at a focal length of 80: the camera looks up by atan(0.1)."""
    _, transform = of(drive, "/tf")[0]
    q = transform.rotation
    x, y, z, w = q.x, q.y, q.z, q.w
    ahead = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])  # where its z axis points, in `ego`
    assert ahead == pytest.approx([math.cos(math.atan(0.1)), 0, math.sin(math.atan(0.1))], abs=1e-6)
    assert (transform.parent_frame_id, transform.child_frame_id, transform.translation.z) == ("ego", "camera", 1.4)


def test_events_are_lines_of_the_log(drive):
    ((time, line),) = of(drive, "/log")
    assert line.message == "alert: car 2 (ttc 2.25)"
    assert line.level == Log.WARNING
    assert (time, line.timestamp.nanos) == (800_000_000, 720_000_000), "known with frame 20, happened before"


def test_results_are_json_for_plots(drive):
    data = [json.loads(m.data) for m in read_mcap(drive) if m.topic == "/results"]
    assert [each["frame"] for each in data] == list(range(60))
    car = data[0]["instances"][1]
    assert car["track_id"] == 2
    assert car["distance"] == 12.0
    assert "mask" not in car
    assert "ttc" not in data[0]["instances"][0]
    assert data[0]["scene"]["own_speed"] == 5.0
    assert data[0]["now"] == {"person": 1}


def test_without_a_scene_there_is_no_road(tmp_path):
    write(tmp_path / "room.mcap", results(frames(at_25(3)), scene=False))
    topics = {m.topic for m in read_mcap(tmp_path / "room.mcap")}
    assert topics == {"/camera/compressed", "/camera/annotations", "/camera/boxes", "/results"}


def test_boxes_alone_are_outlines_of_boxes(tmp_path):
    write(tmp_path / "boxes.mcap", results(frames(at_25(3)), scene=False, masks=False))
    assert "/camera/boxes" not in {m.topic for m in read_mcap(tmp_path / "boxes.mcap")}
    _, found = of(tmp_path / "boxes.mcap", "/camera/annotations")[0]
    assert [(p.x, p.y) for p in found.points[0].points] == [(10, 10), (40, 10), (40, 40), (10, 40)]


def test_what_the_file_is_about_stands_in_it(drive):
    with drive.open("rb") as file:
        ((record),) = make_reader(file).iter_metadata()
    assert record.name == "streamseg"
    assert record.metadata["source"] == "made"
    assert record.metadata["classes"] == "person, car"


def _put_all(sink, found):
    for result in found:
        sink(Rendered(result, result.frame.picture))


def _readable(path):
    """How many pictures a reader that goes from front to back finds before the file ends."""
    found = 0
    with path.open("rb") as file:
        try:
            for _, channel, _ in NonSeekingReader(file).iter_messages(log_time_order=False):
                found += channel.topic == "/camera/compressed"
        except (McapError, struct.error):
            pass
    return found


def test_a_file_that_was_cut_off_is_read_up_to_the_last_second(drive, tmp_path):
    data, cut = drive.read_bytes(), tmp_path / "cut.mcap"
    with drive.open("rb") as file:
        chunks = make_reader(file).get_summary().chunk_indexes
    assert [chunk.message_start_time for chunk in chunks] == [0, 10**9, 2 * 10**9], "each begins with a key frame"
    cut.write_bytes(data[: chunks[2].chunk_start_offset + 50])
    assert _readable(cut) == 50


def test_a_killed_process_leaves_all_but_the_last_second(tmp_path):
    sink = open_sink(tmp_path / "killed.mcap", INFO)
    sink.open()
    _put_all(sink, results(frames(at_25(60))))
    assert _readable(tmp_path / "killed.mcap") == 50
    sink.abort()
    assert len(of(tmp_path / "killed.mcap", "/camera/compressed")) == 60


def test_a_full_disk_is_an_error_and_leaves_what_was_written(tmp_path, monkeypatch):
    from streamseg.system import output_files

    path, room = tmp_path / "full.mcap", 20_000
    real = output_files.os.write

    def write_some(fd, data):
        if path.exists() and path.stat().st_size + len(data) > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(output_files.os, "write", write_some)
    sink = open_sink(path, INFO)
    sink.open()
    found = [*results(frames(at_25(120)))]
    with pytest.raises(OutputError, match=r"No space left.* is kept"):
        _put_all(sink, found)
    sink.abort()
    assert _readable(path) >= 25
    assert _readable(path) % 25 == 0


@pytest.mark.parametrize(
    ("size", "pix_fmt", "bits", "said"),
    [
        ((97, 63), "yuv420p", 8, "padded to 98x64"),
        ((96, 64), "yuv420p10le", 10, "10 bits a sample become 8"),
        ((96, 64), "yuv444p", 8, "chroma is reduced from 4:4:4 to 4:2:0"),
        ((64, 96), "gray", 8, None),
    ],
)
def test_pictures_of_all_kinds(tmp_path, size, pix_fmt, bits, said):
    picture = clips.picture(5, *size, pix_fmt)
    info = {"width": size[0], "height": size[1], "pix_fmt": pix_fmt, "bit_depth": bits}
    sink = write(tmp_path / "kind.mcap", results(frames(at_25(2), [picture, picture])), **info)
    ((made,), _) = decoded([video.data for _, video in of(tmp_path / "kind.mcap", "/camera/compressed")])
    assert (made.width, made.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert clips.read_index(clips.plane_array(made)[: size[1], : size[0]]) == 5
    assert [said in warning for warning in sink.warnings] == ([True] if said else [])


def test_a_source_that_changes_its_size_goes_on(tmp_path):
    pictures = [clips.picture(0), clips.picture(1), clips.picture(2, 64, 48), clips.picture(3, 64, 48)]
    write(tmp_path / "two.mcap", results(frames(at_25(4), pictures)))
    made = decoded([video.data for _, video in of(tmp_path / "two.mcap", "/camera/compressed")])
    assert [(p.width, p.height) for shown in made for p in shown] == [(96, 64)] * 2 + [(64, 48)] * 2


def test_sound_is_left_out_and_said(tmp_path):
    from streamseg.decode import StreamInfo

    sound = StreamInfo(index=1, type="audio", codec="aac")
    sink = write(tmp_path / "sound.mcap", results(frames(at_25(1))), streams=(sound,))
    assert any("sound" in warning for warning in sink.warnings)


def test_a_codec_for_other_outputs_is_said_and_a_bad_quality_refused(tmp_path):
    sink = open_sink(tmp_path / "a.mcap", INFO, codec="ffv1", crf=60)
    assert "H.264" in sink.warnings[0]
    assert "ffv1" in sink.warnings[0]
    with pytest.raises(OutputError, match=r"crf 60 is out of range for h264; allowed: 0 .* to 51"):
        open_sink(tmp_path / "a.mcap", INFO, crf=60)


def test_it_can_go_to_a_pipe(tmp_path, capfdbinary):
    write(Path("-.mcap"), results(frames(at_25(30))))
    (tmp_path / "piped.mcap").write_bytes(capfdbinary.readouterr().out)
    assert len(of(tmp_path / "piped.mcap", "/camera/compressed")) == 30


def test_transparency_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"cannot hold transparency; use \.mov"):
        open_sink(tmp_path / "a.mcap", INFO, alpha=True)


@pytest.mark.parametrize("ending", [".mcap", ".rrd"])
def test_what_exists_is_refused_before_the_source_is_there(tmp_path, ending):
    path = tmp_path / f"seen{ending}"
    path.write_bytes(b"mine")
    with pytest.raises(OutputExists):
        check_output(path, overwrite=False, source=None)
    with pytest.raises(OutputExists):
        open_sink(path, INFO).open()
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("ending", "module", "package"),
    [
        (".mcap", "mcap", "mcap"),
        (".mcap", "foxglove_schemas_protobuf", "foxglove-schemas-protobuf"),
        (".rrd", "rerun", "rerun-sdk"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_extra(tmp_path, monkeypatch, ending, module, package):
    for name in [name for name in sys.modules if name.startswith(("streamseg.encode.logs", f"{module}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=f"^{package} is not installed; run: .*drive"):
        open_sink(tmp_path / f"seen{ending}", INFO).open()


def test_nothing_is_made_of_an_empty_film(tmp_path):
    for ending in (".mcap", ".rrd"):
        write(tmp_path / f"empty{ending}", [])
    assert not list(tmp_path.iterdir())
