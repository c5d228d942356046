"""Whether what was found in a film is kept, and whether what was kept before is read in place of looking again.

A results file fits where the film is the same, the model, and every setting that has a part in finding: then reading it gives to
the bit what looking again would give. Classes shown, effects, outputs, events and occlusion have none: they come behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamseg.config.schema import PipelineConfig
from streamseg.decode import SourceInfo
from streamseg.decode.frames import FrameSource
from streamseg.decode.images import find_images
from streamseg.encode import is_address
from streamseg.engine import Engine
from streamseg.errors import ConfigError, OutputError, OutputExists, ResultsError, StreamsegError
from streamseg.errors.describe import brief, counted
from streamseg.hub.catalog import is_name
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.opening import asked_graph
from streamseg.pipeline.outputs import Target, film_of
from streamseg.pipeline.split import is_split, literal_folder
from streamseg.pipeline.stages import Step, steps
from streamseg.record import ENDING, RecordWriter, Results, open_results
from streamseg.record.chunks import ForeignFile
from streamseg.record.source_key import file_key, images_key, same_source
from streamseg.system.callbacks import Message
from streamseg.system.output_files import local_path
from streamseg.system.standard_streams import is_stdout
from streamseg.system.version import installed_version

__all__ = [
    "Keeping",
    "beside_output",
    "describe",
    "is_beginning",
    "keeping",
    "place_of",
    "settings_of",
    "why_no_key",
    "why_not",
]

_NOT_FINDING = {"infer": ("batch", "in_flight", "threads", "no_tuned", "require_gpu", "engine", "model", "precision")}
"""Fields that change how fast it goes alone, or that are compared by what they lead to (`_model_differs`)."""
_SECTIONS = ("infer", "motion", "postprocess", "track", "smooth")
_DECODE = ("fields", "deinterlace", "rate", "shrink", "max_rate")
"""Of the section `decode`, what changes the pictures."""


@dataclasses.dataclass(slots=True)
class Keeping:
    """The results file of a run: `read` is the one that fits; else one is written at `path`."""

    path: Path
    must: bool
    """It was asked for by its path."""
    source: dict[str, Any]
    settings: dict[str, Any]
    read: Results | None = None
    replace: bool = False
    """A file is there that does not fit."""

    def begin(
        self, config: PipelineConfig, engine: Engine, info: SourceInfo, masks: bool, say: Message | None
    ) -> RecordWriter | None:
        """The file to write what `engine` finds; None where it cannot be written and need not, which is said.

        Raises OutputError where it must.
        """
        try:
            return RecordWriter(self.path, self._head(config, engine, info, masks), replace=self.replace)
        except OutputError as error:
            if self.must:
                raise
            why = "another run is writing it" if isinstance(error, OutputExists) else str(error).removeprefix(f"{self.path}: ")
            _say(
                say, f"results: {self.path} is not kept: {why}; --results FILE{ENDING} keeps them elsewhere, --results off: not"
            )
            return None

    def _head(self, config: PipelineConfig, engine: Engine, info: SourceInfo, masks: bool) -> dict[str, Any]:
        spec, infer = engine.spec, config.infer
        return {
            "written_by": f"streamseg {installed_version()}",
            "source": self.source,
            "classes": list(spec.classes),
            "time_base": str(info.time_base),
            "rate": None if info.rate is None else str(info.rate),
            "width": info.width,
            "height": info.height,
            "start": config.decode.start,
            "span": config.decode.span,
            "model": {
                "name": spec.name,
                "sha256": spec.sha256,
                "size": list(spec.size),
                "masks": masks,
                "engine": engine.name,
                "precision": engine.precision,
                "asked": {"model": model_key(config), "engine": infer.engine, "precision": infer.precision}
                | {"size": config.preprocess.size},
            },
            "settings": self.settings,
        }


def place_of(config: PipelineConfig, targets: Sequence[Target], source: object) -> Path | None:
    """Where the results of a run stand; None: nowhere."""
    asked = config.results.keep
    if asked == "off":
        return None
    if asked != "auto":
        return Path(asked).expanduser()
    for target in targets:
        if not is_stdout(target.path) and not is_address(target.path):
            folder = literal_folder(target.path) if is_split(target.path) else Path(target.path).parent
            return folder / f"{film_of(source)[0]}{ENDING}"
    return None


def keeping(
    config: PipelineConfig,
    source: object,
    info: SourceInfo,
    targets: Sequence[Target],
    chosen: Sequence[Step],
    own: Sequence[Step],
    *,
    overwrite: bool = False,
    engine: Engine | None = None,
    say: Message | None = None,
) -> Keeping | None:
    """What a run does about its results; None: it neither keeps nor reads them.

    `chosen`: all steps; `own`: those that a program added, of which no file can tell whether they are the same. `engine`: the one
    that is open already. Raises ConfigError or ResultsError for a file that was asked for by its path and cannot be kept or read.
    """
    path = place_of(config, targets, source)
    if path is None:
        return None
    must = config.results.keep != "auto"
    reason = why_no_key(config, source, info, chosen, own)
    if reason is not None:
        if must:
            raise ConfigError(f"results: {path}: {reason}, so that no results file can be kept of it; leave --results out")
        return None
    key = key_of(source)
    path = path if must else _own_place(path, key)
    found = Keeping(path, must, key, settings_of(config))
    if not path.exists():
        return found if must else _in_this_folder(found, config, engine) or found
    found.replace = True
    try:
        results = open_results(path)
    except ResultsError as error:
        if must:  # it may be a film, or anything that was not meant
            raise
        if isinstance(error, ForeignFile):
            _say(say, f"results: {path}: this is no results file of streamseg, so it stays, and this run keeps none")
            return None
        _say(say, f"results: {error}; the film is looked at anew, and it is replaced")
        return found
    other = not same_source(results.head.get("source"), found.source)
    differs = "it is of another film" if other else why_not(results, config, found.settings, engine)
    if differs is None:
        found.read = results
        return found
    more = not other and _holds_more(results, config)
    results.close()
    if other and must and not overwrite:
        raise ResultsError(f"{path}: it is of another film; choose another name, or pass --overwrite to replace it")
    if more:
        if must:
            raise ResultsError(f"{path}: {differs}, and holds more of the film than is asked for; choose another name")
        _say(say, f"results: {path} does not fit ({differs}); it holds more of the film, so it stays, and this run keeps none")
        return None
    _say(say, f"results: {path} does not fit ({differs}); the film is looked at anew, and it is replaced when that is done")
    return found


def _own_place(path: Path, source: dict[str, Any]) -> Path:
    """`film.streamseg`, or `film.mov.streamseg` where the former is kept of another film, as `film.mp4`, beside one output."""
    with contextlib.suppress(ResultsError):
        if path.exists():
            with open_results(path) as results:
                there = results.head.get("source")
            named = there.get("name") if isinstance(there, dict) else None
            if named != source["name"] and not same_source(there, source):
                return path.with_name(f"{source['name']}{ENDING}")
    return path


def _in_this_folder(found: Keeping, config: PipelineConfig, engine: Engine | None) -> Keeping | None:
    """The file that `streamseg tracks` has kept where a person is, if that fits to the letter: outputs may go elsewhere."""
    here = Path(found.path.name)
    if not here.is_file():
        return None
    with contextlib.suppress(ResultsError):
        results = open_results(here)
        if same_source(results.head.get("source"), found.source) and why_not(results, config, found.settings, engine) is None:
            return dataclasses.replace(found, path=here, read=results)
        results.close()
    return None


def _say(say: Message | None, text: str) -> None:
    if say is not None:
        say(text)


def why_no_key(
    config: PipelineConfig, source: object, info: SourceInfo, chosen: Sequence[Step], own: Sequence[Step]
) -> str | None:
    """Why nothing could tell later that a results file fits; None: something can."""
    if isinstance(source, FrameSource) or config.decode.use is not None:
        return "its pictures are given by a program"
    path = local_path(source)  # type: ignore[arg-type]  # it is no FrameSource
    if info.kind == "trip":
        return "it is a trip of many files"
    if info.live or info.kind not in ("file", "images") or path is None:
        return "the source is no file that could be read again"
    if info.kind == "images" and path.is_file() and info.frame_count == 1 and config.results.keep == "auto":
        return "it is one photo"
    if config.decode.playlists:
        return "a playlist names other files"
    if config.decode.realtime or config.decode.policy == "drop_oldest":
        return "frames may be left out (realtime, or policy: drop_oldest)"
    if taken := {step.name for step in own} & {step.name for step in chosen if step.looks}:
        return f"the stage {min(taken)!r} of a program has a part in what is found"
    return None


def beside_output(config: PipelineConfig) -> PipelineConfig:
    """`config` for a run into a folder of its own, to measure: it keeps results there if it would keep any, and reads none."""
    if config.results.keep == "off":
        return config
    return config.model_copy(update={"results": config.results.model_copy(update={"keep": "auto"})})


def key_of(source: object) -> dict[str, Any]:
    """The key of a film in a file, or in images. Raises SourceError."""
    path = local_path(source)  # type: ignore[arg-type]  # checked by `why_no_key`
    assert path is not None
    if path.is_file():
        return file_key(path)
    return images_key(find_images(path) or [path])


def model_key(config: PipelineConfig) -> str:
    """What model is asked for: the check sum of its graph, or of a file and what lies beside it; its name, where it is not here."""
    asked = config.infer.model
    try:
        if is_name(asked):
            return asked_graph(config).sha256
        beside = Path(asked).with_suffix(".yaml")
        return "+".join(
            str(file_key(path)["sha256"]) for path in (Path(asked), beside) if path == Path(asked) or path.is_file()
        )
    except StreamsegError:
        return asked


def settings_of(config: PipelineConfig) -> dict[str, Any]:
    """Every setting that has a part in what is found, as {"track.max_age": 1.0}; of sections, by their names."""
    found: dict[str, Any] = {f"decode.{name}": _plain(getattr(config.decode, name)) for name in _DECODE}
    if config.decode.rotate or config.decode.mirror:  # files from before these were known are of pictures as they are
        found["decode.mount"] = [config.decode.rotate, config.decode.mirror]
    for section in _SECTIONS:
        values = getattr(config, section)
        for name in type(values).model_fields:
            if name not in _NOT_FINDING.get(section, ()) and (section, name) != ("postprocess", "classes"):
                found[f"{section}.{name}"] = _plain(getattr(values, name))
    found["ignore"] = {name: _plain(dataclasses.asdict(area)) for name, area in config.ignore.items()}
    if found["track.online"] == "auto":  # of a file
        found["track.online"] = False
    look = {step.name for step in steps(extra_steps(config)) if step.looks}
    found["stages"] = [_plain(dataclasses.asdict(each.stage) | each.model_dump(include={"name", "after"})) for each in config.stages
                       if each.name in look]  # fmt: skip
    return found


def _plain(value: Any) -> Any:
    """`value` as JSON gives it back."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def why_not(results: Results, config: PipelineConfig, settings: dict[str, Any], engine: Engine | None = None) -> str | None:
    """Why what a results file holds is not what would be found now, in a sentence; None: it is. The film is the same."""
    told = results.head.get("settings")
    usual = settings_of(PipelineConfig())
    told = {**usual, **told} if isinstance(told, dict) else {}
    for name in sorted({*told, *settings}):
        there, here = told.get(name), settings.get(name)
        if there != here:
            return f"{name} was {_value(there)}, and is {_value(here)}"
    return _model_differs(results, config, engine) or _uncovered(results, config)


def _value(value: Any) -> str:
    return "auto" if value is None else brief(value) if isinstance(value, str | list) else str(value)


def _model_differs(results: Results, config: PipelineConfig, engine: Engine | None) -> str | None:
    """What was asked for then is asked for now; or now by its name what was taken then."""
    model = results.head.get("model")
    asked = model.get("asked") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(asked, dict) or not {"name", "masks"} <= model.keys():
        return "it does not say by which model it was made"
    if engine is not None:
        here = {"sha256": engine.spec.sha256, "engine": engine.name, "precision": engine.precision}
        return next((_was(name, model.get(name), here[name]) for name in here if model.get(name) != here[name]), None)
    infer, size = config.infer, config.preprocess.size
    if asked.get("model") != model_key(config):
        return f"it was made by another model ({model['name']})"
    if (size if size is None or isinstance(size, str) else list(size)) not in (asked.get("size"), model.get("size")):
        return _was("preprocess.size", asked.get("size"), size)
    for name, here_asked in (("engine", infer.engine), ("precision", infer.precision)):
        if here_asked not in (asked.get(name), model.get(name)):
            return _was(f"infer.{name}", model.get(name), here_asked)
    return None


def _was(name: str, there: Any, here: Any) -> str:
    return f"{name} was {_value(there)}, and is {_value(here)}"


def _uncovered(results: Results, config: PipelineConfig) -> str | None:
    """Why a file does not hold the part that is asked for: seconds from the film's beginning."""
    begins, ends = _part(results)
    start, span = config.decode.start, config.decode.span
    end = None if span is None else start + span
    if begins > start:
        return f"it begins at {begins:g} s"
    if ends is not None and (end is None or end > ends + 1e-9):
        return f"it ends at {ends:.2f} s{'' if results.complete else ', where the run that wrote it was interrupted'}"
    return None


def _part(results: Results) -> tuple[float, float | None]:
    """From where to where a file goes, in seconds from the film's beginning; None: to the film's end."""
    start, span = results.head.get("start", 0.0), results.head.get("span")
    begins = float(start) if isinstance(start, int | float) else 0.0
    if results.complete:
        return begins, None if not isinstance(span, int | float) else begins + span
    if not len(results):
        return begins, begins
    last = int(results.pts[-1]) + results[int(results.numbers[-1])].duration
    return begins, begins + float((last - int(results.pts[0])) * results.time_base)


def is_beginning(results: Results, config: PipelineConfig, settings: dict[str, Any], engine: Engine | None = None) -> bool:
    """Whether a file is the beginning of just what would be found now: its run, or the file itself, was cut short.

    Looked at anew, the same tracks get the same numbers.
    """
    if results.complete or why_not(results, config, settings, engine) != _uncovered(results, config):
        return False
    return (results.head.get("start"), results.head.get("span")) == (config.decode.start, config.decode.span)


def _holds_more(results: Results, config: PipelineConfig) -> bool:
    """A file of other settings that holds what this run would look at, and more: the work of hours is not given for a trial."""
    begins, ends = _part(results)
    start, span = config.decode.start, config.decode.span
    end = None if span is None else start + span
    reaches = ends is None or (end is not None and ends >= end)
    return begins <= start and reaches and (begins, ends) != (start, end)


def describe(results: Results) -> str:
    """What is read, in a line."""
    model = results.head["model"]
    by = ", ".join(str(part) for part in (model["name"], model.get("engine"), model.get("precision")) if part)
    return f"results: {results.path} is read ({counted(len(results), 'frame')}; {by}); no network is loaded"
