"""Cut-outs: of each track an image a frame, cropped to what is seen of it, with alpha; and a table that says where each belongs.

    products.cutouts/
        cutouts.csv               a line an image: file, frame, time, track, class, score, x, y, width, height, ...
        person#3/000120.png       straight alpha, cropped; the offset of the crop stands in the file, too (PNG: oFFs)

`--codec` names the kind of file: `png`, `tif`, or `exr`, whose data window is where the crop lies in the frame. Colours are the
source's own, unless the output has effects.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Unpack, cast

import av
import numpy as np
import numpy.typing as npt

from streamseg.composite.cutout import decontaminate
from streamseg.composite.shape import Shape
from streamseg.core.masks import Region
from streamseg.encode.csv_text import csv_line
from streamseg.encode.exr import header
from streamseg.encode.exr.mattes import Cover, covers
from streamseg.encode.exr.write import curve_of, need, write
from streamseg.encode.file_sink import FileOptions, FileSink
from streamseg.encode.images.sequence import image_encoder
from streamseg.encode.images.stills import frame_of, to_still
from streamseg.encode.sink import OutputRequest, RenderedPicture, Sink
from streamseg.encode.video.codecs import CODECS
from streamseg.errors import OutputError, OutputExists
from streamseg.pixels.light import Signal, signal
from streamseg.pixels.planes import on_host, views
from streamseg.system.file_names import FileNames
from streamseg.system.output_files import OutputFile, make_folder, replace_atomically

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.types import Frame, Instances
    from streamseg.decode import SourceInfo

__all__ = ["CutoutSink"]

_KINDS: Mapping[str, str] = MappingProxyType({"auto": ".png", "png": ".png", "tif": ".tif", "tiff": ".tif", "exr": ".exr"})
_TABLE = "cutouts.csv"
_COLUMNS = (
    *("file", "frame", "time", "track", "name", "class", "score"),
    *("x", "y", "width", "height", "frame_width", "frame_height"),
)
_TOP = 65535
_MARGIN = 8
"""Pixels of 1080p around a crop that are looked at for the colours at its edge."""
_BELOW, _SCALE = 0.25, 40000.0
_BRIGHTEST = 65504.0
"""The largest half float."""
Array = npt.NDArray[Any]


class CutoutSink(FileSink):
    """Writes a folder of cropped images with alpha, a folder in it for each track, and the table."""

    needs_masks: ClassVar[bool] = True
    folder: ClassVar[bool] = True
    results: ClassVar[bool] = True
    looks: ClassVar[bool] = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: SourceInfo,
        codec: str = "auto",
        shape: Shape | None = None,
        **place: Unpack[FileOptions],
    ) -> None:
        super().__init__(path, info, **place)
        if codec not in _KINDS and codec not in CODECS:
            raise OutputError(f"{self.name}: {codec!r} is no kind of cut-out; allowed: {', '.join(_KINDS)}")
        if codec not in _KINDS:
            self.warnings.append(f"{self.name}: {codec} is a codec of videos; the cut-outs are PNG")
        self._suffix = _KINDS.get(codec, ".png")
        self._shape = shape or Shape()
        self._inner = Shape(grow=min(0.0, self._shape.grow), holes=self._shape.holes)
        self._names = FileNames()
        self._folders: dict[int, str] = {}
        self._table: OutputFile | None = None
        self._first: Frame | None = None
        self._untracked = 0

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        place: FileOptions = {"overwrite": request.overwrite, "source": request.source}
        return cast("Sink", cls(request.path, request.info, request.codec, request.shape, **place))

    def open(self) -> None:
        """Check and make the folder. Raises OutputError, or MissingExtra where EXR is asked for and cannot be written."""
        if self._suffix == ".exr":
            need("OpenEXR")
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is not a folder; choose another name")
        if (self.path / _TABLE).exists() and not self._overwrite:
            raise OutputExists(f"{self.path}: cut-outs are there already; pass --overwrite or choose another folder")
        make_folder(self.path)
        if not os.access(self.path, os.W_OK):
            raise OutputError(f"{self.path}: no permission to write here; choose another place or change the permissions")

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write an image for each track of one frame. Raises OutputError."""
        result = rendered.result
        self._first = self._first or result.frame
        self._untracked += int(np.count_nonzero(result.instances.track_ids == 0))
        cores = {each.instance: each for each in covers(result, self._inner)}
        tracked = [each for each in covers(result, self._shape) if result.instances.track_ids[each.instance] > 0]
        seen = [_Cut(shown, cores[each.instance]) for each in tracked if (shown := _cropped(each)) is not None]
        self.counters.frames += 1
        try:
            if self._table is None:
                self._table = OutputFile(self.path / _TABLE, self._overwrite)
                self._table.append(csv_line(_COLUMNS, end="\n"))
            if seen:
                source = self._source_of(rendered)
                for cut in sorted(seen, key=lambda each: each.shown.instance):
                    self._write(result, cut, source)
        except (OSError, av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(f"{self.name}: writing it failed: {reason}; the cut-outs before are kept") from error

    def _write(self, result: Result, cut: _Cut, source: Signal | Array) -> None:
        found, frame, i = result.instances, result.frame, cut.shown.instance
        track, (x0, y0, x1, y1) = int(found.track_ids[i]), cut.shown.region
        file = f"{self._folder(track, found)}/{frame.index:06d}{self._suffix}"
        if isinstance(source, Signal):
            self.counters.bytes += self._exr(self.path / file, result, cut, source)
        else:
            data = _image(source, cut, self._suffix, result)
            replace_atomically(self.path / file, data)
            self.counters.bytes += len(data)
        place = (x0, y0, x1 - x0, y1 - y0, frame.width, frame.height)
        about = (
            frame.index,
            f"{frame.time:.6f}",
            track,
            found.track_names.get(track, ""),
            found.names[i],
            f"{float(found.scores[i]):.4f}",
        )
        assert self._table is not None
        self._table.append(csv_line((file, *about, *place), end="\n"))

    def _folder(self, track: int, found: Instances) -> str:
        """The name of a track's folder: as a person called it, or its class and number."""
        if track not in self._folders:
            name = found.names[found.track_ids.tolist().index(track)]
            self._folders[track] = self._names(found.track_names.get(track) or f"{name}#{track}", str(track))
            make_folder(self.path / self._folders[track])
        return self._folders[track]

    def _source_of(self, rendered: RenderedPicture) -> Signal | Array:
        """The whole frame as it is cut: of EXR its signal, else RGB(A), [h, w, 3 or 4], 8 or 16 bits."""
        frame = rendered.result.frame
        if self._suffix == ".exr":
            assert self._first is not None
            self._curve = curve_of(rendered, self._info, linear=True)
            self._about = header.attributes(frame, rendered.picture, self._info, self._curve, self._first, linear=True)
            return signal(rendered.picture, interlaced=frame.field_order is not None)
        still = to_still(
            on_host(rendered.picture),
            big_endian=False,
            interlaced=frame.field_order is not None,
            source_depth=self._info.bit_depth,
        )
        array = views(still).planes[0].array
        # A copy: the view does not keep the picture's memory alive.
        return array.copy() if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)

    def _exr(self, path: Path, result: Result, cut: _Cut, source: Signal) -> int:
        import OpenEXR

        x0, y0, x1, y1 = cut.shown.region
        rgb = source.rgb if source.rgb.shape[2] == 3 else np.repeat(source.rgb, 3, axis=2)
        # Codes of 16 bits with room for what is beyond black and white; what is not changed keeps all of its digits.
        codes = np.clip(np.rint((rgb + _BELOW) * _SCALE), 0, _TOP).astype(np.uint16)
        cleaned, plain = cut.clean(codes, result), codes[y0:y1, x0:x1]
        shown = np.where(cleaned == plain, rgb[y0:y1, x0:x1], cleaned / np.float32(_SCALE) - np.float32(_BELOW))
        alpha = cut.shown.coverage.astype(np.float32) / _TOP
        if source.alpha is not None:
            alpha = alpha * source.alpha[y0:y1, x0:x1]
        half = np.clip(self._curve.to_light(shown.astype(np.float32)) * alpha[..., None], -_BRIGHTEST, _BRIGHTEST)
        channels = {letter: np.ascontiguousarray(half[..., i], np.float16) for i, letter in enumerate("RGB")}
        window = {
            "dataWindow": ((x0, y0), (x1 - 1, y1 - 1)),
            "displayWindow": ((0, 0), (result.frame.width - 1, result.frame.height - 1)),
            "compression": OpenEXR.ZIPS_COMPRESSION,
        }
        return write(path, self._about | window, channels | {"A": alpha.astype(np.float16)}, 1)

    def close(self) -> None:
        """Nothing is pending. Says what is in no cut-out."""
        self.abort()
        if self._untracked:
            self.warnings.append(f"{self.name}: {self._untracked} masks that belong to no track yet are left out")
            self._untracked = 0

    def abort(self) -> None:
        """Every file is whole already."""
        if self._table is not None:
            self._table.close()


class _Cut(NamedTuple):
    """One object that is cut out of a frame."""

    shown: Cover
    """What of each pixel is kept, in the region of the crop."""
    core: Cover
    """What the object covers, without a soft edge or one moved outwards."""

    def clean(self, colours: Array, result: Result) -> Array:
        """The crop of `colours` [frame height, frame width, 3 or 4], 8 or 16 bits, as RGB, its edges with the colours inside."""
        height, width = colours.shape[:2]
        unit = min(width, height) / 1080
        margin = max(_MARGIN, 2 * round(unit * _MARGIN))
        x0, y0, x1, y1 = self.shown.region
        left, top, right, bottom = window = (
            max(0, x0 - margin),
            max(0, y0 - margin),
            min(width, x1 + margin),
            min(height, y1 + margin),
        )
        alpha, core = _in_window(self.shown, window), _in_window(self.core, window)
        rgb = colours[top:bottom, left:right, :3]
        opaque = np.full((*rgb.shape[:2], 1), np.iinfo(rgb.dtype).max, rgb.dtype)
        picture = frame_of(
            on_host(result.frame.picture), np.dstack([rgb, opaque]), "rgba" if rgb.dtype == np.uint8 else "rgba64le"
        )
        decontaminate(picture, (core >> 8).astype(np.uint8), alpha, unit, interlaced=result.frame.field_order is not None)
        cleaned: Array = views(picture).planes[0].array[y0 - top : y1 - top, x0 - left : x1 - left, :3].copy()
        return cleaned


def _in_window(cover: Cover, window: Region) -> npt.NDArray[np.uint16]:
    """The coverage over `window`, 0 where there is none."""
    x0, y0, x1, y1 = cover.region
    left, top, right, bottom = max(x0, window[0]), max(y0, window[1]), min(x1, window[2]), min(y1, window[3])
    whole = np.zeros((window[3] - window[1], window[2] - window[0]), np.uint16)
    if right > left and bottom > top:
        part = cover.coverage[top - y0 : bottom - y0, left - x0 : right - x0]
        whole[top - window[1] : bottom - window[1], left - window[0] : right - window[0]] = part
    return whole


def _cropped(cover: Cover) -> Cover | None:
    """Without the rows and columns around it in which nothing is; None: there is nothing."""
    rows, columns = (np.flatnonzero(cover.coverage.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    x0, y0 = cover.region[:2]
    region: Region = (int(x0 + left), int(y0 + top), int(x0 + right), int(y0 + bottom))
    return Cover(cover.instance, region, cover.coverage[top:bottom, left:right])


def _image(source: Array, cut: _Cut, suffix: str, result: Result) -> bytes:
    """A file of the crop with what is kept as straight alpha; where the picture is transparent, so is the crop."""
    x0, y0, x1, y1 = cut.shown.region
    deep = source.dtype != np.uint8
    top = _TOP if deep else 255
    alpha = cut.shown.coverage.astype(np.float32) * np.float32(top / _TOP)
    if source.shape[2] == 4:
        alpha *= source[y0:y1, x0:x1, 3].astype(np.float32) / np.float32(top)
    shown = np.dstack([cut.clean(source, result), np.rint(alpha).astype(source.dtype)])
    name = ("rgba64be" if suffix == ".png" else "rgba64le") if deep else "rgba"
    still = frame_of(on_host(result.frame.picture), shown, name)
    encoder = image_encoder(still, suffix)
    data = b"".join(bytes(packet) for packet in encoder.encode(still))
    return _with_offset(data, cut.shown.region) if suffix == ".png" else data


def _with_offset(png: bytes, region: Region) -> bytes:
    """A PNG that says where it belongs: the chunk oFFs, in pixels, behind the header (PNG extensions 1.5.0, 3.1)."""
    chunk = b"oFFs" + struct.pack(">iiB", region[0], region[1], 0)
    head = 8 + 25  # the signature, and IHDR with its length, name and checksum
    return png[:head] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[head:]
