"""The library's front door: `stream` and `astream` for results one by one, `run` for whole jobs.

Annotations are no strings here, so that `help` shows what they mean. The options are written by `python -m tools.options`.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from streamseg.composite import Effect, Privacy
from streamseg.config import PipelineConfig
from streamseg.config.schema import EventsConfig, SceneConfig, SmoothConfig, TrackConfig
from streamseg.core.result import Result
from streamseg.core.scene import CameraModel
from streamseg.errors import ConfigError
from streamseg.errors.describe import path_of
from streamseg.jobs.job import Job
from streamseg.jobs.outcome import JobReport
from streamseg.jobs.resume import ResumableRun, Run
from streamseg.pipeline.configure import configured, output_paths, python_words
from streamseg.pipeline.iteration import aiterate, iterate
from streamseg.pipeline.opening import Source
from streamseg.pipeline.options import pythonic
from streamseg.pipeline.outputs import in_format
from streamseg.pipeline.report import RunReport
from streamseg.pipeline.tune import TuneReport
from streamseg.pipeline.tune import tune as tune_pipeline
from streamseg.pipeline.video import Video, open_video
from streamseg.record import Results
from streamseg.runtime.process import at_work
from streamseg.select import Selection

__all__ = ["astream", "open", "run", "stream", "tune"]


def stream(
    source: Source,
    *,
    # options: pipeline network source results privacy
    pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] | None = None,
    classes: str | Sequence[str] | None = None,
    conf: float | None = None,
    masks: Literal["auto", "box", "none"] | None = None,
    engine: str | None = None,
    model: str | PathLike[str] | None = None,
    family: str | None = None,
    head: Literal["full", "class-agnostic", "proposals"] | None = None,
    precision: str | None = None,
    require_gpu: bool | None = None,
    size: str | tuple[int, int] | None = None,
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
    batch: int | None = None,
    threads: int | None = None,
    no_tuned: bool | None = None,
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
    """Find and follow the instances of a video, lazily, one `Result` a frame.

        for result in streamseg.stream("video.mp4", classes=["person"]):
            print(result.time, result.names, result.track_ids)
            picture = result.plot()

    The pipeline runs ahead of the loop by a few frames and no further: memory does not grow with the video's length. Leaving the
    loop ends it. In a coroutine take `astream`.

    Args:
        source: A file, a folder or glob of images, a camera's number or device, an RTSP or HTTP address, "-" for a pipe; or
            pictures: an iterable of uint8 arrays, RGB [height, width, 3], RGBA or grey, or of `av.VideoFrame`s, or of pairs of
            such a picture and its time in seconds. Where they have no times, `rate` says how many a second there are.
        pipeline: drive, edit, live, or a .yaml file of your own. Or a `PipelineConfig`, or a dict of its sections.
        classes: Classes to keep, as person,car, or all. Or a list of names.
        conf: Score (0 to 1) that an object needs to appear; it is then followed down to three fifths of it. Default: the
            model's own.
        masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
        engine: What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.
        model: A name that `streamseg models` lists, or an .onnx file.
        family: What an .onnx file of another program is, as yolo-seg. Default: found from the file.
        head: How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its regions
            alone.
        precision: Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs that
            have it). Default: the fastest here that was measured to cost under half a point of AP; a file's own.
        require_gpu: Make it an error if the network cannot run on a GPU.
        size: Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model comes
            with. Or (height, width). Default: the model's own.
        start: Time to start at: 3s, 1m30s, 00:01:30. A number is seconds.
        duration: Length of the part to read, as 10s. A number is seconds.
        end: Time to stop at, as 15s; instead of duration. A number is seconds.
        realtime: Play a file at its own speed, as a camera would.
        rate: Frames per second of images, and of sources without times.
        max_rate: Frames per second to work on at most; the others are left out evenly, before any work.
        stale: Leave out a live frame that is older than this before the network looks at it, as 500ms; off: never. A number is
            seconds.
        reconnect: How long to retry when a camera is off or lost, as 10m or 24h. A number is seconds.
        trip: Join the files of a dash cam in a folder into one film, of this camera (docs/dashcam.md). Default: front. True is
            "front".
        rotate: Turn pictures by 90, 180 or 270 degrees clockwise, where the file does not say how the camera was held.
        mirror: Mirror pictures left to right.
        playlists: Follow playlists (HLS: an address with .m3u8), which may name other files and hosts.
        spool: Store a pipe or download in a temporary file first, up to SIZE, as 2GB. A number is bytes.
        batch: Frames in one call of the network.
        threads: CPU threads of the engine. 0: one a core.
        no_tuned: Leave aside what `streamseg tune --apply` found for this machine.
        detect_every: Run the network on every Nth frame only, and carry masks to the others. The results of the others have
            `detected` False. "auto": on as many as keep up with what happens live.
        motion: Run the network only where something has moved; what stands still stays found (docs/motion.md).
        ignore: Areas in which nothing is found, and motion does not count, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'. Or a dict
            of their points, fractions of the frame or pixels.
        decode: Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU).
        deinterlace: Make interlaced pictures progressive; field: at twice the rate. True is "frame".
        track: How objects are followed: the section `track` of a pipeline file, or fields of it, as {"max_age": "2s"}.
        smooth: How masks are smoothed: the section `smooth`, or fields of it, as {"masks": "off", "edges": False}.
        events: What is counted and watched: the section `events`, or fields of it, as {"lines": {"door": [[0.1, 0.5], [0.9,
            0.5]]}}.
        scene: The camera looks ahead from a vehicle: tell times to collision, the way ahead, alerts (docs/drive.md). Or the
            section `scene`, or fields of it, as {"alerts": "early"}.
        telemetry: Where the vehicle was, for scene: a log (GPX, NMEA, SRT); auto: the film itself, or a log beside it; off.
        telemetry_offset: By how much the log begins after the film, as 2s, or -90s: before it. Default: found from the times of
            both. A number is seconds.
        camera: The camera, for scene: a calibration FILE (.yaml of ROS or OpenCV), or 'fov: 78, height: 1.3' (docs/drive.md).
            Or a dict, or a `CameraModel`.
        camera_height: Metres of the camera above the road, as 1.3 or 130cm, for scene: with it there are distances.
        online: Settle each frame's tracks when it comes, not with a second of what comes after known. Default: with that second
            known, but for what happens live, and for pictures from an iterator.
        results: File (NAME.streamseg) for what was found; where it fits, it is read, and no network runs; auto: beside the
            first output.
        select: Objects to show, as 'person#3, largest car' or 'person, not #5'; names given with `streamseg tracks` count, too.
        edits: Names, merges, splits and forbidden tracks of this film: a FILE; auto: NAME.streamseg.json beside the results;
            off.
        privacy: Classes that no output may show, as person, or 'classes: person, fill: blur' (docs/privacy.md); off: none. Or a
            list of names, a dict of the section `privacy`, or a `Privacy`.
        margin: By how much privacy grows masks: pixels, and percent of the object's size, as '4px 8%'.
        trust: Let the pipeline file name Python code to run (use: module:Class).

    None means: as `pipeline` says; without one, as usual, with all classes that the model knows. Its outputs are not written.

    A file gives every frame; what happens live drops the oldest frames when the loop is too slow.

    Raises StreamsegError (see `streamseg.errors`): for an option of a wrong kind at once, for a source or a model that cannot be
    read at the first `next`, for a damaged source after the frames that could be read.
    """
    return iterate(source, configured(locals()))


def astream(
    source: Source,
    *,
    # options: pipeline network source results privacy
    pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] | None = None,
    classes: str | Sequence[str] | None = None,
    conf: float | None = None,
    masks: Literal["auto", "box", "none"] | None = None,
    engine: str | None = None,
    model: str | PathLike[str] | None = None,
    family: str | None = None,
    head: Literal["full", "class-agnostic", "proposals"] | None = None,
    precision: str | None = None,
    require_gpu: bool | None = None,
    size: str | tuple[int, int] | None = None,
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
    batch: int | None = None,
    threads: int | None = None,
    no_tuned: bool | None = None,
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
    """As `stream`, for a coroutine: the event loop goes on while a result is waited for.

        async for result in streamseg.astream("rtsp://camera/main"):
            ...

    Where the loop is left early the threads end soon after; `contextlib.aclosing(streamseg.astream(...))` waits for that. A task
    that is cancelled in it ends when they have. The options are those of `stream`.
    """
    return aiterate(source, configured(locals()))


def run(
    source: Source,
    output: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    # options: pipeline network source results privacy output job = "drive"
    pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] = "drive",
    classes: str | Sequence[str] | None = None,
    conf: float | None = None,
    masks: Literal["auto", "box", "none"] | None = None,
    engine: str | None = None,
    model: str | PathLike[str] | None = None,
    family: str | None = None,
    head: Literal["full", "class-agnostic", "proposals"] | None = None,
    precision: str | None = None,
    require_gpu: bool | None = None,
    size: str | tuple[int, int] | None = None,
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
    batch: int | None = None,
    threads: int | None = None,
    no_tuned: bool | None = None,
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
    preview: bool = False,
    resume: bool = False,
    # options end
) -> RunReport:
    """Run a whole pipeline into its outputs, as `streamseg run SOURCE -p PIPELINE -o OUTPUT` does.

    Args:
        source: As for `stream`.
        output: A path, or several: a video, a folder or frames/%06d.png, a .jsonl file, a view as http://127.0.0.1:8080.
        pipeline: drive, edit, live, or a .yaml file of your own. Or a `PipelineConfig`, or a dict of its sections.
        classes: Classes to keep, as person,car, or all. Or a list of names.
        conf: Score (0 to 1) that an object needs to appear; it is then followed down to three fifths of it. Default: the
            model's own.
        masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
        engine: What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.
        model: A name that `streamseg models` lists, or an .onnx file.
        family: What an .onnx file of another program is, as yolo-seg. Default: found from the file.
        head: How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its regions
            alone.
        precision: Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs that
            have it). Default: the fastest here that was measured to cost under half a point of AP; a file's own.
        require_gpu: Make it an error if the network cannot run on a GPU.
        size: Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model comes
            with. Or (height, width). Default: the model's own.
        start: Time to start at: 3s, 1m30s, 00:01:30. A number is seconds.
        duration: Length of the part to read, as 10s. A number is seconds.
        end: Time to stop at, as 15s; instead of duration. A number is seconds.
        realtime: Play a file at its own speed, as a camera would.
        rate: Frames per second of images, and of sources without times.
        max_rate: Frames per second to work on at most; the others are left out evenly, before any work.
        stale: Leave out a live frame that is older than this before the network looks at it, as 500ms; off: never. A number is
            seconds.
        reconnect: How long to retry when a camera is off or lost, as 10m or 24h. A number is seconds.
        trip: Join the files of a dash cam in a folder into one film, of this camera (docs/dashcam.md). Default: front. True is
            "front".
        rotate: Turn pictures by 90, 180 or 270 degrees clockwise, where the file does not say how the camera was held.
        mirror: Mirror pictures left to right.
        playlists: Follow playlists (HLS: an address with .m3u8), which may name other files and hosts.
        spool: Store a pipe or download in a temporary file first, up to SIZE, as 2GB. A number is bytes.
        batch: Frames in one call of the network.
        threads: CPU threads of the engine. 0: one a core.
        no_tuned: Leave aside what `streamseg tune --apply` found for this machine.
        detect_every: Run the network on every Nth frame only, and carry masks to the others. The results of the others have
            `detected` False. "auto": on as many as keep up with what happens live.
        motion: Run the network only where something has moved; what stands still stays found (docs/motion.md).
        ignore: Areas in which nothing is found, and motion does not count, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'. Or a dict
            of their points, fractions of the frame or pixels.
        decode: Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU).
        deinterlace: Make interlaced pictures progressive; field: at twice the rate. True is "frame".
        track: How objects are followed: the section `track` of a pipeline file, or fields of it, as {"max_age": "2s"}.
        smooth: How masks are smoothed: the section `smooth`, or fields of it, as {"masks": "off", "edges": False}.
        events: What is counted and watched: the section `events`, or fields of it, as {"lines": {"door": [[0.1, 0.5], [0.9,
            0.5]]}}.
        scene: The camera looks ahead from a vehicle: tell times to collision, the way ahead, alerts (docs/drive.md). Or the
            section `scene`, or fields of it, as {"alerts": "early"}.
        telemetry: Where the vehicle was, for scene: a log (GPX, NMEA, SRT); auto: the film itself, or a log beside it; off.
        telemetry_offset: By how much the log begins after the film, as 2s, or -90s: before it. Default: found from the times of
            both. A number is seconds.
        camera: The camera, for scene: a calibration FILE (.yaml of ROS or OpenCV), or 'fov: 78, height: 1.3' (docs/drive.md).
            Or a dict, or a `CameraModel`.
        camera_height: Metres of the camera above the road, as 1.3 or 130cm, for scene: with it there are distances.
        online: Settle each frame's tracks when it comes, not with a second of what comes after known. Default: with that second
            known, but for what happens live, and for pictures from an iterator.
        results: File (NAME.streamseg) for what was found; where it fits, it is read, and no network runs; auto: beside the
            first output.
        select: Objects to show, as 'person#3, largest car' or 'person, not #5'; names given with `streamseg tracks` count, too.
        edits: Names, merges, splits and forbidden tracks of this film: a FILE; auto: NAME.streamseg.json beside the results;
            off.
        privacy: Classes that no output may show, as person, or 'classes: person, fill: blur' (docs/privacy.md); off: none. Or a
            list of names, a dict of the section `privacy`, or a `Privacy`.
        margin: By how much privacy grows masks: pixels, and percent of the object's size, as '4px 8%'.
        format: Format of standard output (-o -): mkv, webm, ts, mp4, mov, jsonl.
        codec: h264, hevc, ffv1, … or an FFmpeg encoder. Default: by file type.
        crf: Quality: a smaller number gives better quality and a larger file.
        audio: convert: copy sound, convert it if the file cannot hold it; copy: never convert; none: no sound.
        segment: Begin a new file at each full period, as 10m or 1h; the name says when: door_%Y-%m-%d_%H-%M.mp4.
        exr: What an EXR holds, as 'light: display, layers: class, cryptomatte: track, ranks: 2' (docs/exr.md). Or a dict.
        clips: Of which events a .clips output has a clip, as 'kinds: all, before: 5s, after: 5s' (docs/results.md). Or a dict.
        key_rate: Key frames a second of a .nuimages output, which holds these alone. Default: 2.
        effects: What is drawn in the pictures that are written, in this order, as 'blur: {strength: 1} >> outline'; none:
            nothing. Or objects, as `Blur(strength=1) >> Outline()`, or a list as in a pipeline file.
        keep_grey: Draw in grey on a grey source, not in colour.
        strict: Make it an error if anything of the source is not kept as it is: whatever is otherwise a warning.
        trust: Let the pipeline file name Python code to run (use: module:Class).
        overwrite: Replace files that exist.
        preview: Render a quick look: a quarter of the width and height, with a smaller network on every twelfth frame.
        resume: Keep what is finished, so that the same command goes on where a crash, a kill or Ctrl-C has ended it.

    None means: as the pipeline says.

    Returns: what was done, how long it took, and what there is to know of it.

    Raises StreamsegError.
    """
    config = configured(locals())
    with at_work(), python_words():
        run_of = ResumableRun if resume else Run
        job = run_of(source, config, in_format(output_paths(output), format, called="format"), overwrite=overwrite)
        return job.run().worded(pythonic)


def open(  # as `gzip.open`: it is called streamseg.open
    source: str | PathLike[str],
    *,
    results: str | PathLike[str] | Results | None = "auto",
    rate: float | None = None,
    fields: Literal["auto", "progressive", "tff", "bff"] | None = None,
    deinterlace: bool | Literal["off", "frame", "field"] | None = None,
) -> Video:
    """A film as a sequence: any frame by its number or its time, equal to the bit to what playing it from the beginning gives.

        with streamseg.open("video.mp4") as video:
            result = video[120]            # frame 120 of the source, from 0; video[-1] the last one
            result = video.at(12.5)        # what is shown at 12.5 s
            picture = result.image()       # RGB, uint8 [height, width, 3]
            for result in video[100:200]:  # decoded one by one
                ...

    No network runs. Each is a `Result`, which shows itself as a picture in a notebook: with what a results file holds of the frame,
    or without instances, `detected` False.

    The film's packets are read once; then a frame is decoded from the key frame before it, and what was decoded on the way is kept,
    up to 256 MB. Frames are exact with B-frames, variable rates, edit lists and open groups of pictures. Where a container cannot
    seek (AVI, raw streams), the film is decoded from its beginning, or goes on from where it is.

    Args:
        source: A file, or a folder, glob or pattern of images.
        results: Path of a results file, or one that is open; "auto": NAME.streamseg beside the film, if it is of it; None: none.
        rate: Frames per second of images, and of sources without times.
        fields: Whether pictures are interlaced: as they say, or as you know better.
        deinterlace: Make interlaced pictures progressive; True is "frame". With results these three are as they were then.

    Raises StreamsegError: SourceError for what cannot be read, ResultsError for a results file that is named and does not fit.
    """
    with python_words():
        return open_video(source, results=results, rate=rate, fields=fields, deinterlace=deinterlace)


def run_many(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    on: str | None = None,
    workers: int | None = None,
    # options: pipeline network source results privacy output job = "drive"
    pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] = "drive",
    classes: str | Sequence[str] | None = None,
    conf: float | None = None,
    masks: Literal["auto", "box", "none"] | None = None,
    engine: str | None = None,
    model: str | PathLike[str] | None = None,
    family: str | None = None,
    head: Literal["full", "class-agnostic", "proposals"] | None = None,
    precision: str | None = None,
    require_gpu: bool | None = None,
    size: str | tuple[int, int] | None = None,
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
    batch: int | None = None,
    threads: int | None = None,
    no_tuned: bool | None = None,
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
    preview: bool = False,
    resume: bool = False,
    # options end
) -> JobReport:
    """Run a pipeline over many films with one engine, one after the other, as `streamseg run` does with a folder.

        report = streamseg.run_many("films/", "seen/", pipeline="edit")
        for film in report.having("failed"):
            print(film.source, film.error)

    What is done and has not changed since is left alone; what fails is told in the report, and holds nobody up.

        report = streamseg.run_many("film.mp4", "seen/", on="ray")     # one film, in ranges, on all cores

    Args:
        sources: A folder or glob of films, "@list.txt", or several of these and of files.
        output: A folder for the films, or paths with {name} for what each is called, as "seen/{name}.mkv"; as for `run`.
        on: On which cluster: ray, the cores of this machine; ray://HOST:10001, one whose machines all see these paths
            (docs/cluster.md). Default: here, one after the other.
        workers: With `on`: how many. Default: one a core, or a GPU.
        pipeline: drive, edit, live, or a .yaml file of your own. Or a `PipelineConfig`, or a dict of its sections.
        classes: Classes to keep, as person,car, or all. Or a list of names.
        conf: Score (0 to 1) that an object needs to appear; it is then followed down to three fifths of it. Default: the
            model's own.
        masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
        engine: What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.
        model: A name that `streamseg models` lists, or an .onnx file.
        family: What an .onnx file of another program is, as yolo-seg. Default: found from the file.
        head: How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its regions
            alone.
        precision: Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs that
            have it). Default: the fastest here that was measured to cost under half a point of AP; a file's own.
        require_gpu: Make it an error if the network cannot run on a GPU.
        size: Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model comes
            with. Or (height, width). Default: the model's own.
        start: Time to start at: 3s, 1m30s, 00:01:30. A number is seconds.
        duration: Length of the part to read, as 10s. A number is seconds.
        end: Time to stop at, as 15s; instead of duration. A number is seconds.
        realtime: Play a file at its own speed, as a camera would.
        rate: Frames per second of images, and of sources without times.
        max_rate: Frames per second to work on at most; the others are left out evenly, before any work.
        stale: Leave out a live frame that is older than this before the network looks at it, as 500ms; off: never. A number is
            seconds.
        reconnect: How long to retry when a camera is off or lost, as 10m or 24h. A number is seconds.
        trip: Join the files of a dash cam in a folder into one film, of this camera (docs/dashcam.md). Default: front. True is
            "front".
        rotate: Turn pictures by 90, 180 or 270 degrees clockwise, where the file does not say how the camera was held.
        mirror: Mirror pictures left to right.
        playlists: Follow playlists (HLS: an address with .m3u8), which may name other files and hosts.
        spool: Store a pipe or download in a temporary file first, up to SIZE, as 2GB. A number is bytes.
        batch: Frames in one call of the network.
        threads: CPU threads of the engine. 0: one a core.
        no_tuned: Leave aside what `streamseg tune --apply` found for this machine.
        detect_every: Run the network on every Nth frame only, and carry masks to the others. The results of the others have
            `detected` False. "auto": on as many as keep up with what happens live.
        motion: Run the network only where something has moved; what stands still stays found (docs/motion.md).
        ignore: Areas in which nothing is found, and motion does not count, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'. Or a dict
            of their points, fractions of the frame or pixels.
        decode: Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU).
        deinterlace: Make interlaced pictures progressive; field: at twice the rate. True is "frame".
        track: How objects are followed: the section `track` of a pipeline file, or fields of it, as {"max_age": "2s"}.
        smooth: How masks are smoothed: the section `smooth`, or fields of it, as {"masks": "off", "edges": False}.
        events: What is counted and watched: the section `events`, or fields of it, as {"lines": {"door": [[0.1, 0.5], [0.9,
            0.5]]}}.
        scene: The camera looks ahead from a vehicle: tell times to collision, the way ahead, alerts (docs/drive.md). Or the
            section `scene`, or fields of it, as {"alerts": "early"}.
        telemetry: Where the vehicle was, for scene: a log (GPX, NMEA, SRT); auto: the film itself, or a log beside it; off.
        telemetry_offset: By how much the log begins after the film, as 2s, or -90s: before it. Default: found from the times of
            both. A number is seconds.
        camera: The camera, for scene: a calibration FILE (.yaml of ROS or OpenCV), or 'fov: 78, height: 1.3' (docs/drive.md).
            Or a dict, or a `CameraModel`.
        camera_height: Metres of the camera above the road, as 1.3 or 130cm, for scene: with it there are distances.
        online: Settle each frame's tracks when it comes, not with a second of what comes after known. Default: with that second
            known, but for what happens live, and for pictures from an iterator.
        results: File (NAME.streamseg) for what was found; where it fits, it is read, and no network runs; auto: beside the
            first output.
        select: Objects to show, as 'person#3, largest car' or 'person, not #5'; names given with `streamseg tracks` count, too.
        edits: Names, merges, splits and forbidden tracks of this film: a FILE; auto: NAME.streamseg.json beside the results;
            off.
        privacy: Classes that no output may show, as person, or 'classes: person, fill: blur' (docs/privacy.md); off: none. Or a
            list of names, a dict of the section `privacy`, or a `Privacy`.
        margin: By how much privacy grows masks: pixels, and percent of the object's size, as '4px 8%'.
        format: Format of standard output (-o -): mkv, webm, ts, mp4, mov, jsonl.
        codec: h264, hevc, ffv1, … or an FFmpeg encoder. Default: by file type.
        crf: Quality: a smaller number gives better quality and a larger file.
        audio: convert: copy sound, convert it if the file cannot hold it; copy: never convert; none: no sound.
        segment: Begin a new file at each full period, as 10m or 1h; the name says when: door_%Y-%m-%d_%H-%M.mp4.
        exr: What an EXR holds, as 'light: display, layers: class, cryptomatte: track, ranks: 2' (docs/exr.md). Or a dict.
        clips: Of which events a .clips output has a clip, as 'kinds: all, before: 5s, after: 5s' (docs/results.md). Or a dict.
        key_rate: Key frames a second of a .nuimages output, which holds these alone. Default: 2.
        effects: What is drawn in the pictures that are written, in this order, as 'blur: {strength: 1} >> outline'; none:
            nothing. Or objects, as `Blur(strength=1) >> Outline()`, or a list as in a pipeline file.
        keep_grey: Draw in grey on a grey source, not in colour.
        strict: Make it an error if anything of the source is not kept as it is: whatever is otherwise a warning.
        trust: Let the pipeline file name Python code to run (use: module:Class).
        overwrite: Replace files that exist.
        preview: Render a quick look: a quarter of the width and height, with a smaller network on every twelfth frame.
        resume: Keep what is finished, so that the same command goes on where a crash, a kill or Ctrl-C has ended it.

    None means: as the pipeline says.

    Returns: what became of each film.

    Raises StreamsegError for what concerns all films.
    """
    config = configured(locals())
    given: Sequence[object] = sources if isinstance(sources, list | tuple) else [sources]
    with at_work(), python_words():
        paths = [path_of(each, "a source is a path, a folder, a glob or @list.txt") for each in given]
        outputs = in_format(output_paths(output), format, called="format")
        job = Job.prepare(paths, config, outputs, overwrite=overwrite, resume=resume)
        if on is None:
            if workers is not None:
                raise ConfigError("workers is for on, which says on what cluster")
            return job.run()
        from streamseg.cluster.on_ray import run_on_ray

        return run_on_ray(job, on, workers=workers)


def tune(
    source: Source,
    *,
    # options: pipeline network source privacy = "drive"
    pipeline: str | PathLike[str] | PipelineConfig | Mapping[str, Any] = "drive",
    classes: str | Sequence[str] | None = None,
    conf: float | None = None,
    masks: Literal["auto", "box", "none"] | None = None,
    engine: str | None = None,
    model: str | PathLike[str] | None = None,
    family: str | None = None,
    head: Literal["full", "class-agnostic", "proposals"] | None = None,
    precision: str | None = None,
    require_gpu: bool | None = None,
    size: str | tuple[int, int] | None = None,
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
    batch: int | None = None,
    threads: int | None = None,
    no_tuned: bool | None = None,
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
    privacy: str | Sequence[str] | Mapping[str, Any] | Privacy | None = None,
    margin: str | float | None = None,
    trust: bool = False,
    # options end
    seconds: float = 60.0,
    frames: int = 60,
    apply: bool = False,
) -> TuneReport:
    """Find the fastest way to run a pipeline on this machine, on a film of yours, as `streamseg tune SOURCE` does.

    Args:
        source: As for `stream`.
        seconds: How long to try; what is under way is finished.
        frames: So many of the film are looked at in each trial, at most.
        apply: Runs on this machine use what was found from now on.
        pipeline: drive, edit, live, or a .yaml file of your own. Or a `PipelineConfig`, or a dict of its sections.
        classes: Classes to keep, as person,car, or all. Or a list of names.
        conf: Score (0 to 1) that an object needs to appear; it is then followed down to three fifths of it. Default: the
            model's own.
        masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
        engine: What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.
        model: A name that `streamseg models` lists, or an .onnx file.
        family: What an .onnx file of another program is, as yolo-seg. Default: found from the file.
        head: How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its regions
            alone.
        precision: Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs that
            have it). Default: the fastest here that was measured to cost under half a point of AP; a file's own.
        require_gpu: Make it an error if the network cannot run on a GPU.
        size: Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model comes
            with. Or (height, width). Default: the model's own.
        start: Time to start at: 3s, 1m30s, 00:01:30. A number is seconds.
        duration: Length of the part to read, as 10s. A number is seconds.
        end: Time to stop at, as 15s; instead of duration. A number is seconds.
        realtime: Play a file at its own speed, as a camera would.
        rate: Frames per second of images, and of sources without times.
        max_rate: Frames per second to work on at most; the others are left out evenly, before any work.
        stale: Leave out a live frame that is older than this before the network looks at it, as 500ms; off: never. A number is
            seconds.
        reconnect: How long to retry when a camera is off or lost, as 10m or 24h. A number is seconds.
        trip: Join the files of a dash cam in a folder into one film, of this camera (docs/dashcam.md). Default: front. True is
            "front".
        rotate: Turn pictures by 90, 180 or 270 degrees clockwise, where the file does not say how the camera was held.
        mirror: Mirror pictures left to right.
        playlists: Follow playlists (HLS: an address with .m3u8), which may name other files and hosts.
        spool: Store a pipe or download in a temporary file first, up to SIZE, as 2GB. A number is bytes.
        batch: Frames in one call of the network.
        threads: CPU threads of the engine. 0: one a core.
        no_tuned: Leave aside what `streamseg tune --apply` found for this machine.
        detect_every: Run the network on every Nth frame only, and carry masks to the others. The results of the others have
            `detected` False. "auto": on as many as keep up with what happens live.
        motion: Run the network only where something has moved; what stands still stays found (docs/motion.md).
        ignore: Areas in which nothing is found, and motion does not count, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'. Or a dict
            of their points, fractions of the frame or pixels.
        decode: Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU).
        deinterlace: Make interlaced pictures progressive; field: at twice the rate. True is "frame".
        track: How objects are followed: the section `track` of a pipeline file, or fields of it, as {"max_age": "2s"}.
        smooth: How masks are smoothed: the section `smooth`, or fields of it, as {"masks": "off", "edges": False}.
        events: What is counted and watched: the section `events`, or fields of it, as {"lines": {"door": [[0.1, 0.5], [0.9,
            0.5]]}}.
        scene: The camera looks ahead from a vehicle: tell times to collision, the way ahead, alerts (docs/drive.md). Or the
            section `scene`, or fields of it, as {"alerts": "early"}.
        telemetry: Where the vehicle was, for scene: a log (GPX, NMEA, SRT); auto: the film itself, or a log beside it; off.
        telemetry_offset: By how much the log begins after the film, as 2s, or -90s: before it. Default: found from the times of
            both. A number is seconds.
        camera: The camera, for scene: a calibration FILE (.yaml of ROS or OpenCV), or 'fov: 78, height: 1.3' (docs/drive.md).
            Or a dict, or a `CameraModel`.
        camera_height: Metres of the camera above the road, as 1.3 or 130cm, for scene: with it there are distances.
        online: Settle each frame's tracks when it comes, not with a second of what comes after known. Default: with that second
            known, but for what happens live, and for pictures from an iterator.
        privacy: Classes that no output may show, as person, or 'classes: person, fill: blur' (docs/privacy.md); off: none. Or a
            list of names, a dict of the section `privacy`, or a `Privacy`.
        margin: By how much privacy grows masks: pixels, and percent of the object's size, as '4px 8%'.
        trust: Let the pipeline file name Python code to run (use: module:Class).

    Returns: what was tried, each with what it cost and whether its answers held; and what was chosen and kept.

    Raises StreamsegError.
    """
    given = {name: value for name, value in locals().items() if name not in ("seconds", "frames", "apply")}
    with at_work(), python_words():
        return tune_pipeline(source, configured(given), seconds=seconds, frames=frames, apply=apply)
