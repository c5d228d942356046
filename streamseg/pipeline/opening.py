"""What a pipeline opens before its first frame: the source, the outputs, then the engine, which takes longest."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from av.video.format import VideoFormat

from streamseg.composite import colours_grey
from streamseg.config.schema import InferConfig, PipelineConfig
from streamseg.core.parts import part_of
from streamseg.core.types import Frame
from streamseg.decode import Decoder, SourceInfo
from streamseg.decode.frames import Frames, FrameSource
from streamseg.decode.passthrough import KINDS
from streamseg.decode.reconnect import OnLoss
from streamseg.decode.tap import PacketTap
from streamseg.encode import Sink, check_output, copies_tracks, is_view, make_view, open_sink
from streamseg.encode.alpha_note import AlphaNote
from streamseg.encode.kinds import ending_of
from streamseg.encode.video.codecs import CODECS
from streamseg.encode.video.containers import CONTAINERS
from streamseg.encode.video.nvenc import why_not_nvenc
from streamseg.encode.view import MjpegServer
from streamseg.engine import Engine, GraphSpec, computes_on_gpu, open_engine, read_spec
from streamseg.engine.tuned import Choice, file_of_choices, kept, key_of
from streamseg.gpu import Device, DeviceDecoding, choose_device
from streamseg.hub.catalog import extreme_size, is_name, resolve
from streamseg.pipeline import stages
from streamseg.pipeline.answers import Progress
from streamseg.pipeline.dated import DatedSink, Relay, is_dated
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.pace import Paced
from streamseg.pipeline.private import settings
from streamseg.pipeline.split import SplitSink, is_split
from streamseg.system import registry
from streamseg.system.callbacks import Message

__all__ = [
    "FirstFrames",
    "Source",
    "asked_graph",
    "decoder_options",
    "find_device",
    "fitted",
    "input_size",
    "load_engine",
    "make_decoder",
    "make_sink",
    "open_views",
    "say_refused",
    "tuned",
    "use_device",
]

Source = str | int | PathLike[str] | Frames
"""A path, an address, a camera's number, or pictures of a program."""


class FirstFrames:
    """A source that ends after so many frames."""

    def __init__(self, source: Decoder | Paced, count: int) -> None:
        self._source, self._count = source, count

    def frames(self) -> Iterator[Frame]:
        """The first frames of the source."""
        return itertools.islice(self._source.frames(), self._count)

    def stop(self) -> None:
        """As the source's."""
        self._source.stop()

    def close(self) -> None:
        """As the source's."""
        self._source.close()


def find_device(config: PipelineConfig, on_message: Message | None) -> Device | None:
    """Where frames live: on the GPU where the network computes there, else (None) in host memory."""
    return choose_device(config.infer.engine, config.decode.device, require_gpu=config.infer.require_gpu, on_message=on_message)


def say_refused(source: object, config: PipelineConfig, targets: Sequence[Target], on_message: Message | None) -> None:
    """Tell the user of plug-ins that this run does not use, since streamseg itself has a part with the same name."""
    if on_message is None:
        return
    used = [(registry.SOURCES, _scheme(str(source))), (registry.ENGINES, config.infer.engine)]
    used += [(registry.HEADS, config.postprocess.head)]
    for target in targets:
        used.append((registry.SINKS, ending_of(target.path) or _scheme(target.path)))
        used += [(registry.EFFECTS, step.name) for step in target.composite]
    for kind, name in dict.fromkeys(used):
        if (refused := kind.taken(name)) is not None:
            on_message(refused)


def _scheme(address: str) -> str:
    return address.partition("://")[0] if "://" in address else ""


def make_decoder(
    source: Source | FrameSource,
    config: PipelineConfig,
    device: Device | None,
    on_message: Message | None,
    tap: PacketTap | None = None,
    on_loss: OnLoss | None = None,
) -> tuple[Decoder, DeviceDecoding | None]:
    """The source's decoder, not open yet, and what puts its frames on `device`."""
    hardware = None if device is None else DeviceDecoding(device, config.decode.device)
    how = decoder_options(config) | {"hardware": hardware}
    return Decoder(source, **how, on_message=on_message, on_loss=on_loss, tap=tap), hardware


def decoder_options(config: PipelineConfig) -> dict[str, Any]:
    """What a pipeline file says of how a source is read, as options of `Decoder`."""
    policy = config.decode.policy
    how = config.decode.model_dump(exclude={"policy", "device", "end", "max_rate", "stale"}) | {"duration": config.decode.span}
    wait: Literal["likely", "live"] = "live" if policy == "drop_oldest" else "likely"
    return how | {"wait": wait, "keep_up": policy != "block"}


def tuned(config: PipelineConfig, on_message: Message | None = None) -> PipelineConfig:
    """`config` with what `streamseg tune --apply` found for this machine, where it says nothing of these options itself.

    Raises ModelError for a model that is not here, as `load_engine` does.
    """
    infer, usual = config.infer, InferConfig()
    plain = all(getattr(infer, name) == getattr(usual, name) for name in Choice.__slots__)
    if infer.no_tuned or not plain or not is_name(infer.model) or not file_of_choices().is_file():
        return config
    spec = asked_graph(config, on_message)
    if (found := kept(key_of(spec, infer.engine), on_message)) is None or not found[1]:
        return config
    choice, _, day = found
    if on_message is not None:
        on_message(f"tuned: {choice} (found by `streamseg tune` on {day}; --no-tuned leaves it aside)")
    return config.model_copy(update={"infer": infer.model_copy(update=asdict(choice))})


def asked_graph(config: PipelineConfig, on_message: Message | None = None) -> GraphSpec:
    """The fp32 graph that a pipeline asks for, of a model by name, in its size and part. Raises as `hub.catalog.resolve`."""
    part = part_of(config.infer.head, masks=config.postprocess.masks == "auto")
    return read_spec(resolve(config.infer.model, input_size(config), part=part, on_message=on_message))


def input_size(config: PipelineConfig, on_message: Message | None = None) -> tuple[int, int] | None:
    """(H, W) of the network's input that a pipeline asks for; None: the model's own. `on_message` is told of the largest.

    Raises ModelError for a model that is not here.
    """
    asked, model = config.preprocess.size, config.infer.model
    if asked is None or isinstance(asked, tuple):
        return asked
    size = extreme_size(model, asked)
    if size is not None and on_message is not None:
        on_message(_size_taken(size, f"the {asked} that {model} comes with"))
    return size


def fitted(config: PipelineConfig, film: tuple[int, int], on_message: Message | None = None) -> PipelineConfig:
    """`config` with the largest input that a film of that width and height fills, where it asks for the largest.

    Raises ModelError for a model that is not here.
    """
    if config.preprocess.size != "largest" or (size := extreme_size(config.infer.model, "largest", film)) is None:
        return config
    if on_message is not None:
        why = "" if size == extreme_size(config.infer.model, "largest") else f" for pictures of {film[0]}x{film[1]}"
        on_message(_size_taken(size, f"the largest that {config.infer.model} comes with{why}"))
    return config.model_copy(update={"preprocess": config.preprocess.model_copy(update={"size": size})})


def _size_taken(size: tuple[int, int], why: str) -> str:
    return f"size: {size[0]}x{size[1]}, {why}; --size auto takes its usual one"


def load_engine(config: PipelineConfig, on_message: Message | None = None, outputs: Sequence[Target] = ()) -> Engine:
    """The engine that a pipeline asks for, loaded; `on_message` hears which was chosen and why.

    Raises ModelError, EngineError or, before the engine is loaded, ConfigError for classes that the model does not know, and for
    `outputs` that need masks of a model without.
    """
    i = config.infer
    return open_engine(
        i.model,
        engine=i.engine,
        precision=i.precision,
        family=None if i.family == "auto" else i.family,
        part=part_of(i.head, masks=config.postprocess.masks == "auto"),
        size=input_size(config, on_message),
        threads=i.threads,
        in_flight=i.in_flight,
        batch=i.batch,
        require_gpu=i.require_gpu,
        check=lambda spec: stages.check(config, spec, extra_steps(config), outputs),
        on_message=on_message,
    )


def use_device(hardware: DeviceDecoding | None, engine: str, device: Device | None, on_message: Message | None) -> None:
    """Once the engine is known, by its name: upload no frames if it runs on the CPU after all; tell how frames are decoded."""
    if hardware is None or device is None:
        return
    if device.on_gpu and not computes_on_gpu(engine):
        hardware.uploads = False
    if on_message is not None:
        on_message(f"decode: {hardware.how}; frames live on {device.where}")
        if device.on_gpu and (reason := why_not_nvenc()) is not None:
            on_message(f"encode: on the CPU (NVENC: {reason})")


def open_views(targets: Sequence[Target], source: Source | FrameSource, overwrite: bool) -> dict[str, MjpegServer]:
    """Refuse outputs that can be refused before the source is there, which may be a camera that is off; open the views."""
    targets = [target for target in targets if target.sink is None]
    named = source if isinstance(source, str | int | PathLike) else None
    for target in targets:
        check_output(target.path, overwrite=overwrite, source=named, use=target.use)
    with contextlib.ExitStack() as undo:
        views = {}
        for target in targets:
            if target.use is None and is_view(target.path):
                views[target.name] = make_view(target.path, "waiting for the source")
                views[target.name].open()
                undo.callback(views[target.name].close)
        undo.pop_all()
    return views


def _codec(target: Target) -> str:
    """For a file for each track of its own accord one that codes every picture alone: where nothing is seen, once is enough."""
    container = CONTAINERS.get(Path(target.path).suffix.lower())
    alone = container.alpha if container is not None and container.alpha and CODECS[container.alpha].intra else None
    return alone if alone and target.encode.codec == "auto" and is_split(target.path) else target.encode.codec


def _note(target: Target) -> AlphaNote:
    """How the colours of an output's pictures are stored, as the last effect with alpha has it."""
    last = next((effect for effect in reversed(target.effects) if effect.alpha), None)
    return AlphaNote(bool(getattr(last, "premultiplied", False)), bool(getattr(last, "decontaminate", False)))


def _made(make: Callable[..., Sink], path: str, info: SourceInfo) -> Sink:
    return make(path, info=info)


def make_sink(
    target: Target,
    decoder: Decoder,
    info: SourceInfo,
    source: Source | FrameSource,
    overwrite: bool,
    gpu: bool,
    view: MjpegServer | None,
    progress: Progress | None = None,
    config: PipelineConfig | None = None,
) -> Sink:
    """The sink of an output, not open yet; `view`: the one that is open already; `progress`: keeps what is finished.

    `config`: the run's; None: an empty one.
    """
    if target.sink is not None:
        return target.sink
    if view is not None:
        view.title = info.name
    video = copies_tracks(target.path, target.use)
    split, dated = is_split(target.path), is_dated(target.path)
    # Where anything is hidden, the files that the source holds are left out: one of them often is a still of it.
    kinds = [kind for kind in KINDS if kind != "attachment" or config is None or not settings(config)]
    packets = decoder.subscribe(kinds) if video and not split else None
    relay = Relay(packets) if dated and packets is not None else None
    make = partial(
        open_sink,
        info=info,
        use=target.use,
        codec=_codec(target),
        crf=target.encode.crf,
        overwrite=overwrite and not dated,
        source=str(source) if info.kind in ("file", "images", "trip") else None,
        passthrough=relay or packets,
        alpha=any(effect.alpha for effect in target.effects),
        note=_note(target),
        depth=max((effect.asked_bits for effect in target.effects), default=0),
        gpu=gpu,
        audio=target.encode.audio,
        exr=target.encode.exr,
        key_rate=target.encode.key_rate,
        clips=target.encode.clips.noun,
        joints=lambda: decoder.joints,
        threads=1 if split else 0,  # there may be many, and each picture is then encoded at once
        shape=target.encode.shape,
        # Which files there will be is not known; they are made anew.
        keeper=None if progress is None or split or dated else progress.keeper(target.name),
    )
    sink: Sink
    if split:
        sink = SplitSink(target.path, make, video=video, overwrite=overwrite)
    elif dated:
        sink = DatedSink(target.path, info, partial(_made, make), segment=target.encode.segment, relay=relay)
    else:
        sink = view or make(target.path)
    with contextlib.suppress(ValueError):  # a format that PyAV does not know: it is not grey
        if not target.keep_grey and colours_grey(target.effects, VideoFormat(info.pix_fmt)):
            sink.warnings.append(
                f"{target.path}: the source is grey, what is drawn has colour, so the output has; --keep-grey: not"
            )
    return sink
