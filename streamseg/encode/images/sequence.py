"""Image files: one PNG, TIFF, JPEG or WebP a picture, numbered; of a source that is a single still the one file that was named.

PNG and TIFF keep what the source has: 16 bit for more than 8, alpha, grey. WebP is 8 bit with alpha, JPEG without; both are lossy.
All hold full-range RGB in the source's primaries and transfer; HDR is not tone-mapped. A file appears under its name only when it
is complete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

import av
import cv2

from streamseg.encode.alpha_note import associated
from streamseg.encode.file_sink import FileOptions, FileSink
from streamseg.encode.image_folder import check_folder, left_there, numbered
from streamseg.encode.images.stills import to_still
from streamseg.encode.sink import Keeper, OutputRequest, RenderedPicture, Sink
from streamseg.encode.video.hdr import left_out
from streamseg.errors import OutputError
from streamseg.pixels import sidedata
from streamseg.pixels.fields import full_chroma
from streamseg.pixels.layouts import layout
from streamseg.pixels.planes import on_host, reformat, supported
from streamseg.system.output_files import Claim, check_file, replace_atomically, sha256_of

if TYPE_CHECKING:
    from streamseg.core.types import Frame
    from streamseg.decode import SourceInfo
    from streamseg.pixels.picture import AnyPicture

__all__ = ["IMAGE_SUFFIXES", "ImageSink", "image_encoder", "names_still"]

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".exr")
"""How names of images end. EXR is written by `streamseg.encode.exr`, the others here."""
_NUMBER = re.compile(r"%(?:0(\d{1,2}))?d")
_DEFAULT = "%06d.png"
_ONE = "one file cannot hold a video; name images by a pattern with one number, such as frames/%06d"
_QUALITY = 95
"""Of JPEG and WebP, from 0 to 100."""


class ImageSink(FileSink):
    """Writes each picture as a file, numbered by the frame's index in the source; the only one under the name that was given."""

    def __init__(self, path: str | os.PathLike[str], info: SourceInfo, **place: Unpack[FileOptions]) -> None:
        super().__init__(path, info, **place)
        self._single = info.kind == "images" and info.frame_count == 1 and names_still(self.name)
        self._folder, self._pattern = (self.path.parent, self.path.name) if self._single else _split(self.name)
        self._encoders: dict[tuple[int, int, str], av.VideoCodecContext] = {}
        self._claim: Claim | None = None
        self._warned = False
        self._premultiplied = False
        self._depth = info.bit_depth
        self._shown: tuple[AnyPicture, bytes] | None = None
        """The last picture and its file: a picture that comes again (a matte in which nothing is) is not encoded again."""
        self._keeper: Keeper | None = None
        self._recalled: set[int] = set()
        """Numbers of the frames whose images an earlier run has written, and that are still to come."""
        self._asked = False

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        if request.alpha and Path(request.path).suffix.lower() in {".jpg", ".jpeg"}:
            raise OutputError(f"{request.path}: JPEG cannot hold transparency; use .png or .tif")
        made = cls(request.path, request.info, overwrite=request.overwrite, source=request.source)
        if request.alpha:
            request.note.check(made.name, Path(made._pattern).suffix.lower())
            made._premultiplied = request.note.premultiplied
        made._depth = max(request.depth, request.info.bit_depth)
        made._keeper = request.keeper
        return cast("Sink", made)

    def open(self) -> None:
        """Check and make the folder. Raises OutputError."""
        if self._single:
            check_file(self.path, self._source, self._overwrite)
            return
        check_folder(self._folder, self._source, self._overwrite, numbered(self._pattern))

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one file. Raises OutputError."""
        if self._single and self.counters.frames:
            raise OutputError(f"{self.path}: {_ONE}{self.path.suffix}")
        path = self._path(rendered.result.frame)
        if rendered.result.frame.index in self._recalled:
            self._recalled.discard(rendered.result.frame.index)
            self.counters.frames += 1
            return
        try:
            if self._claim is None:
                self._claim = Claim(self._folder, self._pattern)
            interlaced = rendered.result.frame.field_order is not None
            if interlaced and not self._warned:
                self._warned = True
                self.warnings.append(
                    f"{self._folder}: interlaced: each image holds the lines of two moments; use --deinterlace frame"
                )
            self.counters.bytes += self._write(path, rendered, interlaced)
            if self._keeper is not None:
                self._keeper.note(path.name, sha256_of(path))
        except (OSError, av.FFmpegError, ValueError, cv2.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"{path}: writing it failed: {reason}; {self.counters.frames} images before it are kept"
            ) from error
        self.counters.frames += 1

    def expected(self) -> float:
        """See OutputKind, and `encode.video.sizes` for how far it may be off."""
        deep = 2 if self._info.bit_depth > 8 else 1
        bits = {".jpg": 2.5, ".jpeg": 2.5, ".webp": 2.0, ".exr": 40.0}.get(Path(self._pattern).suffix.lower(), 11.0 * deep)
        return bits * self._info.width * self._info.height / 8

    def recalls(self, frame: Frame) -> bool:
        """See OutputKind. The first picture is always drawn: what is said of a film is said of it."""
        if self._keeper is None:
            return False
        first, self._asked = not self._asked, True
        path = self._path(frame)
        digest = self._keeper.digest(path.name)
        try:
            whole = digest is not None and sha256_of(path) == digest
        except OSError:
            return False
        if whole and not first:
            self._recalled.add(frame.index)
        return whole and not first

    def _path(self, frame: Frame) -> Path:
        return self._folder / (self._pattern if self._single else self._pattern % frame.index)

    def _write(self, path: Path, rendered: RenderedPicture, interlaced: bool) -> int:
        """Write one file whole, or nothing, and give its size in bytes. May raise what `__call__` catches."""
        if self._shown is None or self._shown[0] is not rendered.picture:
            data = self._encode(on_host(rendered.picture), path.suffix.lower(), interlaced)
            self._shown = (rendered.picture, data)
        replace_atomically(path, self._shown[1])
        return len(self._shown[1])

    def _encode(self, picture: av.VideoFrame, suffix: str, interlaced: bool) -> bytes:
        if suffix in {".jpg", ".jpeg", ".webp"}:
            self._say_left_out(suffix, ())
            return _lossy(picture, suffix, interlaced)
        still = to_still(picture, big_endian=suffix == ".png", interlaced=interlaced, source_depth=self._depth)
        self._say_left_out(suffix, sidedata.copies(still) if self._info.beside and not self.counters.frames else ())
        data = b"".join(bytes(packet) for packet in self._encoder(still, suffix).encode(still))
        return associated(data) if self._premultiplied and suffix.startswith(".tif") else data

    def _say_left_out(self, suffix: str, given: Iterable[sidedata.Kept]) -> None:
        """With the first picture."""
        if not self.counters.frames and (lost := left_out(suffix, self._info.beside, given)):
            self.warnings.append(f"{self.name}: left out, because streamseg cannot write it to {suffix} images: {lost}")

    def _encoder(self, picture: av.VideoFrame, suffix: str) -> av.VideoCodecContext:
        key = (picture.width, picture.height, picture.format.name)
        context = self._encoders.get(key)
        if context is None:
            context = self._encoders[key] = image_encoder(picture, suffix)
        return context

    def close(self) -> None:
        """Nothing is pending: every file is complete. Warns of images from an older run that are still there."""
        self.abort()
        if self._single or not (self.counters.frames and self._overwrite):
            return
        if words := left_there(self._folder, numbered(self._pattern), self.counters.frames):
            self.warnings.append(words)

    def abort(self) -> None:
        """As `close`, without a word."""
        if self._claim is not None:
            self._claim.release()


def image_encoder(picture: av.VideoFrame, suffix: str) -> av.VideoCodecContext:
    """What makes PNG or TIFF of pictures of the size and format of `picture`."""
    tiff = suffix.startswith(".tif")
    context: av.VideoCodecContext = av.VideoCodecContext.create("tiff" if tiff else "png", "w")
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
    context.time_base = Fraction(1, 25)
    context.thread_count = 1  # frame threads would hold pictures back
    # zlib's fastest level with the "up" filter: 20 ms for 1280x720, against 139 ms at FFmpeg's default for 10 % less.
    context.options = {"compression_algo": "deflate"} if tiff else {"compression_level": "1", "pred": "up"}
    return context


def names_still(name: str) -> bool:
    """Whether an output is the name of one image, without a number."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and "%" not in Path(name).name


def _lossy(picture: av.VideoFrame, suffix: str, interlaced: bool) -> bytes:
    picture = full_chroma(supported(picture)) if interlaced else supported(picture)
    known = layout(picture.format.name)
    clear = suffix == ".webp" and known is not None and known.alpha
    array = reformat(picture, "bgra" if clear else "bgr24").to_ndarray()
    quality = cv2.IMWRITE_WEBP_QUALITY if suffix == ".webp" else cv2.IMWRITE_JPEG_QUALITY
    done, data = cv2.imencode(suffix, array, [quality, _QUALITY])
    if not done:
        raise ValueError(f"pictures of {picture.width}x{picture.height} do not fit into {suffix}")
    return bytes(data)


def _split(name: str) -> tuple[Path, str]:
    """Folder and printf pattern of what the user named. Raises OutputError."""
    path = Path(name)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return path, _DEFAULT
    if len(_NUMBER.findall(path.name)) != 1 or "%" in _NUMBER.sub("", path.name):
        raise OutputError(f"{name}: {_ONE}{path.suffix}")
    return path.parent, path.name
