"""An EXR of a made picture and made instances, written as the pipeline does, and read by others."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cryptomatte_api
import numpy as np
import OpenImageIO

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances, Occlusion
from streamseg.decode.info import SourceInfo
from streamseg.encode import Sink, open_sink
from streamseg.pixels.planes import views
from tests.unit.encode.helpers import INFO


def flat(pix_fmt: str, values: tuple[int, ...], tags: tuple[int, int, int, int] = (1, 1, 1, 1), size=(64, 48)) -> av.VideoFrame:
    """One colour: the code of each component; tags: matrix, range, primaries, transfer."""
    made = av.VideoFrame(*size, pix_fmt)
    for plane in views(made).planes:
        plane.array[...] = (
            np.array([values[c] for c in plane.spec.components]).reshape(plane.array.shape[2:]) << views(made).layout.lsb
        )
    made.colorspace, made.color_range, made.color_primaries, made.color_trc = tags
    return made


def occluding(order: list[int]) -> Occlusion:
    """`order`: of each instance, 0 nearest."""
    n = len(order)
    zeros = np.zeros(n, np.float32)
    return Occlusion(zeros, np.zeros(n, np.int64), np.array(order), np.zeros(n, bool), np.zeros((n, 4), np.float32))


def result(picture: av.VideoFrame, found: Instances, order: list[int] | None = None, index: int = 0, **frame: Any) -> Result:
    made = Frame(picture, index, index, Fraction(1, 25), 1, **frame)
    return Result(made, found, None if order is None else occluding(order))


def write(path: Path, results: list[Result], info: SourceInfo = INFO, **options: Any) -> Sink:
    """The closed sink."""
    first = results[0].frame.picture
    info = replace(info, pix_fmt=first.format.name, width=first.width, height=first.height)
    sink = open_sink(path, info, **options)
    sink.open()
    try:
        for each in results:
            sink(Rendered(each, each.frame.picture))
    except BaseException:
        sink.abort()
        raise
    sink.close()
    return sink


def channels(path: Path) -> dict[str, np.ndarray]:
    """By OpenImageIO: name → [height, width], as stored (float16 or float32)."""
    file = OpenImageIO.ImageInput.open(str(path))
    assert file is not None, OpenImageIO.geterror()
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, "float")
    file.close()
    kinds = [np.float16 if str(spec.channelformat(i)) == "half" else np.float32 for i in range(spec.nchannels)]
    return {name: pixels[..., i].astype(kinds[i]) for i, name in enumerate(spec.channelnames)}


def attributes(path: Path) -> dict[str, Any]:
    """The header, by OpenImageIO."""
    file = OpenImageIO.ImageInput.open(str(path))
    found = {each.name: each.value for each in file.spec().extra_attribs}
    file.close()
    return found


def mattes(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Cryptomattes by their kind, each by name, as the API of Cryptomatte decodes them; "" is where nothing is."""
    return {each.metadata().name(): each.masks() for each in cryptomatte_api.Cryptomatte.load(str(path))}
