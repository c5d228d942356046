"""EXR sequences: one file a frame, of one part, that holds the picture and all that was found in it.

    R G B A          half float, premultiplied: the picture with the effects of its output, by default the source's own
    person_3.A       half, 0 to 1: the matte of a track (or of a class), the whole of it
    id.X  order.Z    the track that shows at a pixel, and how far in front it is
    CryptoObject00.R ... CryptoClass02.A   float: Cryptomatte by track and by class

R, G and B are linear light or the source's own signal (`ExrOptions.light`); the header says which, and its primaries, rate and
timecode.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

import av
import numpy as np
import numpy.typing as npt

from streamseg.composite.shape import Shape
from streamseg.core.exr_options import ExrOptions
from streamseg.encode.exr import header, mattes
from streamseg.encode.exr.cryptomatte import Ranks, metadata
from streamseg.encode.exr.names import layer_name
from streamseg.encode.exr.write import colour, curve_of, need, write
from streamseg.encode.file_sink import FileOptions
from streamseg.encode.images.sequence import ImageSink
from streamseg.encode.sink import OutputRequest, RenderedPicture, Sink
from streamseg.encode.video.codecs import CODECS
from streamseg.errors import OutputError

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.types import Frame, Instances
    from streamseg.decode import SourceInfo

__all__ = ["ExrSink"]

_COMPRESSIONS: Mapping[str, str] = MappingProxyType(
    {name: f"{name.upper()}_COMPRESSION" for name in ("zips", "zip", "piz", "rle")}
)
_LOSSY: Mapping[str, str] = MappingProxyType({name: f"{name.upper()}_COMPRESSION" for name in ("dwaa", "dwab")})
_MOST_ALWAYS = 32
"""Layers that stand in every file, also where nothing is in them: each costs the time of an empty picture."""
_OBJECTS, _CLASSES = "CryptoObject", "CryptoClass"


class ExrSink(ImageSink):
    """Writes each picture and its masks as an EXR, numbered by the frame's index in the source."""

    needs_masks: ClassVar[bool] = True
    plain: ClassVar[bool] = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: SourceInfo,
        options: ExrOptions | None = None,
        compression: str = "auto",
        threads: int = 0,
        shape: Shape | None = None,
        **place: Unpack[FileOptions],
    ) -> None:
        super().__init__(path, info, **place)
        self._options = options or ExrOptions()
        self._compression = self._checked(compression)
        self._shape = shape or Shape()
        self._threads = threads or os.cpu_count() or 1
        self._first: Frame | None = None
        self._names: dict[int, str] = {}
        self._always: tuple[str, ...] = ()
        self._layers: dict[str, str] = {}
        self._empty: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
        self._untracked = 0

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        request.note.check(str(request.path), ".exr")
        place: FileOptions = {"overwrite": request.overwrite, "source": request.source}
        made = cls(request.path, request.info, request.exr, request.codec, request.threads, request.shape, **place)
        made._keeper = request.keeper
        return cast("Sink", made)

    def _checked(self, compression: str) -> str:
        """The constant of OpenEXR that `compression` means."""
        if compression in _LOSSY:
            if self._options.cryptomatte != "none":
                raise OutputError(
                    f"{self.name}: {compression} is lossy, which Cryptomatte's ids cannot bear; choose one of "
                    f"{', '.join(_COMPRESSIONS)}, or leave Cryptomatte out with --exr 'cryptomatte: none'"
                )
            return _LOSSY[compression]
        if compression == "none":
            return "NO_COMPRESSION"
        if compression in _COMPRESSIONS:
            return _COMPRESSIONS[compression]
        if compression != "auto":
            if compression not in CODECS and compression not in av.codecs_available:
                allowed = ", ".join([*_COMPRESSIONS, *_LOSSY, "none"])
                raise OutputError(f"{self.name}: {compression!r} is no compression of EXR; allowed: auto, {allowed}")
            self.warnings.append(f"{self.name}: {compression} is a codec of videos; these images are compressed with zips")
        return _COMPRESSIONS["zips"]

    def open(self) -> None:
        """Check and make the folder. Raises OutputError, or MissingExtra without the packages that write EXR."""
        need("OpenEXR", "mmh3")
        super().open()

    def expect(self, tracks: Mapping[int, tuple[str, str]]) -> None:
        """Say before the first picture who will be seen: track → (what it is called, its class).

        All files then have the same layers and manifests, unless there would be very many layers.
        """
        self._names.update({track: called for track, (called, _) in sorted(tracks.items())})
        kinds = (("track", [called for called, _ in tracks.values()]), ("class", sorted({name for _, name in tracks.values()})))
        wanted = [name for kind, names in kinds if self._options.layers in (kind, "both") for name in names]
        if len(wanted) <= _MOST_ALWAYS:
            self._always = tuple(map(self._layer, dict.fromkeys(wanted)))
        else:
            self.warnings.append(
                f"{self.name}: {len(wanted)} tracks would be {len(wanted)} layers: a file holds those alone that are seen in it; "
                "choose some with --select, or use Cryptomatte, which holds all"
            )

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one file. Raises OutputError."""
        self._first = self._first or rendered.result.frame
        # Also of a frame whose file an earlier run has written: later files depend on who was seen in it.
        named = self._named(rendered.result.instances)
        self._untracked += named["track"].count("")
        for kind, names in named.items():
            if self._options.layers in (kind, "both"):
                self._layer_of(names)
        super().__call__(rendered)

    def _write(self, path: Path, rendered: RenderedPicture, interlaced: bool) -> int:
        import OpenEXR

        result = rendered.result
        assert self._first is not None
        linear = self._options.light == "linear"
        curve = curve_of(rendered, self._info, linear=linear)
        attributes = header.attributes(result.frame, rendered.picture, self._info, curve, self._first, linear=linear)
        channels: dict[str, Any] = colour(rendered.picture, curve, interlaced=interlaced, associated=self._associated(rendered))
        added, described = self._masks(result)
        attributes |= described | {"compression": getattr(OpenEXR, self._compression)}
        return write(path, attributes, channels | added, self._threads)

    def _associated(self, rendered: RenderedPicture) -> bool:
        return self._info.codec == "exr" and rendered.picture is rendered.result.frame.picture

    def _masks(self, result: Result) -> tuple[dict[str, Any], dict[str, str]]:
        """Channels beside the colour, and the attributes that describe them."""
        found, options, frame = result.instances, self._options, result.frame
        shape = (frame.height, frame.width)
        empty = self._empty.setdefault(shape, np.zeros(shape, np.float32))
        seen = mattes.covers(result, self._shape)
        named = self._named(found)
        channels: dict[str, Any] = mattes.id_and_order(seen, found.track_ids, empty)
        nothing = empty.astype(np.float16)
        channels |= {f"{layer}.A": nothing for layer in self._always}
        for kind, names in named.items():
            if options.layers in (kind, "both"):
                channels |= mattes.matte_layers(seen, self._layer_of(names), nothing)
        kinds, described = {}, dict[str, str]()
        if options.cryptomatte in ("track", "both"):
            kinds[_OBJECTS] = (named["track"], list(dict.fromkeys(self._names.values())))
        if options.cryptomatte in ("class", "both"):
            kinds[_CLASSES] = (named["class"], list(found.class_names))
        ranks = [Ranks(frame.width, frame.height, options.ranks, empty) for _ in kinds]
        names_of = {cover.instance: [names[cover.instance] for names, _ in kinds.values()] for cover in seen}
        mattes.ranked(seen, names_of, ranks, shape)
        for (kind, (_, manifest)), made in zip(kinds.items(), ranks, strict=True):
            channels |= made.channels(kind)
            described |= metadata(kind, manifest)
        return channels, described

    def _track(self, track: int, name: str, given: Mapping[int, str]) -> str:
        """The name of a track, the same in all frames: given by a person, or its class and number; "": there is none."""
        return self._names.setdefault(track, given.get(track) or f"{name}#{track}") if track > 0 else ""

    def _named(self, found: Instances) -> dict[str, list[str]]:
        """What each instance is called as a track, and as a class."""
        tracks = zip(found.track_ids.tolist(), found.names, strict=True)
        return {"track": [self._track(i, name, found.track_names) for i, name in tracks], "class": found.names}

    def _layer_of(self, names: Sequence[str]) -> dict[int, str]:
        """Instance → layer, of those that have a name."""
        return {i: self._layer(name) for i, name in enumerate(names) if name}

    def _layer(self, name: str) -> str:
        if name not in self._layers:
            self._layers[name] = layer_name(name, set(self._layers.values()))
        return self._layers[name]

    def close(self) -> None:
        """As of images."""
        super().close()
        if self._untracked:
            self.warnings.append(f"{self.name}: {self._untracked} masks that belong to no track yet are in no layer of a track")
