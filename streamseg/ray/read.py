"""`read`: films as a dataset of Ray Data.

Annotations are no strings here, so that `help` shows what they mean. The options are written by `python -m tools.options`.
"""

import inspect
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from streamseg.composite import Privacy
from streamseg.config import PipelineConfig
from streamseg.config.schema import EventsConfig, SceneConfig, SmoothConfig, TrackConfig
from streamseg.core.scene import CameraModel
from streamseg.engine import computes_on_gpu
from streamseg.errors import ConfigError, MissingExtra
from streamseg.errors.describe import brief, path_of
from streamseg.jobs.films import find_films
from streamseg.pipeline.configure import configured, python_words
from streamseg.ray.rows import check_pictures
from streamseg.select import Selection

__all__ = ["read", "with_threads"]

_ON_ERROR = ("raise", "row", "skip")


def read(
    paths: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    pictures: bool | Literal["jpg", "png"] = False,
    on_error: Literal["raise", "row", "skip"] = "raise",
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    concurrency: int | None = None,
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
) -> Any:
    """What is found in films, as a `ray.data.Dataset` of a row a frame: what `streamseg.stream` gives of each, and as lazily.

        rows = streamseg.ray.read("films/", pipeline="drive", num_gpus=1)
        rows.filter(lambda row: "person" in row["classes"]).write_parquet("people/")

    A task of Ray runs a film, and gives its rows in blocks while it runs (`DataContext.target_max_block_size`, 128 MB, says how
    large); memory does not grow with its length. Each process of
    Ray keeps its engine for the next film. What `streamseg tune` found is left aside: it is of one machine. Columns:
    docs/ray-data.md, and `row_schema`.

    Args:
        paths: A folder or glob of films, "@list.txt", a file, or several of these. All machines see them under the same path.
        pictures: Whether rows have the frame as `image`: uint8 [height, width, 3], RGB; "jpg" or "png": encoded, for storing.
        on_error: A film that cannot be read, or no further, ends the pipeline ("raise"); or is told as a last row, with the reason
            in the column `error` ("row"), or in the log alone ("skip"). What concerns all films, as the engine, is raised.
        num_cpus: Cores that a film takes. The network computes on as many, unless `threads` says another number. Default: 1.
        num_gpus: GPUs, or a share of one, that a film takes. Default: 1 where the network computes on a GPU, else 0.
        concurrency: Films that run at once. Default: as many as there is room for.
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

    Raises StreamsegError: MissingExtra without Ray, SourceError where there are no films. What is wrong with a film is raised when
    rows are taken: a `ray.exceptions.RayTaskError` that is a StreamsegError, too.
    """
    given = {name: value for name, value in locals().items() if name not in _OWN}
    with python_words():
        _check(pictures=pictures, on_error=on_error)
        config = configured(given)
        named = [paths] if isinstance(paths, str | PathLike) else list(paths)
        films = find_films([path_of(each, "paths") for each in named])
        _refuse_files_of_one(config, len(films))
    try:
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray[data]", "cluster") from error
    from streamseg.ray.films import Films

    gpus = (1 if computes_on_gpu(config.infer.engine) else 0) if num_gpus is None else num_gpus
    named_films, fitted = [str(each.source) for each in films], with_threads(config, num_cpus, gpus)
    source = Films(named_films, fitted, pictures, on_error)
    more: dict[str, Any] = {"num_cpus": 1 if num_cpus is None else num_cpus, "num_gpus": gpus or None}
    if gpus:  # Ray would end the process after each film, and its engine with it
        named_there = "max_calls" in inspect.signature(ray.data.read_datasource).parameters
        more |= {"max_calls": 0} if named_there else {"ray_remote_args": {"max_calls": 0}}
    return ray.data.read_datasource(source, concurrency=concurrency, override_num_blocks=len(films), **more)


def with_threads(config: PipelineConfig, cpus: float | None, gpus: float) -> PipelineConfig:
    """`config` with as many threads for the network as cores are asked of Ray: there is a process a share of them."""
    if gpus or config.infer.threads:
        return config
    threads = {"threads": max(1, int(cpus or 1)), "in_flight": 1}
    return config.model_copy(update={"infer": config.infer.model_copy(update=threads)})


def _check(*, pictures: object, on_error: object) -> None:
    check_pictures(pictures)
    if on_error not in _ON_ERROR:
        raise ConfigError(f"on_error is {brief(on_error)}; allowed: {', '.join(map(repr, _ON_ERROR))}")


def _refuse_files_of_one(config: PipelineConfig, films: int) -> None:
    """Raise ConfigError for what cannot be of many films, or not on other machines."""
    if config.decode.realtime:
        raise ConfigError("realtime: rows are computed as fast as they can be; leave it out")
    for name, value in (("results", config.results.keep), ("edits", config.select.edits)):
        if films > 1 and value not in ("auto", "off"):
            raise ConfigError(f"{name} {value}: this is a file of one film, and there are {films}; allowed: auto, off")


_OWN = {*inspect.signature(read).parameters} & {"paths", "pictures", "on_error", "num_cpus", "num_gpus", "concurrency"}
