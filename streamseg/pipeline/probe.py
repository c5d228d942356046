"""What a source holds, and in sentences what we would do with it."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice, pairwise
from statistics import median
from typing import Any

import av

from streamseg.core.types import Frame
from streamseg.decode.added import find_added
from streamseg.decode.address import parse_source
from streamseg.decode.container import open_container
from streamseg.decode.cut_off import CutOff, cut_off_source
from streamseg.decode.decoder import Decoder
from streamseg.decode.demux import demux
from streamseg.decode.faults import AV_ERRORS, fault
from streamseg.decode.header import is_timeless
from streamseg.decode.info import SourceInfo
from streamseg.decode.reader import PacketReader
from streamseg.decode.shared import inspecting
from streamseg.decode.timeline import HELD_BACK
from streamseg.errors import SourceLost, StreamsegError
from streamseg.pixels import sidedata
from streamseg.pixels.fields import WORDS, FieldOrder

__all__ = ["probe"]

PACKETS = 200
"""How many pictures' times are looked at."""
PICTURES = 12
"""How many are decoded, to see whether they are interlaced."""
LIVE_SECONDS = 2.0
_BESIDE = {
    sidedata.MASTERING: "kept in H.264, HEVC and AV1, left out elsewhere",
    sidedata.LIGHT: "kept in H.264, HEVC and AV1, left out elsewhere",
    sidedata.CAPTIONS: "kept in H.264 and HEVC, left out elsewhere",
    sidedata.ICC: "kept in PNG, left out elsewhere",
}
"""What becomes of what lies beside the pictures; see `encode.video.hdr`."""


def probe(source: str | int | os.PathLike[str], *, timeout: float = 5.0, playlists: bool = False) -> dict[str, Any]:
    """Open `source`, decode some pictures, look at the times of the first `PACKETS`; plain data, ready for JSON.

    Raises what `Decoder.open` raises.
    """
    if not isinstance(source, str) or find_added(source) is None:
        parse_source(
            source, timeout=timeout, playlists=playlists
        )  # pictures of a program would be taken away by a look at them
    with Decoder(source, timeout=timeout, playlists=playlists, reconnect=0.0) as decoder:
        info = decoder.info
        others = _outlook(decoder)
        if info.kind == "file":
            orders = _orders(decoder)
            times = _file_times(source, info, playlists)
        else:
            orders = [info.field_order]
            times = _frame_times(decoder.frames(), LIVE_SECONDS if info.kind != "images" else 0.0)
        warnings = list(decoder.warnings)
    if times.cut is not None:
        warnings.append(_cut_words(times.cut, info))
    timing = _timing(times, info)
    whole = not times.seams and times.stops is None and times.cut is None
    return {
        "source": info.name,
        "kind": info.kind,
        "live": info.live,
        "container": info.container,
        "duration": info.duration if whole else None,
        "video": {
            "stream": info.video_index,
            "codec": info.codec,
            "width": info.width,
            "height": info.height,
            "pix_fmt": info.pix_fmt,
            "bit_depth": info.bit_depth,
            "scan": (scan := _scan(orders)),
            "rotation": info.rotation,
            "mirrored": info.mirrored,
            "sample_aspect_ratio": None if info.sample_aspect_ratio is None else str(info.sample_aspect_ratio),
            "color": info.color.names,
            "hdr": info.color.is_hdr,
            "alpha": any(component.is_alpha for component in av.VideoFormat(info.pix_fmt).components),
            "beside": list(sidedata.kinds(info.beside).values()),
        },
        "timecode": None if info.timecode is None else str(info.timecode),
        "reel_name": info.reel or None,
        "timing": timing,
        "streams": [asdict(stream) for stream in info.streams],
        "metadata": info.metadata,
        "plan": list(_plan(info, timing, scan, others)),
        "warnings": warnings,
    }


@dataclass(frozen=True, slots=True)
class _Times:
    """When the first pictures are shown, in units of the stream's time base, as a run would have it."""

    ticks: list[int]
    """Ascending."""
    missing: int
    """So many have no time of their own."""
    seams: int = 0
    """So often a new clock begins: films were joined."""
    stops: str | None = None
    """Why a run would end within these pictures."""
    every: bool = False
    """These are all pictures that the source has."""
    counted: bool = True
    """The header tells how many pictures there are, not only for how long they are shown."""
    reorders: bool = False
    """Pictures that are shown before the last of these may come later."""
    cut: CutOff | None = None
    """What is missing at the end of the file."""

    def steps(self, time_base: Fraction) -> list[float]:
        """Seconds between pictures, as far as no picture that comes later can lie between them."""
        unsure = HELD_BACK if self.reorders and (self.cut is not None or not self.every) else 0
        known = self.ticks[: max(0, len(self.ticks) - unsure)]
        return [float((b - a) * time_base) for a, b in pairwise(known) if b > a]


def _file_times(source: str | int | os.PathLike[str], info: SourceInfo, playlists: bool) -> _Times:
    """Times of the first packets, without decoding them."""
    problem: StreamsegError | None = None
    address = parse_source(source, playlists=playlists)
    try:
        with open_container(address, timeout=5.0) as container:
            reader = PacketReader(container, inspecting(address))
            made_up = is_timeless(container)
            seen = list(islice(reader.times(demux(container)), PACKETS))
            stops = reader.other_codec
            counted, reorders = bool(reader.stream.frames), bool(reader.stream.codec_context.reorder_depth)
    except AV_ERRORS as error:
        problem = fault(error, info.name)
    if problem:
        raise problem
    times = [None if made_up else pts for pts, _ in seen]
    ticks = sorted(pts for pts in times if pts is not None)
    every, cut = len(times) < PACKETS, cut_off_source(address)
    return _Times(ticks, len(times) - len(ticks), sum(entered for _, entered in seen), stops, every, counted, reorders, cut)


def _frame_times(frames: Iterable[Frame], seconds: float) -> _Times:
    """The same from decoded frames, for sources that cannot be read twice; looks for `seconds` at most."""
    deadline = time.monotonic() + seconds
    seen: list[Frame] = []
    with contextlib.suppress(SourceLost):  # it was there, and is worth describing
        for frame in frames:
            seen.append(frame)
            if len(seen) >= PACKETS or time.monotonic() >= deadline:
                break
    return _Times([f.pts for f in seen if not f.synthetic_pts], sum(f.synthetic_pts for f in seen))


def _timing(times: _Times, info: SourceInfo) -> dict[str, Any]:
    ticks, missing = times.ticks, times.missing
    steps = times.steps(info.time_base)
    variable = _is_variable(steps, info.time_base)
    known = not times.seams and times.stops is None and times.cut is None
    frames = info.frame_count
    if variable and not times.counted:  # the rate tells nothing then
        frames = len(ticks) + missing if times.every else None
    return {
        "time_base": str(info.time_base),
        "rate": None if info.rate is None else str(info.rate),
        "frames": frames if known else None,
        "start": info.start_time,
        "variable": variable,
        "shortest_step": min(steps, default=None),
        "longest_step": max(steps, default=None),
        "looked_at": len(ticks) + missing,
        "without_pts": missing,
        "repeated_pts": sum(a == b for a, b in pairwise(ticks)),
        "seams": times.seams,
        "stops": times.stops,
    }


def _is_variable(steps: list[float], time_base: Fraction) -> bool | None:
    """Whether steps between pictures differ by more than the rounding to the time base; None if too few are known."""
    if len(steps) < 2:
        return None
    return max(steps) - min(steps) > max(2.5 * float(time_base), 0.05 * median(steps))


def _cut_words(cut: CutOff, info: SourceInfo) -> str:
    told = f"; its header says {info.duration:.2f} s" if info.duration else ""
    return (
        f"{info.name}: is cut off: {cut.missing} bytes are missing, at least{told}; a run gives what is there, and ends with an "
        "error if that lacks pictures"
    )


def _orders(decoder: Decoder) -> list[FieldOrder | None]:
    """Of the first pictures; a source that breaks off soon is still worth describing."""
    orders: list[FieldOrder | None] = []
    with contextlib.suppress(StreamsegError):
        orders.extend(frame.field_order for frame in islice(decoder.frames(), PICTURES))
    return orders or [decoder.info.field_order]


def _scan(orders: list[FieldOrder | None]) -> str:
    """Whether the first pictures are interlaced, in words."""
    found = [order for order in orders if order is not None]
    if not found:
        return "progressive"
    words = " and ".join(WORDS[order] for order in sorted(set(found), key=found.index))
    some = "" if len(found) == len(orders) else f" ({len(found)} of the first {len(orders)} pictures, the others progressive)"
    return f"interlaced, {words}{some}"


def _outlook(decoder: Decoder) -> list[str]:
    """What becomes of the other streams: asked of the very rule that outputs go by."""
    from streamseg.encode.video.other_streams import is_silent, what_becomes_of

    through = decoder.subscribe()
    through.close()
    return [what_becomes_of(template) for template in through.streams if not is_silent(template)]


def _plan(info: SourceInfo, timing: dict[str, Any], scan: str, others: list[str]) -> Iterator[str]:
    yield from _picture_plan(info)
    if scan != "progressive":
        yield f"{scan}: fields and their order kept, effects drawn in each; --deinterlace frame makes it progressive"
    yield from _time_plan(info, timing)
    for stream in info.streams:
        if stream.index != info.video_index and stream.type == "video":
            yield f"video stream {stream.index} ({stream.codec}, {stream.detail}) left out: one video is processed"
    yield from others
    if info.timecode is not None:
        yield f"start timecode {info.timecode} kept, advanced by the frames that --start skips (a .ts file cannot hold it)"
    if info.metadata:
        yield f"metadata kept if the container can hold it: {', '.join(sorted(info.metadata))}"


def _picture_plan(info: SourceInfo) -> Iterator[str]:
    if info.rotation or info.mirrored:
        mirrored = "mirrored and " if info.mirrored else ""
        yield f"{mirrored}turned upright by {info.rotation} degrees counter-clockwise; the output carries no rotation tag"
    if info.bit_depth > 8:
        yield f"{info.bit_depth} bit planes kept ({info.pix_fmt})"
    else:
        yield f"planes kept as they are ({info.pix_fmt})"
    if info.color.is_hdr:
        yield f"HDR ({info.color.names['transfer'].upper()}): the output keeps it; the model sees it tone-mapped"
    for name, words in sidedata.kinds(info.beside).items():
        yield f"{words}: {_BESIDE.get(name, 'left out, with a warning')}"
    form = av.VideoFormat(info.pix_fmt)
    if any(component.is_alpha for component in form.components):
        yield "transparency kept in .mov (ProRes 4444), .mkv (FFV1), .webm (VP9), .avi (FFV1), PNG and TIFF, left out elsewhere"
    if form.is_rgb:
        yield "RGB stays RGB in ffv1, utvideo, png, qtrle, h264rgb and in images; other codecs get YUV, which changes it a little"
    if sum(not component.is_alpha for component in form.components) == 1:
        yield "grey: the output gets colour where an overlay is drawn; --keep-grey draws in grey"
    untagged = [name for name, value in info.color.names.items() if value == "unspecified"]
    if untagged and not av.VideoFormat(info.pix_fmt).is_rgb:
        yield f"colour {', '.join(untagged)} untagged: left so; the network's input assumes BT.709 from 720 lines up, BT.601 below"
    if info.width % 2 or info.height % 2:
        yield f"odd size {info.width}x{info.height}: an output in 4:2:0 needs an even one"
    if info.sample_aspect_ratio not in (None, 1):
        yield f"pixels are not square ({info.sample_aspect_ratio}): the tag is kept"


def _time_plan(info: SourceInfo, timing: dict[str, Any]) -> Iterator[str]:
    if info.live:
        yield "live: the oldest frames are dropped rather than falling behind; reconnects when it is lost"
    if timing["variable"]:
        yield f"variable frame rate kept: steps of {timing['shortest_step']:.4f} to {timing['longest_step']:.4f} s"
    elif info.rate is not None:
        yield f"constant frame rate: {float(info.rate):.3f} frames a second, times taken from the pts"
    if timing["seams"]:
        yield (
            f"joined films: the clock begins anew at {timing['seams']} of the first {timing['looked_at']} pictures; the output's "
            "goes on without a gap, and how long it lasts is not known before it is read"
        )
    if timing["stops"]:
        yield f"{timing['stops']}: a run ends there with an error, what came before is good"
    if timing["without_pts"]:
        yield f"no pts: made from {float(info.rate or 25):g} frames a second"
    if timing["repeated_pts"]:
        yield f"{timing['repeated_pts']} of {timing['looked_at']} pts repeat: every frame kept, moved by one tick"
