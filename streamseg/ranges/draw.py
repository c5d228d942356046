"""draw: the pictures of a range, drawn and encoded into the parts of each video that they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from streamseg.composite import Compositor, Rendered
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.decode.address import as_source
from streamseg.decode.stretch import Stretch
from streamseg.encode import copies_tracks
from streamseg.encode.video.segments import PartsEncoder
from streamseg.encode.video.sink import VideoSink
from streamseg.errors import ResultsError
from streamseg.pipeline import opening
from streamseg.pipeline.outputs import Target, plan
from streamseg.pixels.planes import on_host
from streamseg.ranges.found import PlainWriter, read_found
from streamseg.ranges.kept import Kept
from streamseg.ranges.order import FilmOrder, Made
from streamseg.ranges.sources import stretch_of
from streamseg.ranges.state import freeze, thaw
from streamseg.runtime import Branch, Runtime
from streamseg.system.callbacks import Message

__all__ = ["Head", "draw", "looks_back", "videos"]


def draw(order: FilmOrder, k: int, on_message: Message | None = None) -> Made:
    """Draw range `k`. Needs what was found in it, also in the range behind it, which has the frames that were held.

    Raises StreamsegError.
    """
    first, end = order.frames(k)
    source = stretch_of(order, first, end)
    source.open()
    with contextlib.ExitStack() as undo:
        undo.callback(source.close)
        head = undo.enter_context(Head(order))
        drawing = _drawing(order, k, head.targets)
        branches, encoders = [], []
        for target in head.targets:
            encoder = head.sink(target).parts_from(order.parts(k)[0], head.rendered(target))
            undo.callback(encoder.leave)
            encoders.append(encoder)
            last = _Encoding(encoder)
            branches.append(
                Branch(target.name, [(f"composite {target.name}", drawing[target.name]), (f"encode {target.name}", last)])
            )
        Runtime(_Found(order, k, source), [("found", _Through())], branches, capacity=2).run()
        if end is None:
            for encoder in encoders:
                encoder.finish()
        made = [*head.kept.notes]
        if end is not None and (kept := {t.name: drawing[t.name] for t in head.targets if looks_back(t)}):
            memory = PlainWriter(order.folder / order.memory(k + 1))
            memory.put(freeze(kept)[0])
            made.append((order.memory(k + 1), memory.finish()))
    return Made(made, source.warnings)


def videos(targets: Sequence[Target]) -> list[Target]:
    """Those of a film's outputs that are drawn."""
    return [target for target in targets if copies_tracks(target.path, target.use)]


def looks_back(target: Target) -> bool:
    """Whether what is drawn depends on the frames before: the ranges of such an output are drawn one after the other."""
    return any(effect.looks_back for effect in target.effects)


def _drawing(order: FilmOrder, k: int, targets: Sequence[Target]) -> dict[str, Compositor]:
    """What draws each output, as it stands at the first frame of the range."""
    made = {t.name: Compositor([e for e in t.effects if not e.ahead], keep_grey=t.keep_grey) for t in targets}
    if k and any(map(looks_back, targets)):
        path = order.folder / order.memory(k)
        try:
            frozen = path.read_bytes()
        except OSError as error:
            raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from error
        made |= thaw(frozen, lambda told: None, str(path))  # type: ignore[arg-type,return-value]
    return made


class Head:
    """The first frame of a film, which sets up every output's encoder; and the outputs that are encoded, as sinks."""

    def __init__(self, order: FilmOrder) -> None:
        self._order = order
        self.targets = videos(plan(order.config.outputs, order.outputs, as_source(order.source)))
        self.kept = Kept(order)
        self._source = stretch_of(order, 0, 1)
        self.info = self._source.open()
        self.frame = next(self._source.frames())
        self._sinks: list[Any] = []

    def __enter__(self) -> Head:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks:
            sink.abort()
        self._source.close()

    def sink(self, target: Target) -> VideoSink:
        """The sink of an output, open. Nothing is written by it."""
        order = self._order
        sink = opening.make_sink(
            target, self._source.decoder, self.info, order.source, True, False, None, self.kept, order.config
        )
        assert isinstance(sink, VideoSink)
        sink.open()
        self._sinks.append(sink)
        return sink

    def rendered(self, target: Target) -> Rendered:
        """The film's first picture, drawn."""
        order = self._order
        _, result = next(_all_found(order, 0, 0, 1, [self.frame]), (0, None))
        if result is None:
            raise ResultsError(f"{order.folder}: what was found in frame 0 is missing")
        compositor = Compositor([e for e in target.effects if not e.ahead], keep_grey=target.keep_grey)
        try:
            return compositor(result)
        finally:
            compositor.close()


class _Found:
    """The results of a range with their pictures, as a source."""

    def __init__(self, order: FilmOrder, k: int, source: Stretch) -> None:
        self._order, self._k, self._source = order, k, source

    def frames(self) -> Iterator[Result]:
        order, (first, end) = self._order, self._order.frames(self._k)
        now: list[Frame] = []
        results = _all_found(order, self._k, first, end, now)
        for frame in self._source.frames():
            now[:] = [frame]
            index, result = next(results, (-1, None))
            if result is None or index != frame.index:
                raise ResultsError(f"{order.folder}: what was found in frame {frame.index} is missing")
            yield result

    def stop(self) -> None:
        self._source.stop()

    def close(self) -> None:
        self._source.close()


def _all_found(order: FilmOrder, k: int, first: int, end: int | None, now: list[Frame]) -> Iterator[tuple[int, Result]]:
    """What the files of this range and those behind it hold of it; each frame is put in place of what they say of it."""
    number = first
    for each in range(k, len(order)):
        for index, result in read_found(order.folder / order.found(each), first, end, lambda told: now[0]):
            yield index, result
            number = index + 1
        if number == end:
            return


class _Through:
    def __call__(self, result: Result) -> Result:
        return result


class _Encoding:
    """The last stage of an output."""

    def __init__(self, encoder: PartsEncoder) -> None:
        self._encoder = encoder

    def __call__(self, rendered: Rendered) -> None:
        self._encoder(on_host(rendered.picture), rendered.result.frame)
