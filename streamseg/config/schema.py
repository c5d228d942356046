"""The schema of a pipeline file: what may stand in it, stage by stage, from source to sinks.

Every field has a default, so that an empty section means "as usual". Units are part of the meaning: times are seconds (`1.5`,
`3s`, `1m30s`, `00:01:30`), sizes HEIGHTxWIDTH in pixels of the model's input.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from streamseg.composite.shape import Shape
from streamseg.config.clips import EventClipsConfig
from streamseg.config.privacy import PrivacyConfig
from streamseg.config.scene import SceneConfig
from streamseg.config.section import Section
from streamseg.config.steps import EffectStep, Listed, StageStep, check_name, check_reference, trusts
from streamseg.config.values import (
    AutoFraction,
    AutoSeconds,
    Fraction01,
    InputSize,
    Names,
    Positive,
    Seconds,
    parse_areas,
    parse_bytes,
    parse_deinterlace,
    parse_edges,
    parse_edits,
    parse_every,
    parse_keep,
    parse_names,
    parse_never,
    parse_off,
    parse_seconds,
    parse_selection,
    parse_trip,
    parse_turn,
)
from streamseg.core.exr_options import ExrOptions
from streamseg.core.served import is_server, place_of
from streamseg.errors.describe import brief
from streamseg.events import Area, Line, Zone
from streamseg.system.registry import ENGINES, HEADS, Reference

__all__ = [
    "DecodeConfig",
    "EncodeConfig",
    "EventsConfig",
    "InferConfig",
    "MotionConfig",
    "OutputConfig",
    "PipelineConfig",
    "PostprocessConfig",
    "PreprocessConfig",
    "PrivacyConfig",
    "ResultsConfig",
    "SceneConfig",
    "SelectConfig",
    "SmoothConfig",
    "TrackConfig",
    "parse_place",
]


def _reference(value: Any, info: ValidationInfo) -> Reference | None:
    return None if value is None else check_reference(value, trust=trusts(info.context))


class DecodeConfig(Section):
    """decode: how the source is read."""

    policy: Literal["auto", "block", "drop_oldest"] = "auto"
    """`block` loses nothing; `drop_oldest` bounds latency; `auto` takes the latter for what happens live."""
    use: Annotated[str | None, PlainValidator(_reference)] = None
    """`module:Class` of a source of your own, which reads the source in streamseg's place."""
    realtime: bool = False
    """Play a file at its own speed, as if it were a camera."""
    max_rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames a second that are worked on at most; the others are left out evenly, before any work is done on them."""
    stale: Annotated[Positive | None, BeforeValidator(parse_never)] = None
    """Seconds; of what happens live, a frame that is older when the network could look at it is left out; `off`: none is."""
    start: Seconds = 0.0
    duration: Positive | None = None
    """Seconds to read."""
    end: Positive | None = None
    """Where to stop, seconds from the source's beginning; in place of `duration`."""
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames a second of an image sequence, which does not say."""
    timeout: Positive = 5.0
    """Seconds of silence after which a live source counts as lost."""
    reconnect: Seconds = 30.0
    """Seconds for which a lost live source is tried again."""
    placeholder: bool = False
    """While it is lost, give pictures that say why: they are shown and recorded, and marked in the results."""
    max_pixels: Annotated[int, Field(gt=0)] = 8192 * 8192
    """Larger pictures are refused before they are decoded."""
    spool: Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)] = 0
    """Bytes (2GB) that a pipe, or a file of a web server without ranges, may take in a temporary file, to be read there; `off`."""
    trip: Annotated[Literal["off", "front", "rear", "interior", "left", "right", "tele"], BeforeValidator(parse_trip)] = "off"
    """Join a dash camera's files in a folder into one film with one clock (docs/dashcam.md): those of this of its cameras; `on`: of
    the one that looks ahead."""
    playlists: bool = False
    """Follow playlists (.m3u8), which may name other files and hosts."""
    threads: Annotated[int, Field(ge=0, le=64)] = 0
    """Decoder threads; 0 lets FFmpeg choose."""
    fields: Literal["auto", "progressive", "tff", "bff"] = "auto"
    """Whether pictures are interlaced, and which field came first: as they say, or as you know better."""
    deinterlace: Annotated[Literal["off", "frame", "field"], BeforeValidator(parse_deinterlace)] = "off"
    """Make interlaced pictures progressive: `frame` one of each, `field` two, at twice the rate."""
    rotate: Annotated[Literal[0, 90, 180, 270], BeforeValidator(parse_turn)] = 0
    """Degrees clockwise by which pictures are turned, beyond what the source asks for: 180 of a camera that hangs upside down."""
    mirror: bool = False
    """Mirror pictures left to right, after that."""
    shrink: Annotated[int, Field(ge=1, le=16)] = 1
    """Pictures are read at 1 / shrink of their width and height; all else then works on, and writes, small ones."""
    device: Literal["auto", "cpu", "nvdec", "host"] = "auto"
    """Where the network computes on a GPU, frames live there too: `auto` decodes them there where it can, `cpu` uploads them,
    `nvdec` means the GPU's decoder or an error, `host` keeps them in host memory."""

    @model_validator(mode="after")
    def _one_span(self) -> DecodeConfig:
        if self.end is not None and self.duration is not None:
            raise ValueError(
                f"duration ({self.duration:g} s) and end ({self.end:g} s) both say where to stop; give one of them"
            )
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"the end, {self.end:g} s, must be after the start, {self.start:g} s")
        return self

    @property
    def span(self) -> float | None:
        """Seconds to read from `start` on, None: all."""
        return self.duration if self.end is None else self.end - self.start


class PreprocessConfig(Section):
    """preprocess: the small RGB picture that the network sees."""

    size: InputSize = None
    """HEIGHTxWIDTH of the network's input; `auto`: the model's own; `largest`, `smallest`: of those that the
    model comes with."""


def _head(value: Any, info: ValidationInfo) -> str:
    return check_name(HEADS, value, others=("auto",), trust=trusts(info.context))


def _engine(value: Any, info: ValidationInfo) -> str:
    if isinstance(value, str) and is_server(value):
        place_of(value)
        return value
    return check_name(ENGINES, value, others=("auto",), trust=trusts(info.context))


class InferConfig(Section):
    """infer: the network and what runs it."""

    model: str = "lite"
    family: Annotated[str, PlainValidator(_head), Listed(HEADS, "auto")] = "auto"
    """What somebody else's ONNX file is: `auto`, as found from the file; one of the registry's heads by its name."""
    head: Literal["full", "class-agnostic", "proposals"] = "full"
    """How much of a Mask R-CNN is run (docs/parts.md): `full`; `class-agnostic`, masks of anything that looks like an object; or
    `proposals`, the regions of its first stage. What reads the answer is `postprocess.head`."""
    engine: Annotated[str, PlainValidator(_engine), Listed(ENGINES, "auto")] = "auto"
    """`auto`, the best that runs here; one of the registry by its name, or `use: module:NAME`: that engine or an error."""
    require_gpu: bool = False
    """Do not fall back to an engine that computes on the CPU."""
    batch: Annotated[int, Field(ge=1, le=64)] = 1
    in_flight: Annotated[int, Field(ge=1, le=16)] = 2
    """Batches that are computed at the same time."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """CPU threads of the engine; 0: one a core."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Number format of the network. fp32, fp16 and int8 choose a graph of the model; bf16 lets OpenVINO compute in bfloat16."""
    no_tuned: bool = False
    """Leave aside what `streamseg tune --apply` found to be fastest on this machine."""
    every: Annotated[int | Literal["auto"], PlainValidator(parse_every)] = 1
    """The network runs on every Nth frame, and optical flow carries masks to the others; `auto`: as many frames as it can."""


class MotionConfig(Section):
    """motion: whether the network looks only where something has moved; `motion: on` alone means `gate`."""

    gate: bool = False
    """Keep frames off the network in which nothing has moved since it last looked; what it found stays. Live, or with
    `track: {online: true}`."""
    hold: Positive = 1.0
    """Seconds for which the network goes on looking after the last motion."""
    refresh: Positive = 10.0
    """Seconds after which it looks at any rate."""

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return {"gate": value} if isinstance(value, bool) else value


class PostprocessConfig(Section):
    """postprocess: which detections count."""

    conf: AutoFraction = None
    """Score that a detection needs to begin an object; `auto`: the model's own, 0.5 where it states none."""
    classes: Names = None
    """Names to keep; none or `all` keeps every class."""
    masks: Literal["auto", "box", "none"] = "auto"
    """`auto`: what the model gives; `box`: each box for its mask; `none`: boxes alone."""
    head: Annotated[str, PlainValidator(_head), Listed(HEADS, "auto")] = "auto"
    """What reads the network's answer: `auto`, the one that fits; one of the registry by its name, or `use: module:Class`."""


class TrackConfig(Section):
    """track: identity through time."""

    low: AutoFraction = None
    """Detections with a score from here up to `conf` may carry on an object that is known, but begin none; `auto`: a fifth of
    the model's own `conf`; of region proposals, `conf`."""
    keep: AutoFraction = None
    """An object is shown while its mean score over the last second is at least this; 0: as long as it is followed; `auto`: three
    fifths of `conf`."""
    confirm: Seconds = 0.1
    """Seconds for which an object must have been seen before it may be carried on by low scores, or be recognised."""
    max_age: Positive = 1.0
    """Seconds for which an object that is not seen, though nothing is in front of it, is looked for along its way."""
    reidentify: Seconds = 3.0
    """Seconds for which an unseen object may still be recognised by its colours; 0: never after `max_age`."""
    online: Literal["auto"] | bool = "auto"
    """True: judge each frame by it and those before alone. `auto`: what happens live, and pictures that a program makes one after
    the other. Of all other films tracks are looked at once more with what comes after known; false: of a program's pictures, too.
    The fields below are for that."""
    look_ahead: Positive = 1.0
    """Seconds of film that come after a frame and are known when its tracks are settled; so many are held in memory."""
    memory: Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)] = 256 * 10**6
    """Bytes of pictures that are held for that at most, as 256MB; of larger pictures fewer seconds are."""
    fill: AutoSeconds = None
    """Seconds for which an object that was not detected is followed by its picture: between two sightings, before the first and
    behind the last; 0: not at all; `auto`: as long as `look_ahead`."""
    min_track: Seconds = 0.15
    """What is seen for less than so many seconds is dropped; 0: nothing is."""

    @model_validator(mode="after")
    def _within_the_window(self) -> TrackConfig:
        for name, value in (("min_track", self.min_track), ("fill", self.fill)):
            if self.online is not True and value is not None and value > self.look_ahead:
                raise ValueError(
                    f"{name} is {value:g} s, longer than look_ahead ({self.look_ahead:g} s), which is what is known of the future; "
                    f"make {name} shorter or look_ahead longer"
                )
        return self


def parse_place(value: Any) -> Any:
    """A list of points alone is a line or zone; times and names may be written as elsewhere."""
    if isinstance(value, list):
        return {"points": value}
    if isinstance(value, dict):
        known = {"classes": parse_names, "dwell": parse_seconds}
        return {key: known.get(key, lambda same: same)(inner) for key, inner in value.items()}
    return value


class EventsConfig(Section):
    """events: what is counted and watched."""

    confirm: Seconds = 0.3
    """Seconds for which an object must have been seen to count."""
    hold: Seconds = 0.2
    """Seconds for which it must stay on the other side of a line or an edge to have crossed it."""
    margin: Fraction01 = 0.005
    """How far beyond counts as beyond, share of the frame's height."""
    patience: Positive | None = None
    """Seconds after which an object that is not seen is given up; none: as long as the tracker looks for it."""
    lines: dict[str, Annotated[Line, BeforeValidator(parse_place)]] = Field(default_factory=dict)
    """Two points each, as [[0.1, 0.5], [0.9, 0.5]]: fractions of the frame, or pixels."""
    zones: dict[str, Annotated[Zone, BeforeValidator(parse_place)]] = Field(default_factory=dict)
    """Three or more points each."""

    @model_validator(mode="after")
    def _own_names(self) -> EventsConfig:
        if twice := self.lines.keys() & self.zones.keys():
            raise ValueError(f"{min(twice)!r} is the name of a line and of a zone; give each its own")
        return self


class SmoothConfig(Section):
    """smooth: masks that do not flicker, outlines that follow the picture."""

    masks: Annotated[Seconds, BeforeValidator(parse_off)] = 0.08
    """Seconds over which masks are averaged along each track and the optical flow; `off`: not at all."""
    edges: Annotated[bool | Literal["matte"], PlainValidator(parse_edges)] = True
    """Refine outlines to the picture's edges. `matte`: as soft as the edges are, finer, and beyond a box that is too small."""


class ResultsConfig(Section):
    """results: whether what was found in a film is kept in a file, so that rendering it again needs no network."""

    keep: Annotated[str, BeforeValidator(parse_keep)] = "off"
    """`off`; `auto`, beside the first output, under the source's name; or the path of a file, as film.streamseg."""


class SelectConfig(Section):
    """select: which objects are shown, and what a person decided about the tracks of this film."""

    objects: Annotated[str, BeforeValidator(parse_selection)] = "all"
    """A selection, as `person#3, largest car` (docs/selections.md); `select: person#3` alone means this field."""
    edits: Annotated[str, BeforeValidator(parse_edits)] = "auto"
    """The sidecar with names, merges, splits and forbidden tracks: `auto`, the one beside the results file; a path; `off`."""

    @model_validator(mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return {"objects": value} if isinstance(value, str | list) else value


class EncodeConfig(Section):
    """encode: how a picture is written."""

    codec: str = "auto"
    """An FFmpeg encoder's name, or `auto`: by container, bit depth and alpha. Of EXR the compression."""
    crf: Annotated[float, Field(ge=0, le=63)] | None = None
    """Constant rate factor: smaller is better and larger; none: the encoder's own sensible value."""
    audio: Literal["convert", "copy", "none"] = "convert"
    """The source's sound: `convert` copies what the container can hold and converts the rest, `copy` converts nothing (what does
    not fit is left out, and said), `none` leaves all out."""
    segment: Positive | None = None
    """Begin a new file at each full so many seconds of the clock, as 10m or 1h; None: one file. Its name must hold the time, as
    door_%Y-%m-%d_%H-%M.mp4."""
    exr: ExrOptions = ExrOptions()
    """What an EXR holds."""
    clips: EventClipsConfig = EventClipsConfig()
    """Of which events an output such as events.clips has a clip, and how long it is."""
    key_rate: Annotated[float, Field(gt=0, le=1000)] = 2.0
    """Key frames a second of nuImages, which holds these alone."""
    shape: Shape = Shape()
    """What is done to the mattes that EXR and cut-outs hold."""


class OutputConfig(Section):
    """One output: what is composited and where it goes."""

    path: str = "{out}"
    """A video, a folder for it, images as frames/%06d.png, .jsonl, or the address of a view.

    `{out}` is what -o says, `{stem}` the same without its suffix; `{track}` and `{class}` make a file for each track, or class.
    Nothing else may stand in braces."""
    use: Annotated[str | None, PlainValidator(_reference)] = None
    """`module:Class` of a kind of output that writes it, in place of the one that its name asks for."""
    composite: tuple[EffectStep, ...] = ()
    exr_effects: bool = False
    """Where -o names an EXR, draw these effects into it, too; else its picture is the source's, and the masks lie beside it."""
    keep_grey: bool = False
    """Draw in grey on a grey source, instead of giving its pictures chroma for the colours of an overlay."""
    encode: EncodeConfig = EncodeConfig()

    @field_validator("path")
    @classmethod
    def _placeholders(cls, path: str) -> str:
        known = re.sub(r"\{(out|stem|track|class)\}", "", path)
        if unknown := re.search(r"\{[^{}]*\}?|\}", known):
            raise ValueError(
                f"{brief(unknown[0])} is no placeholder; allowed: {{out}} (what -o says), {{stem}} (the same without its suffix), "
                "{track} and {class} (a file for each)"
            )
        return path


class PipelineConfig(Section):
    """A whole pipeline file."""

    decode: DecodeConfig = DecodeConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    motion: MotionConfig = MotionConfig()
    infer: InferConfig = InferConfig()
    postprocess: PostprocessConfig = PostprocessConfig()
    ignore: Annotated[dict[str, Annotated[Area, BeforeValidator(parse_place)]], BeforeValidator(parse_areas)] = Field(
        default_factory=dict
    )
    """Areas by name, as [[0, 0], [0.3, 0], [0.3, 0.4]]: what stands in one, or lies in it for the most part, is not found, and
    motion there does not count. With `classes` that holds for these classes alone, and motion counts."""
    track: TrackConfig = TrackConfig()
    smooth: SmoothConfig = SmoothConfig()
    events: EventsConfig = EventsConfig()
    scene: SceneConfig = SceneConfig()
    results: ResultsConfig = ResultsConfig()
    select: SelectConfig = SelectConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    strict: bool = False
    """Make every warning an error: what an output cannot keep as the source has it, damage, anything that was left out."""
    stages: tuple[StageStep, ...] = ()
    """Stages of your own, beside those that always run."""
    outputs: dict[str, OutputConfig] = Field(default_factory=dict)

    @field_validator("stages", mode="before")
    @classmethod
    def _no_stages(cls, stages: Any) -> Any:
        """A section without a value."""
        return () if stages == {} else stages

    @field_validator("outputs")
    @classmethod
    def _names(cls, outputs: dict[str, OutputConfig]) -> dict[str, OutputConfig]:
        for name in outputs:
            if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
                raise ValueError(f"{name!r} is not an output's name; use small letters, digits, - and _")
        return outputs
