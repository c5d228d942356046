"""What --preview makes of a pipeline: the same, at a quarter of the width and height, looked at less often by a smaller network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from streamseg.composite import Effect
from streamseg.composite.shape import Shape, Shaped
from streamseg.config.schema import EventsConfig, OutputConfig, PipelineConfig

__all__ = ["BY", "EVERY", "preview"]

BY = 4
"""Of width and of height."""
EVERY = 12
"""Frames, on one of which the network runs; the optical flow carries masks to the others."""
T = TypeVar("T", bound=Any)


def preview(config: PipelineConfig, given: Mapping[str, Any]) -> PipelineConfig:
    """The pipeline of a preview. What was asked for by an option (`given`) stays, lengths in pixels become as much smaller."""
    decode, infer = config.decode, config.infer
    every = infer.every if given.get("detect_every") is not None else EVERY
    # What a quick look finds must not stand in place of what was found in the film itself.
    results = config.results if given.get("results") is not None else config.results.model_copy(update={"keep": "off"})
    size = config.preprocess.size if given.get("size") is not None else "smallest"
    return config.model_copy(
        update={
            "decode": decode.model_copy(
                update={
                    "shrink": decode.shrink * BY,
                    "deinterlace": "frame" if decode.deinterlace == "off" else decode.deinterlace,  # lines cannot be left out
                    "device": "host" if decode.device == "auto" else decode.device,
                }
            ),
            "preprocess": config.preprocess.model_copy(update={"size": size}),
            # One thread: the few pictures are computed beside all else, and more threads would wait for each other.
            "infer": infer.model_copy(update={"every": every, "threads": infer.threads or 1}),
            "smooth": config.smooth.model_copy(update={"edges": False}),  # finer than these pictures can show
            "events": _events(config.events),
            "results": results,
            "outputs": {name: _output(output) for name, output in config.outputs.items()},
        }
    )


def _events(events: EventsConfig) -> EventsConfig:
    return events.model_copy(
        update={kind: {name: _place(place) for name, place in getattr(events, kind).items()} for kind in ("lines", "zones")}
    )


def _place(place: T) -> T:
    """A line or zone whose points are pixels, not fractions."""
    if all(0 <= value <= 1 for point in place.points for value in point):
        return place
    smaller: T = dataclasses.replace(place, points=tuple(tuple(value / BY for value in point) for point in place.points))
    return smaller


def _output(output: OutputConfig) -> OutputConfig:
    steps = tuple(step.model_copy(update={"effect": _effect(step.effect)}) for step in output.composite)
    encode = output.encode.model_copy(update={"shape": _shape(output.encode.shape)})
    return output.model_copy(update={"composite": steps, "encode": encode})


def _effect(effect: Effect) -> Effect:
    if not isinstance(effect, Shaped):
        return effect
    lengths = {name: getattr(effect, name) / BY for name in ("grow", "shrink", "feather", "holes")}
    smaller: Effect = dataclasses.replace(effect, **lengths)
    return smaller


def _shape(shape: Shape) -> Shape:
    return dataclasses.replace(shape, grow=shape.grow / BY, feather=shape.feather / BY, holes=shape.holes / BY)
