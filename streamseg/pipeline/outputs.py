"""Which outputs a run has: what the pipeline file lists, put together with what -o says."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote, urlsplit

from streamseg.composite import Effect, Matte, Overlay, Privacy
from streamseg.config.schema import EncodeConfig, OutputConfig
from streamseg.config.steps import EffectStep
from streamseg.decode.images import SUFFIXES as STILLS
from streamseg.encode import Sink, is_address, is_plain, is_results, is_view
from streamseg.encode.images.sequence import IMAGE_SUFFIXES, names_still
from streamseg.encode.kinds import ending_of, endings, kind_of
from streamseg.encode.video.containers import CONTAINERS
from streamseg.errors import ConfigError, OutputError
from streamseg.errors.describe import did_you_mean, short
from streamseg.pipeline.dated import is_dated, name_at
from streamseg.pipeline.split import is_split
from streamseg.record import ENDING
from streamseg.system.output_files import same_place
from streamseg.system.standard_streams import STDIN_NAMES, STDOUT_NAMES, STDOUT_SUFFIXES, is_stdout

__all__ = ["OVERLAY", "Target", "film_of", "in_format", "plan"]

_PLACEHOLDERS = ("track", "class", "name", "stem", "out")
"""What may stand in braces in a path; other words in braces are names of files."""
_NAMED = re.compile(r"(?P<name>[a-z][a-z0-9_-]*)=(?P<path>.*)", re.DOTALL)


OVERLAY = OutputConfig(composite=(EffectStep.of(Overlay()),))
"""What -o shows where the pipeline file does not say."""
_MATTE = (EffectStep.of(Matte()),)
"""What -o shows of each track or class, unless it names an output: nothing else than that object."""


@dataclass(frozen=True, slots=True)
class Target:
    """One output of a run."""

    name: str
    path: str
    composite: tuple[EffectStep, ...]
    encode: EncodeConfig
    keep_grey: bool = False
    use: str | None = None
    """The kind of output, where its name does not say it: see `encode.kinds.kind_of`."""
    sink: Sink | None = None
    """What takes it, of a program that has one of its own; its `path` is then a name alone."""

    @property
    def newest(self) -> bool:
        """Whether it is to have the newest picture, and need not see every one."""
        if self.sink is not None:
            return False
        kind = kind_of(self.path, self.use)
        return kind is not None and kind.newest

    @property
    def effects(self) -> list[Effect]:
        """What is drawn, in this order."""
        return [step.effect for step in self.composite]


def plan(configured: Mapping[str, OutputConfig], given: Sequence[str], source: object = "") -> list[Target]:
    """The outputs of a run.

    Each of `given` is what one -o says. `NAME=PATH` sets the path of the pipeline's output of that name (`NAME=none` leaves it
    out). Of the others the first picture fills the outputs whose path is `{out}`, or is beside it (`{stem}`; beside a still lies a
    still); each further one gets the same picture again; `.jsonl` gets the results, `.exr` the source's picture. A folder means a
    film in it, of the name of `source`, for which `{name}` stands, too.

    Raises ConfigError when nothing is left, or two share a path, OutputError for what cannot be a name.
    """
    named, plain = _sort(configured, [_spelled(text) for text in given])
    for path in (*named.values(), *plain):
        _refuse_impossible(path)
        _refuse_mistaken(path)
    main = next((output for output in configured.values() if "{out}" in output.path), OVERLAY)
    film = film_of(source)[0]
    plain = [placed(path.replace("{name}", film).replace("{stem}", film), source, main) for path in plain]
    views = {output.path for output in configured.values() if is_view(output.path)}
    plain = [path for path in plain if path not in views]  # to ask for a view that there is asks for no other
    pictures = [path for path in plain if not is_results(path) and not is_plain(path) and not is_split(path)]
    out = pictures[0] if pictures else None
    targets: list[Target] = []
    for name, output in configured.items():
        path = named.get(name, output.path)
        if path == "none" or (out is None and ("{out}" in path or "{stem}" in path)):
            continue
        if "{stem}" in path and (is_stdout(out or "") or is_address(out or "")):
            nameless = "standard output" if is_stdout(out or "") else out
            raise ConfigError(
                f"{nameless} has no name to put {path.replace('{stem}', 'NAME')} beside; say where with -o {name}=PATH, "
                f"or -o {name}=none"
            )
        beside = path.startswith("{stem}") and Path(path).suffix in CONTAINERS and names_still(out or "")
        path = path.replace("{out}", out or "").replace("{stem}", _stem(out or "")).replace("{name}", film)
        path = placed(str(Path(path).with_suffix(".png")) if beside else path, source, output)
        targets.append(Target(name, path, output.composite, output.encode, output.keep_grey, output.use))
    if out is not None and any(target.path == out for target in targets):
        plain.remove(out)
    for number, path in enumerate(plain):
        kind = "results" if is_results(path) else "output"
        bare = is_plain(path) and not main.exr_effects
        hides = tuple(step for step in main.composite if isinstance(step.effect, Privacy))
        effects = () if is_results(path) else _MATTE if is_split(path) else hides if bare else main.composite
        targets.append(Target(f"{kind}{number + 1}", path, effects, main.encode, main.keep_grey))
    if not targets:
        raise ConfigError("nothing to write: say where with -o (a video or a folder for it, frames/%06d.png, a .jsonl file)")
    if any(target.path == "-" for target in targets):
        kinds = " ".join(suffix[1:] for suffix in STDOUT_SUFFIXES)
        raise ConfigError(f"-o - is standard output: say in which format with --format (one of {kinds}), or as -o -.mkv")
    _refuse_undated(targets)
    _refuse_twins(targets)
    return targets


def in_format(given: Sequence[str], form: str | None, report: bool = False, called: str = "--format") -> list[str]:
    """What -o says, with `-` (standard output) in the format that --format names; `report`: --json prints there, too.
    `called`: what the user calls --format.

    Raises ConfigError.
    """
    given = [_spelled(text) for text in given]
    if report and any(is_stdout(path.rpartition("=")[2]) for path in given):
        raise ConfigError("--json prints the report to standard output, where -o - writes; leave one of them out")
    if form is None:
        return given
    suffix = f".{form.lower().removeprefix('.')}"
    if suffix not in STDOUT_SUFFIXES:
        allowed = ", ".join(known[1:] for known in STDOUT_SUFFIXES)
        raise ConfigError(f"{called} {form}: cannot be written to standard output; allowed: {allowed}")
    if not any(path == "-" or path.endswith("=-") for path in given):
        raise ConfigError(f"{called} says how standard output (-o -) is written; the format of a file is its ending")
    return [f"{path}{suffix}" if path == "-" or path.endswith("=-") else path for path in given]


def _spelled(text: str) -> str:
    """What one -o says, with `-` for whatever else standard output is called, and a path for `file://` and for `~`, which a shell
    leaves as it is behind NAME= and in quotes.
    """
    name, equals, path = text.rpartition("=")
    if path in STDOUT_NAMES:
        path = "-"
    elif path.lower().startswith("file://"):
        path = unquote(urlsplit(path).path)
    elif path.startswith("~"):
        path = os.path.expanduser(path)
    return f"{name}{equals}{path}"


def _sort(configured: Mapping[str, OutputConfig], given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    named: dict[str, str] = {}
    plain: list[str] = []
    for text in given:
        match = _NAMED.fullmatch(text)
        if match and match["name"] in configured:
            if match["name"] in named:
                raise ConfigError(
                    f"-o {text}: the output {match['name']!r} is given twice, as {named[match['name']]}, too; leave one of them out"
                )
            named[match["name"]] = match["path"]
        elif match and not Path(text.partition("/")[0]).is_dir():
            known = ", ".join(configured) or "none"
            path = f"; write ./{text} if a folder is called so" if "/" in text else ""
            raise ConfigError(f"-o {text}: the pipeline has no output {match['name']!r}; its outputs are: {known}{path}")
        elif text == "none":
            raise ConfigError(
                f"-o none: say which output is left out, as NAME=none (its outputs are: {', '.join(configured) or 'none'}), "
                "or write ./none if the folder is called so"
            )
        else:
            plain.append(text)
        if not (match["path"] if match and match["name"] in configured else text):
            raise ConfigError(f"-o {text!r} names no file")
    return named, plain


def _refuse_impossible(path: str) -> None:
    """Raise OutputError for what no file can be called: too long, or with a null character."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        if "://" not in path:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(f"{short(path)}: no output can have this name ({reason}); choose another") from error


def _refuse_mistaken(path: str) -> None:
    """Raise OutputError for what can be a name, and was not meant as one: an option, or an ending alone."""
    name = Path(path).name
    if name.lower().endswith(ENDING):
        raise OutputError(f"{path}: the results file is kept beside an output, not in place of one; say --results {path}")
    for word in re.findall(r"\{(\w+)\}", path):
        if word not in _PLACEHOLDERS and (meant := did_you_mean(word, _PLACEHOLDERS)):
            raise OutputError(f"{path}: {{{word}}} is no placeholder{meant}")
    if path.startswith("-") and not is_stdout(path) and not Path(path).suffix:
        raise OutputError(f"-o {path}: a name is missing behind -o; write ./{path} if the folder is really called so")
    if name.lower() in endings() and not path.endswith("/"):
        raise OutputError(
            f"{path}: this is an ending without a name; write out{name.lower()}, or {path}/ if a folder is called so"
        )


def placed(path: str, source: object, output: OutputConfig) -> str:
    """The file that `path` means: in a folder (one that exists, ends with a slash or has no suffix) the film of the source's name;
    `frames/*.png` is `frames/%06d.png`.

    The film is of the source's own type, so that its sound and subtitles fit, or .mp4; with alpha, .mov where that cannot hold it.
    Raises OutputError where something else than a folder is there.
    """
    place, suffix = Path(path), Path(path).suffix.lower()
    if not path or path == "-" or "://" in path or output.use is not None or is_results(path):
        return path
    if suffix in IMAGE_SUFFIXES and not path.endswith("/"):
        return str(place.with_name(place.name.replace("*", "%06d"))) if place.name.count("*") == 1 else path
    known = ending_of(path) is not None and not path.endswith("/")
    if known or not (path.endswith("/") or not suffix or place.is_dir()):
        return path
    if os.path.isfile(place):
        raise OutputError(f"{path}: this is a file, so that nothing can be put into it; name a folder, or a video as film.mp4")
    if os.path.exists(place) and not os.path.isdir(place):
        raise OutputError(
            f"{path}: this is a device or a pipe, which cannot hold a folder; to write into it, "
            f"send standard output there: -o -.mkv > {place}"
        )
    name, own = film_of(source)
    alpha = any(step.effect.alpha for step in output.composite)
    if own not in CONTAINERS or (alpha and not CONTAINERS[own].alpha):
        own = ".mov" if alpha else ".mp4"
    return str(place / (name + own))


def film_of(source: object) -> tuple[str, str]:
    """The name of a source, without and with only its suffix: of an address its last part, of images their folder."""
    text = str(source)
    if text in STDIN_NAMES:
        return "stdin", ""
    if text.isdecimal():
        return f"camera{text}", ""
    if "://" in text:
        parts = urlsplit(text)
        text = Path(unquote(parts.path).rstrip("/")).name
        if not text:
            return parts.hostname or "film", ""
    path = Path(text)
    suffix = path.suffix.lower()
    if os.path.isdir(text):
        return path.resolve().name or "film", ""
    if suffix in STILLS or "%" in path.name or glob.has_magic(path.name):
        return path.resolve().parent.name or "film", ""
    return (path.stem if path.suffix else path.name) or "film", suffix


def _stem(path: str) -> str:
    """`a/b.mp4` → `a/b`; a folder or a pattern in it, `a/b/%06d.png` → `a/b`."""
    if "%" in Path(path).name and not is_dated(Path(path).name):
        return str(Path(path).parent) if Path(path).parent.name else str(Path(path).with_suffix("")).replace("%", "_")
    return str(Path(path).with_suffix("")) if path else ""


def _refuse_undated(targets: Sequence[Target]) -> None:
    """Raise OutputError for a time that cannot stand in a name, ConfigError for files that would all have one name."""
    dated = [target.path for target in targets if is_dated(target.path)]
    for path in dated:
        name_at(path, datetime.now().astimezone())
        if is_split(path):
            raise OutputError(f"{path}: a name can hold a time, or {{track}} and {{class}}; leave one of them out")
    segmented = next((target for target in targets if target.encode.segment is not None), None)
    if segmented is not None and not dated:
        one = Path(segmented.path)
        raise ConfigError(
            f"segment: {one} is one name for many files; put the time into it, as in {one.stem}_%Y-%m-%d_%H-%M{one.suffix}"
        )


def _refuse_twins(targets: Sequence[Target]) -> None:
    """Raise ConfigError where two outputs are one, also by links and other ways to write a path."""
    for first, second in combinations(targets, 2):
        if _one_place(first.path, second.path):
            place = "standard output" if is_stdout(first.path) else first.path
            also = "" if first.path == second.path or is_stdout(first.path) else f", which {second.path} leads to, too"
            raise ConfigError(f"give {first.name!r} and {second.name!r} each its own name: both would write {place}{also}")


def _one_place(first: str, second: str) -> bool:
    if is_stdout(first) or is_stdout(second):
        return is_stdout(first) and is_stdout(second)
    return first == second if "://" in first or "://" in second else same_place(Path(first), Path(second))
