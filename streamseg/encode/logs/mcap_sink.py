"""MCAP (mcap.dev): what Foxglove, Rerun and FiftyOne open. Its topics are listed in docs/logs.md."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streamseg.core.utc import as_iso
from streamseg.encode.logs.clock import LogClock
from streamseg.encode.logs.marks import has_marks
from streamseg.encode.logs.mcap_file import McapFile
from streamseg.encode.logs.pictures import Coded
from streamseg.encode.logs.placing import camera_of, placed_in
from streamseg.encode.logs.seen import Seen, seen_in
from streamseg.encode.logs.sink import LogSink
from streamseg.encode.logs.words import Happenings
from streamseg.errors import MissingExtra
from streamseg.system.output_files import OutputFile
from streamseg.system.version import installed_version

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

    from streamseg.core.result import Result

__all__ = ["McapSink"]

_RESULTS = "/results"
_NUMBER, _TEXT = {"type": "number"}, {"type": "string"}
_SCHEMA = {
    "title": "streamseg.Result",
    "type": "object",
    "properties": {
        "frame": {"type": "integer"},
        "pts": {"type": "integer"},
        "time": _NUMBER,
        "epoch": {"type": "integer"},
        "detected": {"type": "boolean"},
        "instances": {
            "type": "array",
            "items": {"type": "object", "properties": {"track_id": {"type": "integer"}, "class": _TEXT}},
        },
        "scene": {"type": "object"},
        "now": {"type": "object"},
        "total": {"type": "object"},
    },
}
"""Of the messages of `/results`, which are JSON: what `Result.rows` says of each instance, and the rest of `Result.to_json`."""


class McapSink(LogSink):
    """Writes the pictures and what was found in them as MCAP with Foxglove's messages."""

    def _need(self) -> None:
        try:
            import foxglove_schemas_protobuf
            import mcap
            import zstandard
        except ImportError as error:
            package = {"foxglove_schemas_protobuf": "foxglove-schemas-protobuf"}.get(error.name or "", error.name or "mcap")
            raise MissingExtra(package, "drive") from error
        del foxglove_schemas_protobuf, mcap, zstandard

    def _begin(self, first: Result, clock: LogClock) -> None:
        info, frame = self._info, first.frame
        about = {
            "source": info.name,
            "streamseg": installed_version(),
            "classes": ", ".join(first.instances.class_names),
            "width": str(frame.width),
            "height": str(frame.height),
            "time_base": str(frame.time_base),
            "rate": str(info.rate or ""),
            "time": "since 1970, UTC" if clock.absolute else "since the film's zero",
        }
        if frame.utc is not None:
            about["utc"] = as_iso(frame.utc)
        self._output = OutputFile(self.path, self._overwrite)
        self._file = McapFile(self._output, f"streamseg {installed_version()}", about)
        self._channels: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        self._happened = Happenings()

    def _write(self, result: Result, coded: Coded, clock: LogClock) -> None:
        from streamseg.encode.logs import foxglove

        time = clock.at(result.frame)
        if coded.key or self._file.large:
            self._end_chunk()
        put = self._putting(time, result.frame.index)
        put("/camera/compressed", foxglove.video(coded.data, time))
        seen = seen_in(result)
        put("/camera/annotations", foxglove.outlines(result, seen, time))
        if result.instances.has_shapes:
            put("/camera/boxes", foxglove.boxes(result, seen, time))
        if has_marks(result):
            put("/camera/places", foxglove.places(result, time))
        self._put_scene(result, seen, coded, time, put)
        for each in self._happened(result):
            at = time if each.seconds is None else clock.moment(each.seconds)
            put("/log", foxglove.log(each.text, at, self._info.name, warning=each.warning))
        self._file.message(self._json_channel(), time, result.frame.index, _as_json(result))

    def _put_scene(
        self, result: Result, seen: Sequence[Seen], coded: Coded, time: int, put: Callable[[str, Any], None]
    ) -> None:
        from streamseg.encode.logs import foxglove

        scene = result.scene
        if scene is None:
            return
        camera = camera_of(result)
        if camera is not None:
            if coded.key:
                put("/camera/calibration", foxglove.calibration(camera, time))
            put("/tf", foxglove.transform(camera, scene.horizon, time))
        put("/scene", foxglove.road(placed_in(result, seen), time))
        if scene.fix is not None:
            put("/fix", foxglove.fix(scene.fix, time))

    def _putting(self, time: int, number: int) -> Callable[[str, Any], None]:
        def put(topic: str, message: Any) -> None:
            self._file.message(self._channel(topic, message), time, number, message.SerializeToString())

        return put

    def _channel(self, topic: str, message: Any) -> int:
        if topic not in self._channels:
            kind = message.DESCRIPTOR
            if kind.full_name not in self._schemas:
                self._schemas[kind.full_name] = self._file.schema(kind.full_name, "protobuf", _described(kind.file))
            self._channels[topic] = self._file.channel(topic, "protobuf", self._schemas[kind.full_name])
        return self._channels[topic]

    def _json_channel(self) -> int:
        if _RESULTS not in self._channels:
            schema = self._file.schema(str(_SCHEMA["title"]), "jsonschema", json.dumps(_SCHEMA).encode())
            self._channels[_RESULTS] = self._file.channel(_RESULTS, "json", schema)
        return self._channels[_RESULTS]

    def _end_chunk(self) -> None:
        self._file.end_chunk()
        self.counters.bytes = self._output.size

    def _finish(self) -> None:
        try:
            if self._output.error is None:
                self._file.finish()
                self.counters.bytes = self._output.size
        finally:
            self._output.close()


def _described(file: FileDescriptor) -> bytes:
    """The schema as MCAP wants it: a FileDescriptorSet of a file, behind all that it imports: some readers load them in turn."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    answer, named = FileDescriptorSet(), set[str]()

    def collect(each: FileDescriptor) -> None:
        if each.name not in named:
            named.add(each.name)
            for imported in each.dependencies:
                collect(imported)
            each.CopyToProto(answer.file.add())

    collect(file)
    return bytes(answer.SerializeToString())


def _as_json(result: Result) -> bytes:
    frame, activity, scene = result.frame, result.activity, result.scene
    same = ("frame", "pts", "time", "epoch", "detected")
    data = {
        "frame": frame.index,
        "pts": frame.pts,
        "time": frame.time,
        "epoch": frame.epoch,
        "detected": result.detected,
        "instances": [
            {key: value for key, value in row.items() if key not in same and value is not None} for row in result.rows()
        ],
    }
    if scene is not None:
        data["scene"] = _finite(scene.to_json())
    if activity is not None:
        data |= {"now": activity.now, "total": activity.total}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    """Plain data without the numbers that JSON does not have: None stands in their place."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
