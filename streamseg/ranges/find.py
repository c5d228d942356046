"""find: who is who in a range, and all that is worked out behind the network. It goes on where the range before ended.

The trunk of the pipeline runs as ever, from what the network has said (`look`). Behind the range's last frame its stages are frozen
as they stand: they may hold frames that they have not given yet, which the next range then decodes again.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.decode.stretch import Stretch
from streamseg.errors import ResultsError
from streamseg.pipeline.camera import camera_of
from streamseg.pipeline.context import Context
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.stages import Made as Stages
from streamseg.pipeline.stages import make, steps
from streamseg.pipeline.where import fixes_of
from streamseg.pixels.memory import format_bytes
from streamseg.ranges.found import FoundWriter, PlainWriter
from streamseg.ranges.look import LOOKS
from streamseg.ranges.order import FilmOrder, Made
from streamseg.ranges.sources import NotDivisible, stretch_of
from streamseg.ranges.state import freeze, thaw
from streamseg.record import Results
from streamseg.record.chunks import FRAME, chunk
from streamseg.record.frames import pack
from streamseg.runtime import Branch, Runtime, Stage
from streamseg.system.callbacks import Message

__all__ = ["NOTED", "find", "stages_behind", "unfreezable"]

NOTED = struct.Struct("<qqI")
"""In front of each chunk in a `record` file: the frame's number, its pts, and bytes of the chunk."""
_BEHIND_RECORD = ("refine", "smooth", "link", "track", "learn", "ignore", "shield")


def find(order: FilmOrder, k: int, on_message: Message | None = None) -> Made:
    """Work out range `k`. Needs its answers, and the state behind the range before. Raises StreamsegError."""
    first, end = order.frames(k)
    frozen, held = _state_before(order, k)
    source = stretch_of(order, min([*held, first]), end)
    info = source.open()
    writers = {name: writer(order.folder / name) for name, writer in _writers(order, k).items()}
    found, record = writers[order.found(k)], writers.get(order.record(k))
    assert isinstance(found, FoundWriter)
    answers = Results(order.folder / order.answers(k))
    try:
        begun = _Begun(source, first, frozenset(held))
        camera = camera_of(order.config, info, on_message if k == 0 else None)
        fixes = fixes_of(order.config, order.source, source.decoder, None, info)
        size = format_bytes(info.pix_fmt, info.width, info.height)
        context = Context(order.config, order.spec, None, frame_bytes=size, fixes=fixes, camera=camera)
        made = stages_behind(context)
        if frozen:
            made = _thawed(made, thaw(frozen, lambda told: begun.held[told[0]], order.state(k - 1)))
        trunk: list[tuple[str, Stage]] = [("answers", _Answers(answers)), *made.stages]
        if record is not None:
            at = 1 + max((i for i, (name, _) in enumerate(trunk) if name in _BEHIND_RECORD), default=0)
            trunk.insert(at, ("record", _Recorder(record)))
        branch = Branch("found", [("found", _Taker(found))])
        Runtime(begun, trunk, [branch], capacity=context.room, joined=made.joined, flushes=end is None).run()
        state = PlainWriter(order.folder / order.state(k))
        writers[order.state(k)] = state
        data, frames = _frozen(made, info.name)
        state.put(json.dumps(frames).encode() + b"\n" + data)
        return Made([(name, writer.finish()) for name, writer in writers.items()], source.warnings)
    except BaseException:
        for writer in writers.values():
            writer.discard()
        raise
    finally:
        source.close()
        answers.close()


def stages_behind(context: Context) -> Stages:
    """The stages of the trunk behind the network, as they begin. Raises StreamsegError."""
    chosen = [step for step in steps(extra_steps(context.config)) if step.name not in LOOKS]
    return make(chosen, "trunk", context)


def unfreezable(context: Context) -> str | None:
    """The name of a stage that cannot go on elsewhere; None: all can."""
    for name, stage in stages_behind(context).stages:
        try:
            thaw(freeze(stage)[0], lambda told: None, name)  # type: ignore[arg-type,return-value]
        except Exception:  # of a stage of the user's own anything
            return name
    return None


def _frozen(made: Stages, name: str) -> tuple[bytes, list[int]]:
    """The stages as they stand. Raises NotDivisible where one has come to hold what cannot be frozen."""
    try:
        return freeze(made.stages)
    except Exception as error:
        stage = next((each for each, stage in made.stages if not _freezes(stage)), "one of them")
        raise NotDivisible(f"{name}: the stage {stage} cannot go on in another process ({error})") from error


def _freezes(stage: object) -> bool:
    try:
        freeze(stage)
    except Exception:
        return False
    return True


def _writers(order: FilmOrder, k: int) -> dict[str, type[PlainWriter]]:
    kept: dict[str, type[PlainWriter]] = {order.found(k): FoundWriter}
    return kept if order.config.results.keep == "off" else kept | {order.record(k): PlainWriter}


def _state_before(order: FilmOrder, k: int) -> tuple[bytes, list[int]]:
    """The stages behind the range before, frozen, and the frames that they hold."""
    if k == 0:
        return b"", []
    path = order.folder / order.state(k - 1)
    try:
        head, _, frozen = path.read_bytes().partition(b"\n")
        return frozen, [int(each) for each in json.loads(head)]
    except (OSError, ValueError, TypeError) as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error


def _thawed(fresh: Stages, stages: Any) -> Stages:
    """The stages as they stood, with what they were given anew when they were made."""
    for (_, stage), (_, made) in zip(stages, fresh.stages, strict=True):
        if (given := getattr(stage, "given_as", None)) is not None:
            given(made)
    return Stages(list(stages), fresh.joined)


class _Begun:
    """The frames of a range, as a source; those before it that stages hold are decoded at once, and not given."""

    def __init__(self, source: Stretch, first: int, wanted: frozenset[int]) -> None:
        self._source, self._frames = source, source.frames()
        self.held: dict[int, Frame] = {}
        self._ahead: Frame | None = None
        for frame in self._frames:
            if frame.index >= first:
                self._ahead = frame
                break
            if frame.index in wanted:
                self.held[frame.index] = frame

    def frames(self) -> Iterator[Frame]:
        """Those of the range."""
        self.held = {}
        if self._ahead is not None:
            yield self._ahead
        yield from self._frames

    def stop(self) -> None:
        self._source.stop()

    def close(self) -> None:
        self._source.close()


class _Answers:
    """Stands for all stages that look."""

    def __init__(self, answers: Results) -> None:
        self._answers = answers

    def __call__(self, frame: Frame) -> Result:
        record = self._answers[frame.index]
        if record.pts != frame.pts:
            raise ResultsError(f"{self._answers.path}: frame {frame.index} is of another film")
        return record.of(frame)


class _Recorder:
    """Notes what goes into a results file."""

    def __init__(self, writer: PlainWriter) -> None:
        self._writer = writer

    def __call__(self, result: Result) -> Result:
        data = chunk(FRAME, pack(result))
        self._writer.put(NOTED.pack(result.frame.index, result.frame.pts, len(data)) + data)
        return result


class _Taker:
    """Takes results into a file."""

    def __init__(self, writer: FoundWriter) -> None:
        self._writer = writer

    def __call__(self, result: Result) -> None:
        self._writer.add(result)
