"""A session: an engine that is opened once and runs many pipelines, one after the other or at once.

Annotations are no strings here, so that `help` shows what they mean. The options are written by `python -m tools.options`.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from streamseg.composite import Effect, Privacy
from streamseg.config import PipelineConfig, override
from streamseg.config.load import Location
from streamseg.config.schema import EventsConfig, InferConfig, SceneConfig, SmoothConfig, TrackConfig
from streamseg.config.values import parse_seconds
from streamseg.core.result import Result
from streamseg.core.scene import CameraModel
from streamseg.engine.shared import EngineClient, SharedEngine
from streamseg.errors import ConfigError, EngineError
from streamseg.errors.describe import brief
from streamseg.hub.graph_spec import GraphSpec
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.configure import configured, output_paths, python_words
from streamseg.pipeline.iteration import aiterate, iterate
from streamseg.pipeline.opening import Source, load_engine, tuned
from streamseg.pipeline.options import OPTIONS, pythonic
from streamseg.pipeline.outputs import in_format
from streamseg.pipeline.report import RunReport
from streamseg.runtime.process import at_work
from streamseg.select import Selection

__all__ = ["Session"]

_OF_THE_ENGINE = (*(each.place[1] for each in OPTIONS if "network" in each.groups and each.place[0] == "infer"), "in_flight")
"""Fields of a pipeline file's section `infer` that say what the engine is."""


class Session:
    """An engine that is opened once, for as many pipelines as you like.

        with streamseg.Session(model="lite") as session:
            report = session.run("monday.mp4", "monday-seen.mp4")
            for result in session.stream("tuesday.mp4", classes=["person"]):
                ...

    Its methods may be called from several threads at once. The pipelines then share the engine: batches are filled across them,
    each gets its turn and its own answers, and one that fails, stalls or is ended harms no other. What a pipeline finds, draws and
    writes stays its own affair; what belongs to the engine is said here, and a pipeline file that asks for another is refused.

    A pipeline that runs when the session is closed ends with EngineError.
    """

    def __init__(
        self,
        *,
        # options: network
        masks: Literal["auto", "box", "none"] | None = None,
        engine: str | None = None,
        model: str | PathLike[str] | None = None,
        family: str | None = None,
        head: Literal["full", "class-agnostic", "proposals"] | None = None,
        precision: str | None = None,
        require_gpu: bool | None = None,
        size: str | tuple[int, int] | None = None,
        batch: int | None = None,
        threads: int | None = None,
        no_tuned: bool | None = None,
        # options end
        in_flight: int | None = None,
        max_wait: float | str | None = None,
    ) -> None:
        """Open the engine.

        Args:
            in_flight: Batches that are computed at the same time. Default: 2.
            max_wait: How long a batch that is not full waits for pictures of other pipelines, in seconds, or as "5ms". Default: 5
                ms, and 33 ms while the engine is busy, so that the batch could not begin anyway. Matters only with a `batch` of
                more than one; a pipeline that is alone is not held up.
            masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
            engine: What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.
            model: A name that `streamseg models` lists, or an .onnx file.
            family: What an .onnx file of another program is, as yolo-seg. Default: found from the file.
            head: How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its
                regions alone.
            precision: Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs
                that have it). Default: the fastest here that was measured to cost under half a point of AP; a file's own.
            require_gpu: Make it an error if the network cannot run on a GPU.
            size: Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model
                comes with. Or (height, width). Default: the model's own.
            batch: Frames in one call of the network.
            threads: CPU threads of the engine. 0: one a core.
            no_tuned: Leave aside what `streamseg tune --apply` found for this machine.

        Raises StreamsegError (see `streamseg.errors`).
        """
        given = locals()
        with python_words(), at_work():
            wait = _seconds(max_wait)
            config = configured(given)
            called: dict[Location, str] = {("infer", "in_flight"): "in_flight"}
            self._config = tuned(override(config, {"infer": {"in_flight": in_flight}}, called, ""))
            self._shared = SharedEngine(load_engine(self._config), self._config.infer.batch, wait)

    def stream(
        self,
        source: Source,
        *,
        # options: pipeline source results privacy
        pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] | None = None,
        classes: str | Sequence[str] | None = None,
        conf: float | None = None,
        masks: Literal["auto", "box", "none"] | None = None,
        start: float | str | None = None,
        duration: float | str | None = None,
        end: float | str | None = None,
        realtime: bool | None = None,
        rate: float | None = None,
        max_rate: float | None = None,
        stale: float | str | Literal["off"] | None = None,
        reconnect: float | str | None = None,
        trip: bool | Literal["off", "front", "rear", "interior", "left", "right", "tele"] | None = None,
        rotate: int | None = None,
        mirror: bool | None = None,
        playlists: bool | None = None,
        spool: int | str | None = None,
        detect_every: int | Literal["auto"] | None = None,
        motion: bool | None = None,
        ignore: str | Mapping[str, Any] | None = None,
        decode: Literal["auto", "nvdec", "cpu", "host"] | None = None,
        deinterlace: bool | Literal["off", "frame", "field"] | None = None,
        track: TrackConfig | Mapping[str, Any] | None = None,
        smooth: SmoothConfig | Mapping[str, Any] | None = None,
        events: EventsConfig | Mapping[str, Any] | None = None,
        scene: bool | SceneConfig | Mapping[str, Any] | None = None,
        telemetry: str | PathLike[str] | None = None,
        telemetry_offset: float | str | None = None,
        camera: str | PathLike[str] | Mapping[str, Any] | CameraModel | None = None,
        camera_height: float | str | None = None,
        online: bool | None = None,
        results: str | PathLike[str] | None = None,
        select: str | Selection | None = None,
        edits: str | PathLike[str] | None = None,
        privacy: str | Sequence[str] | Mapping[str, Any] | Privacy | None = None,
        margin: str | float | None = None,
        trust: bool = False,
        # options end
    ) -> Iterator[Result]:
        """As `streamseg.stream`, with this session's engine.

        Args:
            source: As for `streamseg.stream`.
            pipeline: drive, edit, live, or a .yaml file of your own. Or a `PipelineConfig`, or a dict of its sections.
            classes: Classes to keep, as person,car, or all. Or a list of names.
            conf: Score (0 to 1) that an object needs to appear; it is then followed down to three fifths of it. Default: the
                model's own.
            masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
            start: Time to start at: 3s, 1m30s, 00:01:30. A number is seconds.
            duration: Length of the part to read, as 10s. A number is seconds.
            end: Time to stop at, as 15s; instead of duration. A number is seconds.
            realtime: Play a file at its own speed, as a camera would.
            rate: Frames per second of images, and of sources without times.
            max_rate: Frames per second to work on at most; the others are left out evenly, before any work.
            stale: Leave out a live frame that is older than this before the network looks at it, as 500ms; off: never. A number
                is seconds.
            reconnect: How long to retry when a camera is off or lost, as 10m or 24h. A number is seconds.
            trip: Join the files of a dash cam in a folder into one film, of this camera (docs/dashcam.md). Default: front. True
                is "front".
            rotate: Turn pictures by 90, 180 or 270 degrees clockwise, where the file does not say how the camera was held.
            mirror: Mirror pictures left to right.
            playlists: Follow playlists (HLS: an address with .m3u8), which may name other files and hosts.
            spool: Store a pipe or download in a temporary file first, up to SIZE, as 2GB. A number is bytes.
            detect_every: Run the network on every Nth frame only, and carry masks to the others. The results of the others have
                `detected` False. "auto": on as many as keep up with what happens live.
            motion: Run the network only where something has moved; what stands still stays found (docs/motion.md).
            ignore: Areas in which nothing is found, and motion does not count, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'. Or a
                dict of their points, fractions of the frame or pixels.
            decode: Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU).
            deinterlace: Make interlaced pictures progressive; field: at twice the rate. True is "frame".
            track: How objects are followed: the section `track` of a pipeline file, or fields of it, as {"max_age": "2s"}.
            smooth: How masks are smoothed: the section `smooth`, or fields of it, as {"masks": "off", "edges": False}.
            events: What is counted and watched: the section `events`, or fields of it, as {"lines": {"door": [[0.1, 0.5], [0.9,
                0.5]]}}.
            scene: The camera looks ahead from a vehicle: tell times to collision, the way ahead, alerts (docs/drive.md). Or the
                section `scene`, or fields of it, as {"alerts": "early"}.
            telemetry: Where the vehicle was, for scene: a log (GPX, NMEA, SRT); auto: the film itself, or a log beside it; off.
            telemetry_offset: By how much the log begins after the film, as 2s, or -90s: before it. Default: found from the
                times of both. A number is seconds.
            camera: The camera, for scene: a calibration FILE (.yaml of ROS or OpenCV), or 'fov: 78, height: 1.3'
                (docs/drive.md). Or a dict, or a `CameraModel`.
            camera_height: Metres of the camera above the road, as 1.3 or 130cm, for scene: with it there are distances.
            online: Settle each frame's tracks when it comes, not with a second of what comes after known. Default: with that
                second known, but for what happens live, and for pictures from an iterator.
            results: File (NAME.streamseg) for what was found; where it fits, it is read, and no network runs; auto: beside the
                first output.
            select: Objects to show, as 'person#3, largest car' or 'person, not #5'; names given with `streamseg tracks` count,
                too.
            edits: Names, merges, splits and forbidden tracks of this film: a FILE; auto: NAME.streamseg.json beside the
                results; off.
            privacy: Classes that no output may show, as person, or 'classes: person, fill: blur' (docs/privacy.md); off: none.
                Or a list of names, a dict of the section `privacy`, or a `Privacy`.
            margin: By how much privacy grows masks: pixels, and percent of the object's size, as '4px 8%'.
            trust: Let the pipeline file name Python code to run (use: module:Class).

        Raises StreamsegError, ConfigError among them where `pipeline` asks for another engine.
        """
        return iterate(source, self.fit(configured(locals())), engine_of=self._shared.client)

    def astream(
        self,
        source: Source,
        *,
        # options: pipeline source results privacy
        pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] | None = None,
        classes: str | Sequence[str] | None = None,
        conf: float | None = None,
        masks: Literal["auto", "box", "none"] | None = None,
        start: float | str | None = None,
        duration: float | str | None = None,
        end: float | str | None = None,
        realtime: bool | None = None,
        rate: float | None = None,
        max_rate: float | None = None,
        stale: float | str | Literal["off"] | None = None,
        reconnect: float | str | None = None,
        trip: bool | Literal["off", "front", "rear", "interior", "left", "right", "tele"] | None = None,
        rotate: int | None = None,
        mirror: bool | None = None,
        playlists: bool | None = None,
        spool: int | str | None = None,
        detect_every: int | Literal["auto"] | None = None,
        motion: bool | None = None,
        ignore: str | Mapping[str, Any] | None = None,
        decode: Literal["auto", "nvdec", "cpu", "host"] | None = None,
        deinterlace: bool | Literal["off", "frame", "field"] | None = None,
        track: TrackConfig | Mapping[str, Any] | None = None,
        smooth: SmoothConfig | Mapping[str, Any] | None = None,
        events: EventsConfig | Mapping[str, Any] | None = None,
        scene: bool | SceneConfig | Mapping[str, Any] | None = None,
        telemetry: str | PathLike[str] | None = None,
        telemetry_offset: float | str | None = None,
        camera: str | PathLike[str] | Mapping[str, Any] | CameraModel | None = None,
        camera_height: float | str | None = None,
        online: bool | None = None,
        results: str | PathLike[str] | None = None,
        select: str | Selection | None = None,
        edits: str | PathLike[str] | None = None,
        privacy: str | Sequence[str] | Mapping[str, Any] | Privacy | None = None,
        margin: str | float | None = None,
        trust: bool = False,
        # options end
    ) -> AsyncIterator[Result]:
        """As `streamseg.astream`, with this session's engine. The options are those of `stream`."""
        return aiterate(source, self.fit(configured(locals())), engine_of=self._shared.client)

    def run(
        self,
        source: Source,
        output: str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        # options: pipeline source results privacy output = "drive"
        pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] = "drive",
        classes: str | Sequence[str] | None = None,
        conf: float | None = None,
        masks: Literal["auto", "box", "none"] | None = None,
        start: float | str | None = None,
        duration: float | str | None = None,
        end: float | str | None = None,
        realtime: bool | None = None,
        rate: float | None = None,
        max_rate: float | None = None,
        stale: float | str | Literal["off"] | None = None,
        reconnect: float | str | None = None,
        trip: bool | Literal["off", "front", "rear", "interior", "left", "right", "tele"] | None = None,
        rotate: int | None = None,
        mirror: bool | None = None,
        playlists: bool | None = None,
        spool: int | str | None = None,
        detect_every: int | Literal["auto"] | None = None,
        motion: bool | None = None,
        ignore: str | Mapping[str, Any] | None = None,
        decode: Literal["auto", "nvdec", "cpu", "host"] | None = None,
        deinterlace: bool | Literal["off", "frame", "field"] | None = None,
        track: TrackConfig | Mapping[str, Any] | None = None,
        smooth: SmoothConfig | Mapping[str, Any] | None = None,
        events: EventsConfig | Mapping[str, Any] | None = None,
        scene: bool | SceneConfig | Mapping[str, Any] | None = None,
        telemetry: str | PathLike[str] | None = None,
        telemetry_offset: float | str | None = None,
        camera: str | PathLike[str] | Mapping[str, Any] | CameraModel | None = None,
        camera_height: float | str | None = None,
        online: bool | None = None,
        results: str | PathLike[str] | None = None,
        select: str | Selection | None = None,
        edits: str | PathLike[str] | None = None,
        privacy: str | Sequence[str] | Mapping[str, Any] | Privacy | None = None,
        margin: str | float | None = None,
        format: str | None = None,
        codec: str | None = None,
        crf: float | None = None,
        audio: Literal["convert", "copy", "none"] | None = None,
        segment: str | float | None = None,
        exr: str | Mapping[str, Any] | None = None,
        clips: str | Mapping[str, Any] | None = None,
        key_rate: float | None = None,
        effects: str | Effect | Sequence[Effect | str | Mapping[str, Any]] | None = None,
        keep_grey: bool | None = None,
        strict: bool | None = None,
        trust: bool = False,
        overwrite: bool = False,
        # options end
    ) -> RunReport:
        """As `streamseg.run`, with this session's engine.

        Args:
            source: As for `streamseg.run`.
            output: As for `streamseg.run`.
            pipeline: drive, edit, live, or a .yaml file of your own. Or a `PipelineConfig`, or a dict of its sections.
            classes: Classes to keep, as person,car, or all. Or a list of names.
            conf: Score (0 to 1) that an object needs to appear; it is then followed down to three fifths of it. Default: the
                model's own.
            masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
            start: Time to start at: 3s, 1m30s, 00:01:30. A number is seconds.
            duration: Length of the part to read, as 10s. A number is seconds.
            end: Time to stop at, as 15s; instead of duration. A number is seconds.
            realtime: Play a file at its own speed, as a camera would.
            rate: Frames per second of images, and of sources without times.
            max_rate: Frames per second to work on at most; the others are left out evenly, before any work.
            stale: Leave out a live frame that is older than this before the network looks at it, as 500ms; off: never. A number
                is seconds.
            reconnect: How long to retry when a camera is off or lost, as 10m or 24h. A number is seconds.
            trip: Join the files of a dash cam in a folder into one film, of this camera (docs/dashcam.md). Default: front. True
                is "front".
            rotate: Turn pictures by 90, 180 or 270 degrees clockwise, where the file does not say how the camera was held.
            mirror: Mirror pictures left to right.
            playlists: Follow playlists (HLS: an address with .m3u8), which may name other files and hosts.
            spool: Store a pipe or download in a temporary file first, up to SIZE, as 2GB. A number is bytes.
            detect_every: Run the network on every Nth frame only, and carry masks to the others. The results of the others have
                `detected` False. "auto": on as many as keep up with what happens live.
            motion: Run the network only where something has moved; what stands still stays found (docs/motion.md).
            ignore: Areas in which nothing is found, and motion does not count, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'. Or a
                dict of their points, fractions of the frame or pixels.
            decode: Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU).
            deinterlace: Make interlaced pictures progressive; field: at twice the rate. True is "frame".
            track: How objects are followed: the section `track` of a pipeline file, or fields of it, as {"max_age": "2s"}.
            smooth: How masks are smoothed: the section `smooth`, or fields of it, as {"masks": "off", "edges": False}.
            events: What is counted and watched: the section `events`, or fields of it, as {"lines": {"door": [[0.1, 0.5], [0.9,
                0.5]]}}.
            scene: The camera looks ahead from a vehicle: tell times to collision, the way ahead, alerts (docs/drive.md). Or the
                section `scene`, or fields of it, as {"alerts": "early"}.
            telemetry: Where the vehicle was, for scene: a log (GPX, NMEA, SRT); auto: the film itself, or a log beside it; off.
            telemetry_offset: By how much the log begins after the film, as 2s, or -90s: before it. Default: found from the
                times of both. A number is seconds.
            camera: The camera, for scene: a calibration FILE (.yaml of ROS or OpenCV), or 'fov: 78, height: 1.3'
                (docs/drive.md). Or a dict, or a `CameraModel`.
            camera_height: Metres of the camera above the road, as 1.3 or 130cm, for scene: with it there are distances.
            online: Settle each frame's tracks when it comes, not with a second of what comes after known. Default: with that
                second known, but for what happens live, and for pictures from an iterator.
            results: File (NAME.streamseg) for what was found; where it fits, it is read, and no network runs; auto: beside the
                first output.
            select: Objects to show, as 'person#3, largest car' or 'person, not #5'; names given with `streamseg tracks` count,
                too.
            edits: Names, merges, splits and forbidden tracks of this film: a FILE; auto: NAME.streamseg.json beside the
                results; off.
            privacy: Classes that no output may show, as person, or 'classes: person, fill: blur' (docs/privacy.md); off: none.
                Or a list of names, a dict of the section `privacy`, or a `Privacy`.
            margin: By how much privacy grows masks: pixels, and percent of the object's size, as '4px 8%'.
            format: Format of standard output (-o -): mkv, webm, ts, mp4, mov, jsonl.
            codec: h264, hevc, ffv1, … or an FFmpeg encoder. Default: by file type.
            crf: Quality: a smaller number gives better quality and a larger file.
            audio: convert: copy sound, convert it if the file cannot hold it; copy: never convert; none: no sound.
            segment: Begin a new file at each full period, as 10m or 1h; the name says when: door_%Y-%m-%d_%H-%M.mp4.
            exr: What an EXR holds, as 'light: display, layers: class, cryptomatte: track, ranks: 2' (docs/exr.md). Or a dict.
            clips: Of which events a .clips output has a clip, as 'kinds: all, before: 5s, after: 5s' (docs/results.md). Or a
                dict.
            key_rate: Key frames a second of a .nuimages output, which holds these alone. Default: 2.
            effects: What is drawn in the pictures that are written, in this order, as 'blur: {strength: 1} >> outline'; none:
                nothing. Or objects, as `Blur(strength=1) >> Outline()`, or a list as in a pipeline file.
            keep_grey: Draw in grey on a grey source, not in colour.
            strict: Make it an error if anything of the source is not kept as it is: whatever is otherwise a warning.
            trust: Let the pipeline file name Python code to run (use: module:Class).
            overwrite: Replace files that exist.

        Returns: what was done, how long it took, and what there is to know of it.

        Raises StreamsegError, ConfigError among them where `pipeline` asks for another engine.
        """
        config = self.fit(configured(locals()))
        paths = in_format(output_paths(output), format, called="format")
        with at_work(), python_words():
            engine = self._shared.client()
            try:
                return build_pipeline(source, config, paths, overwrite=overwrite, engine=engine).run().worded(pythonic)
            finally:
                engine.close()

    def silent(self) -> float:
        """Seconds for which an answer of the engine has been waited for; 0: none is."""
        return self._shared.silent()

    def give_up(self, error: EngineError) -> None:
        """Fail all pipelines with `error`: the engine hangs, and is left alone."""
        self._shared.give_up(error)

    def close(self) -> None:
        """Close the engine. Pipelines that still run end with EngineError. Twice is harmless."""
        self._shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({self._shared.engine!r}{', closed' if self._shared.closed else ''})"

    @property
    def engine(self) -> str:
        """What runs which model, and where, in words."""
        engine = self._shared.engine
        return f"{engine.name} on {engine.device} with {engine.spec.name}"

    @property
    def about(self) -> dict[str, str]:
        """That in parts: `engine`, `device`, `model`, `precision` and `size`, HEIGHTxWIDTH of its input."""
        engine, spec = self._shared.engine, self._shared.engine.spec
        size = f"{spec.height}x{spec.width}"
        return {"engine": engine.name, "device": engine.device, "model": spec.name, "precision": engine.precision, "size": size}

    @property
    def spec(self) -> GraphSpec:
        """The model that the engine runs."""
        return self._shared.engine.spec

    def client(self) -> EngineClient:
        """One pipeline's share of the engine, for who builds one of what `fit` gives; it is closed by whoever takes it."""
        return self._shared.client()

    def fit(self, config: PipelineConfig) -> PipelineConfig:
        """`config` with this session's engine in it. Raises ConfigError where it asks for another one."""
        self._shared.check_fork()
        mine, spec, usual = self._config.infer, self._shared.engine.spec, InferConfig()
        actual = {"engine": self._shared.engine.name, "precision": self._shared.engine.precision}
        for field in _OF_THE_ENGINE:
            asked = getattr(config.infer, field)
            if asked not in ("auto", getattr(usual, field), getattr(mine, field), actual.get(field)) and not (
                field == "model" and Path(asked).resolve() == spec.path.resolve()
            ):
                raise ConfigError(_contradiction(field, asked, actual.get(field, getattr(mine, field))))
        size = config.preprocess.size
        # Beside another model's name, or the usual one's, it was meant for that model.
        if size not in (None, "largest", spec.size) and config.infer.model == mine.model:
            raise ConfigError(_contradiction("size", *("x".join(map(str, hw)) for hw in (size, spec.size) if hw is not None)))
        fields = {field: getattr(mine, field) for field in _OF_THE_ENGINE} | {"engine": actual["engine"]}
        masks = config.postprocess.masks if config.postprocess.masks != "auto" else self._config.postprocess.masks
        return config.model_copy(
            update={
                "infer": config.infer.model_copy(update=fields),
                "preprocess": config.preprocess.model_copy(update={"size": spec.size}),
                "postprocess": config.postprocess.model_copy(update={"masks": masks}),
            }
        )


def _contradiction(field: str, asked: object, mine: object) -> str:
    return (
        f"the pipeline asks for {field} {brief(asked)}, but the engine of this session has {field} {brief(mine)}; leave it out "
        "of the pipeline, or open a Session with it"
    )


def _seconds(value: object) -> float | None:
    """`max_wait` in seconds. Raises ConfigError."""
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise ConfigError(f"max_wait: {error}") from error
    if seconds is not None and (isinstance(seconds, bool) or not 0 <= seconds <= 60):
        raise ConfigError(f"max_wait is {brief(value)}; allowed: 0 to 60 seconds, or None")
    return None if seconds is None else float(seconds)
