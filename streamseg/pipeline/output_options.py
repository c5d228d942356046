"""What --codec, --crf, --segment, --exr, --clips, --key-rate, --effects, --audio and --keep-grey say of a pipeline's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from streamseg.composite import Effect
from streamseg.config.load import Location, override
from streamseg.config.schema import PipelineConfig
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.pipeline.outputs import OVERLAY

__all__ = ["listed_effects", "with_encoding"]


def with_encoding(
    config: PipelineConfig,
    codec: str | None = None,
    crf: float | None = None,
    audio: str | None = None,
    segment: str | float | None = None,
    keep_grey: bool | None = None,
    effects: object = None,
    exr: object = None,
    clips: object = None,
    key_rate: float | None = None,
    called: Mapping[str, str] | None = None,
    *,
    trust: bool = False,
) -> PipelineConfig:
    """`config` with what these flags say; None where they were not given.

    --audio and --keep-grey speak of all outputs; the others of what -o names, also where the file has no output for it, and not of
    what the pipeline writes beside it. `called`: what the user calls each. `trust`: effects may name code. Raises ConfigError for
    a value that is not allowed.
    """
    if all(value is None for value in (codec, crf, audio, segment, keep_grey, effects, exr, clips, key_rate)):
        return config
    held = None if exr is None else _held(exr, (called or {}).get("exr", "exr"), "light: display, ranks: 2")
    kept = None if clips is None else _held(clips, (called or {}).get("clips", "clips"), "kinds: [alert, cut_in], before: 5s")
    drawn = None if effects is None else listed_effects(effects, (called or {}).get("composite", "effects"))
    outputs = dict(config.outputs)
    if not any("{out}" in output.path for output in outputs.values()):
        outputs[next(name for name in (f"output{n}" for n in range(1, len(outputs) + 2)) if name not in outputs)] = OVERLAY
    merged, names = {}, dict[Location, str]()
    for name, output in outputs.items():
        plain = {"codec": codec, "crf": crf, "segment": segment, "exr": held, "clips": kept, "key_rate": key_rate}
        named = plain if "{out}" in output.path else {}
        given = {key: value for key, value in (named | {"audio": audio}).items() if value is not None}
        merged[name] = dict(output) | {"encode": dict(output.encode) | given}
        merged[name]["keep_grey"] = output.keep_grey if keep_grey is None else keep_grey
        if drawn is not None and "{out}" in output.path:
            merged[name] |= {"composite": drawn, "exr_effects": True}
            names["outputs", name, "composite"] = (called or {}).get("composite", "effects")
        for option, place in (
            *((option, "encode") for option in (*plain, "audio")),
            ("keep_grey", ""),
        ):
            names["outputs", name, *filter(None, [place]), option] = (called or {}).get(option, option)
    return override(config, {"outputs": merged}, names, "", trust=trust)


def _held(said: object, called: str, example: str) -> object:
    """What --exr or --clips says, as the section of a pipeline file: `light: display, ranks: 2`. Raises ConfigError."""
    if not isinstance(said, str):
        return said
    try:
        read = yaml.safe_load(f"{{{said}}}")
    except yaml.YAMLError:
        read = None
    if not isinstance(read, dict) or None in read.values():
        raise ConfigError(f"{called}: {said!r} cannot be read; write as '{example}'")
    return read


def listed_effects(effects: object, called: str) -> list[object]:
    """What --effects says, as the list that a pipeline file has: `blur: {strength: 1} >> outline`. Raises ConfigError."""
    if isinstance(effects, Effect | Mapping):
        return [effects]
    if not isinstance(effects, str):
        if not isinstance(effects, Sequence):
            raise ConfigError(f"{called}: {brief(effects)} is no effect; write as 'blur: {{strength: 1}} >> outline'")
        return list(effects)
    if effects.strip() == "none":
        return []
    try:
        steps = [yaml.safe_load(f"[{step}]") for step in effects.split(">>")]
    except yaml.YAMLError as error:
        raise ConfigError(f"{called}: {effects!r} cannot be read; write as 'blur: {{strength: 1}} >> outline'") from error
    if not all(steps):
        raise ConfigError(f"{called}: {effects!r} has nothing on one side of >>; write as 'blur: {{strength: 1}} >> outline'")
    return [step for listed in steps for step in listed]
