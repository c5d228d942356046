"""The options of a run, declared once: what each is called in Python and in the shell, its help, its place in a pipeline file.

`streamseg.stream`, `astream` and `run`, the methods of a `Session` and the command `streamseg run` all take their options from
here: `python -m tools.options` writes the signatures and the docstrings, and a test fails where they are not what it would write.
`pipeline.configure` makes a pipeline of what was given.

Nothing is imported here that takes time: `streamseg --help` shows these texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["OPTIONS", "Group", "Naming", "Option", "filed", "help_of", "in_python", "in_shell", "option", "pythonic"]

Group = Literal["pipeline", "network", "source", "results", "privacy", "output", "job"]
"""`pipeline`: what is found and followed; `network`: what finds it; `source`: how it is read; `results`: whether what is found is
kept; `privacy`: what no output shows; `output`: how it is written; `job`: how a whole run is done."""

TIME = "A number is seconds."


@dataclass(frozen=True, slots=True)
class Option:
    """One option. None, the default of nearly all, means: as the pipeline says."""

    name: str
    """The argument in Python; the flag in the shell is the same with dashes."""
    group: Group | tuple[Group, Group]
    """Two where it says something of both."""
    type: str
    """The annotation in Python, without None."""
    help: str
    """For the shell and for Python. {other} stands for what another option is called there."""
    place: tuple[str, ...] = ()
    """Section and field of the pipeline file, or the section alone; empty: it stands in none."""
    more: str = ""
    """What only matters in Python."""
    shell: Literal["str", "float", "int", "bool", ""] = "str"
    """The type in the shell; empty: there is no flag."""
    flags: tuple[str, ...] = ()
    """Other flags than the name with dashes."""
    off: str = ""
    """The flag that says the contrary, where the pipeline may say so itself."""
    metavar: str | None = None
    """What stands for the value in the shell's help; None: its type."""
    bare: str | None = None
    """What the flag means where no value follows it."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """All that it belongs to."""
        return self.group if isinstance(self.group, tuple) else (self.group,)

    @property
    def values(self) -> list[str]:
        """The words that may be its value, where there are few."""
        return re.findall(r'"([\w-]+)"', self.type)

    @property
    def flag(self) -> str:
        """As a person types it in the shell."""
        return self.flags[-1] if self.flags else f"--{self.name.replace('_', '-')}"


Naming = Callable[[Option], str]
"""What an option is called by whoever gave it."""


def in_python(option: Option) -> str:
    """The argument's name."""
    return option.name


def in_shell(option: Option) -> str:
    """The flag."""
    return option.flag


def help_of(option: Option, naming: Naming) -> str:
    """The text for a person who calls options by those names."""
    text = f"{option.help} {option.more}".rstrip() if naming is in_python else option.help
    return re.sub(r"\{(\w+)\}", lambda match: naming(_BY_NAME[match[1]]), text)


def pythonic(text: str) -> str:
    """A message that was written for the shell with arguments for flags: `overwrite=True` for `--overwrite`."""
    text = _FLAG.sub(lambda match: match[0] if _COMMAND.search(text[: match.start()]) else _argument(*match.groups()), text)
    return _OUTPUT.sub(lambda match: match[0] if _COMMAND.search(text[: match.start()]) else "output", text)


def filed(text: str) -> str:
    """A message that was written for the shell with keys and values for flags, as a file of cameras has them: `conf: 0.4`."""
    return _FLAG.sub(
        lambda match: match[0] if _COMMAND.search(text[: match.start()]) else _entry(match[1], match[2]),
        text,
    )


def _entry(flag: str, value: str | None) -> str:
    declared = next(each for each in OPTIONS if each.flag == flag)
    value = "true" if declared.shell == "bool" and value is None else value
    return declared.name if value is None else f"{declared.name}: {value}"


def _argument(flag: str, value: str | None) -> str:
    """`--decode cpu` as `decode="cpu"`; without a value the name."""
    declared = next(each for each in OPTIONS if each.flag == flag)
    if declared.shell == "bool":
        return f"{declared.name}=True" + (f" {value}" if value else "")
    if value is None:
        return declared.name
    return f"{declared.name}={value}" if re.fullmatch(r"[\d.]+", value) else f'{declared.name}="{value}"'


def option(name: str) -> Option:
    """The option of that name in Python."""
    return _BY_NAME[name]


OPTIONS: tuple[Option, ...] = (
    Option(
        "pipeline",
        "pipeline",
        "str | PathLike[str] | PipelineConfig | Mapping[str, Any]",
        "drive, edit, live, or a .yaml file of your own.",
        more="Or a `PipelineConfig`, or a dict of its sections.",
        flags=("-p", "--pipeline"),
    ),
    Option(
        "classes",
        "pipeline",
        "str | Sequence[str]",
        "Classes to keep, as person,car, or all.",
        ("postprocess", "classes"),
        more="Or a list of names.",
    ),
    Option(
        "conf",
        "pipeline",
        "float",
        "Score (0 to 1) that an object needs to appear; it is then followed down to three fifths of it. Default: the model's own.",
        ("postprocess", "conf"),
        shell="float",
    ),
    Option(
        "masks",
        ("pipeline", "network"),
        'Literal["auto", "box", "none"]',
        "auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.",
        ("postprocess", "masks"),
    ),
    Option(
        "engine",
        "network",
        "str",
        "What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.",
        ("infer", "engine"),
    ),
    Option(
        "model", "network", "str | PathLike[str]", "A name that `streamseg models` lists, or an .onnx file.", ("infer", "model")
    ),
    Option(
        "family",
        "network",
        "str",
        "What an .onnx file of another program is, as yolo-seg. Default: found from the file.",
        ("infer", "family"),
    ),
    Option(
        "head",
        "network",
        'Literal["full", "class-agnostic", "proposals"]',
        "How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its regions alone.",
        ("infer", "head"),
    ),
    Option(
        "precision",
        "network",
        "str",
        "Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs that have it). "
        "Default: the fastest here that was measured to cost under half a point of AP; a file's own.",
        ("infer", "precision"),
    ),
    Option(
        "require_gpu",
        "network",
        "bool",
        "Make it an error if the network cannot run on a GPU.",
        ("infer", "require_gpu"),
        shell="bool",
    ),
    Option(
        "size",
        "network",
        "str | tuple[int, int]",
        "Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model comes with.",
        ("preprocess", "size"),
        more="Or (height, width). Default: the model's own.",
    ),
    Option("start", "source", "float | str", "Time to start at: 3s, 1m30s, 00:01:30.", ("decode", "start"), more=TIME),
    Option("duration", "source", "float | str", "Length of the part to read, as 10s.", ("decode", "duration"), more=TIME),
    Option("end", "source", "float | str", "Time to stop at, as 15s; instead of {duration}.", ("decode", "end"), more=TIME),
    Option(
        "realtime", "source", "bool", "Play a file at its own speed, as a camera would.", ("decode", "realtime"), shell="bool"
    ),
    Option(
        "rate",
        "source",
        "float",
        "Frames per second of images, and of sources without times.",
        ("decode", "rate"),
        shell="float",
    ),
    Option(
        "max_rate",
        "source",
        "float",
        "Frames per second to work on at most; the others are left out evenly, before any work.",
        ("decode", "max_rate"),
        shell="float",
    ),
    Option(
        "stale",
        "source",
        'float | str | Literal["off"]',
        "Leave out a live frame that is older than this before the network looks at it, as 500ms; off: never.",
        ("decode", "stale"),
        more=TIME,
        metavar="TIME|off",
    ),
    Option(
        "reconnect",
        "source",
        "float | str",
        "How long to retry when a camera is off or lost, as 10m or 24h.",
        ("decode", "reconnect"),
        more=TIME,
        metavar="TIME",
    ),
    Option(
        "trip",
        "source",
        'bool | Literal["off", "front", "rear", "interior", "left", "right", "tele"]',
        "Join the files of a dash cam in a folder into one film, of this camera (docs/dashcam.md). Default: front.",
        ("decode", "trip"),
        more='True is "front".',
        metavar="[CAMERA]",
        bare="front",
    ),
    Option(
        "rotate",
        "source",
        "int",
        "Turn pictures by 90, 180 or 270 degrees clockwise, where the file does not say how the camera was held.",
        ("decode", "rotate"),
        shell="int",
    ),
    Option("mirror", "source", "bool", "Mirror pictures left to right.", ("decode", "mirror"), shell="bool"),
    Option(
        "playlists",
        "source",
        "bool",
        "Follow playlists (HLS: an address with .m3u8), which may name other files and hosts.",
        ("decode", "playlists"),
        shell="bool",
    ),
    Option(
        "spool",
        "source",
        "int | str",
        "Store a pipe or download in a temporary file first, up to SIZE, as 2GB.",
        ("decode", "spool"),
        more="A number is bytes.",
        metavar="SIZE",
    ),
    Option("batch", "network", "int", "Frames in one call of the network.", ("infer", "batch"), shell="int"),
    Option("threads", "network", "int", "CPU threads of the engine.", ("infer", "threads"), more="0: one a core.", shell="int"),
    Option(
        "no_tuned",
        "network",
        "bool",
        "Leave aside what `streamseg tune --apply` found for this machine.",
        ("infer", "no_tuned"),
        shell="bool",
    ),
    Option(
        "detect_every",
        "pipeline",
        'int | Literal["auto"]',
        "Run the network on every Nth frame only, and carry masks to the others.",
        ("infer", "every"),
        more='The results of the others have `detected` False. "auto": on as many as keep up with what happens live.',
        metavar="N|auto",
    ),
    Option(
        "motion",
        "pipeline",
        "bool",
        "Run the network only where something has moved; what stands still stays found (docs/motion.md).",
        ("motion", "gate"),
        shell="bool",
    ),
    Option(
        "ignore",
        "pipeline",
        "str | Mapping[str, Any]",
        "Areas in which nothing is found, and motion does not count, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'.",
        ("ignore",),
        more="Or a dict of their points, fractions of the frame or pixels.",
        metavar="AREAS",
    ),
    Option(
        "decode",
        "source",
        'Literal["auto", "nvdec", "cpu", "host"]',
        "Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU).",
        ("decode", "device"),
    ),
    Option(
        "deinterlace",
        "source",
        'bool | Literal["off", "frame", "field"]',
        "Make interlaced pictures progressive; field: at twice the rate.",
        ("decode", "deinterlace"),
        more='True is "frame".',
        metavar="[frame|field]",
        bare="frame",
    ),
    Option(
        "track",
        "pipeline",
        "TrackConfig | Mapping[str, Any]",
        'How objects are followed: the section `track` of a pipeline file, or fields of it, as {"max_age": "2s"}.',
        ("track",),
        shell="",
    ),
    Option(
        "smooth",
        "pipeline",
        "SmoothConfig | Mapping[str, Any]",
        'How masks are smoothed: the section `smooth`, or fields of it, as {"masks": "off", "edges": False}.',
        ("smooth",),
        shell="",
    ),
    Option(
        "events",
        "pipeline",
        "EventsConfig | Mapping[str, Any]",
        'What is counted and watched: the section `events`, or fields of it, as {"lines": {"door": [[0.1, 0.5], [0.9, 0.5]]}}.',
        ("events",),
        shell="",
    ),
    Option(
        "scene",
        "pipeline",
        "bool | SceneConfig | Mapping[str, Any]",
        "The camera looks ahead from a vehicle: tell times to collision, the way ahead, alerts (docs/drive.md).",
        ("scene",),
        more='Or the section `scene`, or fields of it, as {"alerts": "early"}.',
        shell="bool",
        off="--no-scene",
    ),
    Option(
        "telemetry",
        "pipeline",
        "str | PathLike[str]",
        "Where the vehicle was, for scene: a log (GPX, NMEA, SRT); auto: the film itself, or a log beside it; off.",
        ("scene", "telemetry"),
        metavar="FILE|auto|off",
    ),
    Option(
        "telemetry_offset",
        "pipeline",
        "float | str",
        "By how much the log begins after the film, as 2s, or -90s: before it. Default: found from the times of both.",
        ("scene", "telemetry_offset"),
        more=TIME,
        metavar="TIME",
    ),
    Option(
        "camera",
        "pipeline",
        "str | PathLike[str] | Mapping[str, Any] | CameraModel",
        "The camera, for scene: a calibration FILE (.yaml of ROS or OpenCV), or 'fov: 78, height: 1.3' (docs/drive.md).",
        ("scene", "camera"),
        more="Or a dict, or a `CameraModel`.",
        metavar="FILE|TEXT",
    ),
    Option(
        "camera_height",
        "pipeline",
        "float | str",
        "Metres of the camera above the road, as 1.3 or 130cm, for scene: with it there are distances.",
        ("scene", "camera_height"),
        metavar="METRES",
    ),
    Option(
        "online",
        "pipeline",
        "bool",
        "Settle each frame's tracks when it comes, not with a second of what comes after known.",
        ("track", "online"),
        more="Default: with that second known, but for what happens live, and for pictures from an iterator.",
        shell="bool",
    ),
    Option(
        "results",
        "results",
        "str | PathLike[str]",
        "File (NAME.streamseg) for what was found; where it fits, it is read, and no network runs; auto: beside the first output.",
        ("results", "keep"),
        metavar="FILE|auto|off",
    ),
    Option(
        "select",
        "results",
        "str | Selection",
        "Objects to show, as 'person#3, largest car' or 'person, not #5'; names given with `streamseg tracks` count, too.",
        ("select", "objects"),
        metavar="SELECTION",
    ),
    Option(
        "edits",
        "results",
        "str | PathLike[str]",
        "Names, merges, splits and forbidden tracks of this film: a FILE; auto: NAME.streamseg.json beside the results; off.",
        ("select", "edits"),
        metavar="FILE|auto|off",
    ),
    Option(
        "privacy",
        "privacy",
        "str | Sequence[str] | Mapping[str, Any] | Privacy",
        "Classes that no output may show, as person, or 'classes: person, fill: blur' (docs/privacy.md); off: none.",
        ("privacy",),
        more="Or a list of names, a dict of the section `privacy`, or a `Privacy`.",
        metavar="CLASSES",
    ),
    Option(
        "margin",
        "privacy",
        "str | float",
        "By how much {privacy} grows masks: pixels, and percent of the object's size, as '4px 8%'.",
        ("privacy", "margin"),
    ),
    Option("format", "output", "str", "Format of standard output (-o -): mkv, webm, ts, mp4, mov, jsonl."),
    Option("codec", "output", "str", "h264, hevc, ffv1, … or an FFmpeg encoder. Default: by file type.", ("encode", "codec")),
    Option(
        "crf",
        "output",
        "float",
        "Quality: a smaller number gives better quality and a larger file.",
        ("encode", "crf"),
        shell="float",
    ),
    Option(
        "audio",
        "output",
        'Literal["convert", "copy", "none"]',
        "convert: copy sound, convert it if the file cannot hold it; copy: never convert; none: no sound.",
        ("encode", "audio"),
    ),
    Option(
        "segment",
        "output",
        "str | float",
        "Begin a new file at each full period, as 10m or 1h; the name says when: door_%Y-%m-%d_%H-%M.mp4.",
        ("encode", "segment"),
        metavar="TIME",
    ),
    Option(
        "exr",
        "output",
        "str | Mapping[str, Any]",
        "What an EXR holds, as 'light: display, layers: class, cryptomatte: track, ranks: 2' (docs/exr.md).",
        ("encode", "exr"),
        more="Or a dict.",
    ),
    Option(
        "clips",
        "output",
        "str | Mapping[str, Any]",
        "Of which events a .clips output has a clip, as 'kinds: all, before: 5s, after: 5s' (docs/results.md).",
        ("encode", "clips"),
        more="Or a dict.",
    ),
    Option(
        "key_rate",
        "output",
        "float",
        "Key frames a second of a .nuimages output, which holds these alone. Default: 2.",
        ("encode", "key_rate"),
        shell="float",
    ),
    Option(
        "effects",
        "output",
        "str | Effect | Sequence[Effect | str | Mapping[str, Any]]",
        "What is drawn in the pictures that are written, in this order, as 'blur: {strength: 1} >> outline'; none: nothing.",
        ("composite",),
        more="Or objects, as `Blur(strength=1) >> Outline()`, or a list as in a pipeline file.",
    ),
    Option("keep_grey", "output", "bool", "Draw in grey on a grey source, not in colour.", ("keep_grey",), shell="bool"),
    Option(
        "strict",
        "output",
        "bool",
        "Make it an error if anything of the source is not kept as it is: whatever is otherwise a warning.",
        ("strict",),
        shell="bool",
    ),
    Option("trust", "pipeline", "bool", "Let the pipeline file name Python code to run (use: module:Class).", shell="bool"),
    Option("overwrite", "output", "bool", "Replace files that exist.", shell="bool"),
    Option(
        "preview",
        "job",
        "bool",
        "Render a quick look: a quarter of the width and height, with a smaller network on every twelfth frame.",
        shell="bool",
    ),
    Option(
        "resume",
        "job",
        "bool",
        "Keep what is finished, so that the same command goes on where a crash, a kill or Ctrl-C has ended it.",
        shell="bool",
    ),
)
"""In the order in which they are shown."""

_VALUE = "|".join({"auto", "openvino", "tensorrt-rtx", "all", *(value for each in OPTIONS for value in each.values)})
_FLAG = re.compile(
    rf"({'|'.join(each.flag for each in OPTIONS if each.shell)})(?![\w-])(?: ({_VALUE}|\d[\w.]*\w|\d)(?![\w-]))?"
)
_OUTPUT = re.compile(r"(?<![\w-])-o(?![\w-])")
"""The outputs stand in no list of options: they are an argument of `run` itself."""
_COMMAND = re.compile(r"streamseg [a-z]+ [^;:.]*$")
"""A command that is quoted stays one."""
_BY_NAME = {each.name: each for each in OPTIONS}
