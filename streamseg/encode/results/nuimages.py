"""nuImages: a folder of pictures and of tables that refer to each other by tokens (Caesar et al.; nuscenes.org/nuimages).

    seen.nuimages/v1.0-streamseg/object_ann.json ...     ten tables
    seen.nuimages/samples/CAM_FRONT/000120.jpg           the key frames, without drawing, numbered as in the source

Boxes are of whole objects as far as they lie in the frame (nuImages: amodal), masks of what is seen: COCO's run lengths in base64.
Two key frames a second, as in the data set, or as many as asked for. Tables are written while the video runs and take their names
at the end; memory does not grow.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

import cv2

from streamseg.composite import to_image
from streamseg.core import rle
from streamseg.encode.file_sink import FileOptions
from streamseg.encode.image_folder import check_folder, left_there, numbered
from streamseg.encode.results.base import Draft, FormatSink
from streamseg.encode.results.categories import NUIMAGES, nuimages_names
from streamseg.encode.results.nuimages_tables import calibration, log_record, pose
from streamseg.encode.results.whole import wholes
from streamseg.encode.sink import OutputRequest, Sink
from streamseg.system.output_files import Claim, make_folder, replace_atomically

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import CameraModel, Fix
    from streamseg.decode import SourceInfo

__all__ = ["KEY_RATE", "VERSION", "NuImagesSink"]

VERSION = "v1.0-streamseg"
KEY_RATE = 2.0
"""Key frames a second, as in nuImages."""
_GROWING = ("ego_pose", "sample_data", "sample", "object_ann")
"""In the order in which a frame's records are written: each refers to those before it."""
_PICTURES, _NAME = "samples/CAM_FRONT", "%06d.jpg"
_JPEG_QUALITY = 95
_SPARE = 1 << 17
"""Bytes kept free for the ends of the tables, also where the disk is full."""


class NuImagesSink(FormatSink):
    """Writes a folder that `nuimages.NuImages(version="v1.0-streamseg", dataroot=FOLDER)` opens."""

    folder: ClassVar[bool] = True
    looks: ClassVar[bool] = True

    def __init__(
        self, path: str | os.PathLike[str], info: SourceInfo, rate: float = KEY_RATE, **place: Unpack[FileOptions]
    ) -> None:
        super().__init__(path, info, **place)
        self._rate = rate

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        place: FileOptions = {"overwrite": request.overwrite, "source": request.source}
        return cast("Sink", cls(request.path, request.info, request.key_rate, **place))

    def open(self) -> None:
        """Check and make the folder. Raises OutputError."""
        check_folder(self.path, self._source, self._overwrite, re.compile(re.escape(VERSION)), "tables")

    def _begin(self, first: Result) -> None:
        self._pictures, tables = self.path / _PICTURES, self.path / VERSION
        make_folder(self._pictures)
        make_folder(tables)
        self._spare, self._tables, self._taken = tables / ".spare", dict[str, Draft](), 0
        self._claim = Claim(self.path, "nuimages")
        try:
            self._spare.write_bytes(bytes(_SPARE))
            for name in _GROWING:
                self._tables[name] = Draft(tables / f"{name}.json", b"[")
        except OSError:
            self._give_up()
            raise
        self._names = nuimages_names(first.instances.class_names)
        self._start, self._last, self._keys = first.time, -1, 0
        self._camera: CameraModel | None = None
        self._size = (first.frame.width, first.frame.height)
        self._home: Fix | None = None
        self._log = log_record(self._token("log"), self._info.name, first.frame.utc)
        self._lost: dict[str, int] = {}

    def _give_up(self) -> None:
        """There is not even room to begin."""
        for draft in self._tables.values():
            draft.discard()
        with contextlib.suppress(OSError):
            self._spare.unlink()
        self._claim.release()

    def _token(self, *parts: object) -> str:
        """32 hexadecimal digits, the same in every run."""
        return blake2b(repr((self._info.name, *parts)).encode(), digest_size=16).hexdigest()

    def _write(self, result: Result) -> None:
        scene = result.scene
        if scene is not None:
            self._camera, self._home = scene.camera or self._camera, self._home or scene.fix
        number = int((result.time - self._start) * self._rate + 1e-6)
        if number > self._last:
            self._last = number
            self._add(result)
            self._keys += 1
        self.counters.bytes = self._taken + sum(table.size for table in self._tables.values())

    def _add(self, result: Result) -> None:
        """A key frame: its picture, then its records."""
        frame = result.frame
        bgr = to_image(frame.picture, "bgr24", interlaced=frame.field_order is not None)
        jpeg = bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])
        replace_atomically(self._pictures / (_NAME % frame.index), jpeg)
        self._taken += len(jpeg)
        fix = None if result.scene is None else result.scene.fix
        utc = frame.utc if frame.utc is not None or fix is None else fix.utc
        timestamp = round(1e6 * (frame.time if utc is None else utc))
        sample, data, ego = (self._token(table, frame.index) for table in ("sample", "sample_data", "ego_pose"))
        self._put("ego_pose", pose(ego, timestamp, result.scene, self._home))
        self._put(
            "sample_data",
            {
                "token": data,
                "sample_token": sample,
                "ego_pose_token": ego,
                "calibrated_sensor_token": self._token("calibrated_sensor"),
                "filename": f"{_PICTURES}/{_NAME % frame.index}",
                "fileformat": "jpg",
                "width": frame.width,
                "height": frame.height,
                "timestamp": timestamp,
                "is_key_frame": True,
                "next": "",
                "prev": "",
            },
        )
        log = self._log["token"]
        self._put("sample", {"token": sample, "timestamp": timestamp, "log_token": log, "key_camera_token": data})
        self._put("object_ann", *self._annotations(result, data))

    def _annotations(self, result: Result, data: str) -> list[dict[str, Any]]:
        found, masks = result.instances, self._masks(result)
        made = []
        for i, whole in enumerate(wholes(result)):
            category = self._names[found.labels[i]]
            if category is None:
                name = found.class_names[found.labels[i]]
                self._lost[name] = self._lost.get(name, 0) + 1
                continue
            made.append(
                {
                    "token": self._token("object_ann", result.frame.index, i),
                    "category_token": self._token("category", category),
                    "bbox": [round(value) for value in whole.box],
                    "mask": masks[i],
                    "attribute_tokens": [],
                    "sample_data_token": data,
                    "track_id": int(found.track_ids[i]) or None,
                    "score": round(float(found.scores[i]), 4),
                }
            )
        return made

    def _masks(self, result: Result) -> list[dict[str, Any] | None]:
        """As the development kit decodes them; None for boxes alone."""
        frame = result.frame
        if not result.has_masks:
            return [None] * len(result)
        made: list[dict[str, Any] | None] = []
        for (x0, y0, _, _), crop in result.segments(disjoint=True):
            mask = rle.encode(crop, x0, y0, frame.width, frame.height)
            made.append(mask | {"counts": base64.b64encode(str(mask["counts"]).encode()).decode()})
        return made

    def _put(self, table: str, *records: dict[str, Any]) -> None:
        self._tables[table].record(*(json.dumps(record, allow_nan=False) for record in records))

    def _finish(self) -> None:
        with contextlib.suppress(OSError):
            self._spare.unlink()
        failed: OSError | None = None
        try:
            for draft in self._tables.values():
                try:
                    draft.finish([b"\n]\n"])
                except OSError as error:
                    failed = error
            for name, records in self._fixed().items():
                text = json.dumps(records, allow_nan=False, indent=0)
                replace_atomically(self.path / VERSION / f"{name}.json", text.encode())
        finally:
            self._claim.release()
        self.warnings += [
            f"{self.name}: {count} of class {name!r} are left out: nuImages has no such category"
            for name, count in self._lost.items()
        ]
        if self._overwrite and (words := left_there(self._pictures, numbered(_NAME), self._keys)):
            self.warnings.append(words)
        if failed is not None:
            raise failed

    def _fixed(self) -> dict[str, list[dict[str, Any]]]:
        """The tables that do not grow."""
        sensor = self._token("sensor")
        camera = None if self._camera is None else self._camera.resized(*self._size)
        return {
            "log": [self._log],
            "sensor": [{"token": sensor, "channel": "CAM_FRONT", "modality": "camera"}],
            "calibrated_sensor": [calibration(self._token("calibrated_sensor"), sensor, camera)],
            "category": [{"token": self._token("category", name), "name": name, "description": name} for name in NUIMAGES],
            "attribute": [],
            "surface_ann": [],
        }
