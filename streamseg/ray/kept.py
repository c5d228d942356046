"""An engine for each setting, kept by this process: tasks of Ray come and go, and an engine takes seconds to open."""

from __future__ import annotations

import threading

from streamseg.config import PipelineConfig
from streamseg.engine.shared import EngineClient, SharedEngine
from streamseg.pipeline.opening import load_engine

__all__ = ["client"]

_MOST = 2
"""Engines that are kept at once: a pipeline of two models."""
_kept: dict[str, SharedEngine] = {}
_lock = threading.Lock()


def client(config: PipelineConfig) -> EngineClient:
    """A share of the engine that `config` means, opened with the first; who takes it closes it. Raises as `load_engine` does."""
    key = "\n".join(part.model_dump_json() for part in (config.infer, config.preprocess, config.postprocess))
    with _lock:
        shared = _kept.pop(key, None)
        if shared is None or shared.closed:
            while len(_kept) >= _MOST:
                _kept.pop(next(iter(_kept))).close()
            shared = SharedEngine(load_engine(config), config.infer.batch)
        _kept[key] = shared  # the one used last stands last
        return shared.client()
