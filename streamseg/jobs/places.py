"""Where the films of a job go: each -o as one film's run has it, and no two films in one place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from streamseg.config.schema import OutputConfig, PipelineConfig
from streamseg.encode import is_address
from streamseg.errors import ConfigError, OutputIsInput
from streamseg.jobs.films import Film
from streamseg.pipeline.outputs import Target, placed, plan
from streamseg.system.standard_streams import STDOUT_NAMES, is_stdout

__all__ = ["HOLDER", "folder_of", "named", "outputs_of", "places"]

HOLDER = "{name}"
"""Stands in an -o for what a film is called."""


def folder_of(outputs: Sequence[str], *, one: bool = False) -> Path:
    """The folder of a job's outputs, in which it keeps its book; `one`: of one film, whose outputs may be files.

    Raises ConfigError where -o names no place for several films.
    """
    for text in map(_spelled, outputs):
        path = text.rpartition("=")[2] if "=" in text else text
        if HOLDER in path:
            return Path(path.partition(HOLDER)[0] + "x").expanduser().parent
        _refuse_stdout(text, path)
        if path != "none" and not is_address(path):
            place = Path(path).expanduser()
            return place.parent if one and placed(str(place), "x", OutputConfig()) == str(place) else place
    raise ConfigError("a job of several films needs a folder for them: -o OUT/, or -o 'OUT/{name}.mov' to say how they end")


def outputs_of(film: Film, config: PipelineConfig, outputs: Sequence[str]) -> list[str]:
    """What -o says, for one film. Raises ConfigError for what cannot hold several films."""
    return [_for(film, config, _spelled(text)) for text in outputs]


def _spelled(text: str) -> str:
    """`-o OUT/{stem}.mp4` means each film's own name, as `{name}` does; of `NAME=` it is the first output's."""
    return text if re.match(r"[a-z][a-z0-9_-]*=", text) else text.replace("{stem}", HOLDER)


def _for(film: Film, config: PipelineConfig, text: str) -> str:
    name, equals, path = text.rpartition("=")
    if equals and name not in config.outputs:
        name, equals, path = "", "", text
    if HOLDER in path:
        return f"{name}{equals}{path.replace(HOLDER, film.name)}"
    if path == "none" or is_address(path):
        return text
    _refuse_stdout(text, path)
    main = next((each for each in config.outputs.values() if "{out}" in each.path), OutputConfig())
    output = config.outputs.get(name, main)
    expanded = os.path.expanduser(path)
    within = placed(expanded, str(film.source), output)
    if within == expanded and film.only:
        return f"{name}{equals}{expanded}"
    if within == expanded:
        raise ConfigError(
            f"-o {text}: this is one file, and the job has several films; name a folder, as -o OUT/, or say how each is called: "
            f"-o '{Path(path).parent / HOLDER}{Path(path).suffix}'; to join a dash cam's files into one film, add --trip"
        )
    return f"{name}{equals}{Path(expanded) / film.name}{Path(within).suffix}"


def _refuse_stdout(text: str, path: str) -> None:
    if path in STDOUT_NAMES or is_stdout(path):
        raise ConfigError(f"-o {text}: standard output holds one film; a job of several needs a folder, as -o OUT/")


def named(film: Film, config: PipelineConfig, outputs: Sequence[str]) -> list[Target]:
    """The outputs of one film. Raises ConfigError or OutputError."""
    targets = plan(config.outputs, outputs_of(film, config, outputs), str(film.source))
    return [replace(target, path=os.path.expanduser(target.path)) for target in targets]


def places(films: Sequence[Film], config: PipelineConfig, outputs: Sequence[str]) -> dict[Film, list[Target]]:
    """The outputs of each film. Raises ConfigError where two films would share one, OutputIsInput where one is a source."""
    sources = {os.path.realpath(film.source): film for film in films}
    taken: dict[str, Film] = {}
    found = {}
    for film in films:
        found[film] = named(film, config, outputs)
        for target in found[film]:
            if is_address(target.path):
                continue
            place = os.path.realpath(target.path)
            if place in sources:
                raise OutputIsInput(
                    f"{target.path}: this is a source itself, which is never written onto; choose another folder"
                )
            if (other := taken.setdefault(place, film)) is not film:
                raise ConfigError(
                    f"{target.path}: {other.source} and {film.source} would both be written here; say -o {target.name}="
                    f"'OUT/{HOLDER}{Path(target.path).suffix}', where {HOLDER} stands for what each film is called"
                )
    return found
