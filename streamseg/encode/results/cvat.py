"""CVAT's "MOTS PNG 1.0" archive, which it imports as tracks onto a task made of the same video.

A zip of `default/images/frame_000000.jpg`, `default/instances/frame_000000.png` (16 bit, class x 1000 + instance) and
`default/instances/labels.txt`, line n the name of class n (docs.cvat.ai, "MOTS PNG"). Entries are written as the video runs.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np

from streamseg.composite import to_image
from streamseg.encode.results.base import FormatSink
from streamseg.encode.results.mots import InstanceNumbers, instance_picture, png
from streamseg.system.output_files import open_part, part_of

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["CvatSink"]

_FOLDER = "default"
_JPEG_QUALITY = 95
# A central directory's record of one file, and its end (APPNOTE 4.3.12, 4.3.16, with the zip64 parts).
_RECORD, _END = 46, 22 + 20 + 56


class CvatSink(FormatSink):
    """Writes one archive, `.NAME.part` until it is whole. Images are the frames without drawing, as JPEG."""

    looks: ClassVar[bool] = True
    needs_masks: ClassVar[bool] = True

    def _begin(self, first: Result) -> None:
        names = first.instances.class_names
        self._numbers = InstanceNumbers(self.name)
        self._classes = range(1, len(names) + 1)
        self._part = part_of(self.path)
        self._file = _WholeWrites(open_part(self.path), "r+b")
        # JPEG and PNG are compressed already.
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
        self._whole: list[tuple[list[zipfile.ZipInfo], int]] = []
        self._add({"instances/labels.txt": "\n".join(names).encode() + b"\n"})

    def _write(self, result: Result) -> None:
        self._untracked += int(np.count_nonzero(result.instances.track_ids == 0))
        stem = f"frame_{result.frame.index:06d}"
        bgr = to_image(result.frame.picture, "bgr24", interlaced=result.frame.field_order is not None)
        jpeg = bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])
        numbered = png(instance_picture(result, self._classes, self._numbers))
        self._add({f"images/{stem}.jpg": jpeg, f"instances/{stem}.png": numbered})
        self.counters.bytes = self._file.tell()

    def _add(self, files: dict[str, bytes]) -> None:
        # Without a date (1980) the same run gives the same archive.
        entries = [zipfile.ZipInfo(f"{_FOLDER}/{name}") for name in files]
        for entry, data in zip(entries, files.values(), strict=True):
            self._zip.writestr(entry, data)
        self._whole.append((entries, self._file.tell()))

    def _finish(self) -> None:
        self.warnings += self._numbers.warnings()
        failed = self._make_room()
        if not self._whole:
            self._file.close()
            self._part.unlink()
        else:
            # What was begun but not written whole must not be listed.
            self._zip.filelist[:] = [entry for entries, _ in self._whole for entry in entries]
            self._zip.start_dir = self._whole[-1][1]
            self._zip.close()
            self._file.truncate()
            self._file.close()
            self._part.replace(self.path)
            self.counters.bytes = self.path.stat().st_size
        if failed is not None:
            raise failed

    def _make_room(self) -> OSError | None:
        """Fill the place of the directory at the end, so that it fits later; a full disk costs the last frames, and is returned."""
        failed: OSError | None = None
        while self._whole:
            end = self._whole[-1][1]
            self._file.truncate(end)
            self._file.seek(end)
            try:
                self._file.write(bytes(sum(_RECORD + len(e.filename) for entries, _ in self._whole for e in entries) + _END))
                break
            except OSError as error:
                failed = error
                self._whole.pop()
        return failed


class _WholeWrites(io.FileIO):
    """A file whose writes are never short: zipfile does not look at how much was written."""

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        size = view.nbytes
        while view:
            view = view[super().write(view) :]
        return size
