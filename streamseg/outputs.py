"""Which outputs a run has: what the pipeline file lists, put together with what -o says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamseg.composite import Overlay
from streamseg.config.schema import EffectStep, EncodeConfig, OutputConfig
from streamseg.encode import is_results, is_view
from streamseg.errors import ConfigError

__all__ = ["Target", "plan"]

_NAMED = re.compile(r"(?P<name>[a-z][a-z0-9_-]*)=(?P<path>.*)", re.DOTALL)


_OVERLAY = OutputConfig(composite=(EffectStep(overlay=Overlay()),))
"""What -o shows where the pipeline file does not say."""


@dataclass(frozen=True, slots=True)
class Target:
    """One output of a run."""

    name: str
    path: str
    composite: tuple[EffectStep, ...]
    encode: EncodeConfig


def plan(configured: Mapping[str, OutputConfig], given: Sequence[str]) -> list[Target]:
    """The outputs of a run.

    Each of `given` is what one -o says. `NAME=PATH` sets the path of the pipeline's output of that name (`NAME=none` leaves it
    out). Of the others the first picture fills the outputs whose path is `{out}`, or is beside it (`{stem}`); each further one
    gets the same picture again; `.jsonl` gets the results. Raises ConfigError when nothing is left, or two share a path.
    """
    named, plain = _sort(configured, given)
    pictures = [path for path in plain if not is_results(path)]
    out = pictures[0] if pictures else None
    targets: list[Target] = []
    for name, output in configured.items():
        path = named.get(name, output.path)
        if path == "none" or (out is None and ("{out}" in path or "{stem}" in path)):
            continue
        path = path.replace("{out}", out or "").replace("{stem}", _stem(out or ""))
        targets.append(Target(name, path, output.composite, output.encode))
    main = next((output for output in configured.values() if "{out}" in output.path), _OVERLAY)
    used = {target.path for target in targets}
    for number, path in enumerate(p for p in plain if p not in used):
        kind, effects = ("results", ()) if is_results(path) else ("output", main.composite)
        targets.append(Target(f"{kind}{number + 1}", path, effects, main.encode))
    if not targets:
        raise ConfigError("nothing to write: say where with -o (a video, a folder, a %06d.png pattern or a .jsonl file)")
    _refuse_twins(targets)
    return targets


def _sort(configured: Mapping[str, OutputConfig], given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    named: dict[str, str] = {}
    plain: list[str] = []
    for text in given:
        match = _NAMED.fullmatch(text)
        if match and match["name"] in configured:
            named[match["name"]] = match["path"]
        elif match and not Path(text).parent.name and "." not in match["name"]:
            known = ", ".join(configured) or "none"
            raise ConfigError(f"-o {text}: the pipeline has no output {match['name']!r}; its outputs are: {known}")
        else:
            plain.append(text)
        if not (match["path"] if match and match["name"] in configured else text):
            raise ConfigError(f"-o {text!r} names no file")
    return named, plain


def _stem(path: str) -> str:
    """`a/b.mp4` → `a/b`; a folder or a pattern in it, `a/b/%06d.png` → `a/b`."""
    if "%" in Path(path).name:
        return str(Path(path).parent) if Path(path).parent.name else str(Path(path).with_suffix("")).replace("%", "_")
    return str(Path(path).with_suffix("")) if path else ""


def _refuse_twins(targets: Sequence[Target]) -> None:
    seen: dict[str, str] = {}
    for target in targets:
        key = target.path if is_view(target.path) else str(Path(target.path).absolute())
        if key in seen:
            raise ConfigError(f"the outputs {seen[key]!r} and {target.name!r} would both write {target.path}")
        seen[key] = target.name
