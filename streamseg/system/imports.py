"""Imports that need care: a fork waits for them, and the runtimes that report to their makers are imported with that switched off.

- `import openvino` (since 2024.2) tells google-analytics.com by way of the package openvino_telemetry, from a forked process. It
  does without where that package cannot be imported, so it is hidden for as long as the import takes.
- ONNX Runtime (since 1.29, on Linux too) tells events.data.microsoft.com from a thread of its own, unless ORT_DISABLE_TELEMETRY is
  in the environment when it is loaded.

Both also leave files with an identity in the user's home. Nothing in this package imports them but by these two functions.

An import under way in another thread when the process is forked could never be done in the child: its lock would stay taken.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - it and logging set hooks for forks, which must not come while one waits in ours
import contextlib
import logging  # noqa: F401
import os
import sys
import threading
from collections.abc import Iterator
from importlib import import_module, util
from typing import Any

from streamseg.errors import MissingExtra

__all__ = ["forks_wait", "import_attribute", "import_onnxruntime", "import_openvino", "require_train"]

_lock = threading.RLock()
_TRAIN = ("torch", "torchvision", "pycocotools", "safetensors", "onnx", "onnxscript")
_SWITCH = "ORT_DISABLE_TELEMETRY"


@contextlib.contextmanager
def forks_wait() -> Iterator[None]:
    """While this lasts, a fork waits: code here holds locks of libraries for a moment, which the child would find locked."""
    with _lock:
        yield


def import_attribute(module: str, name: str) -> Any:
    """What `from module import name` gives."""
    with _lock:
        return getattr(import_module(module), name)


def require_train() -> None:
    """See that all that the extra `train` brings is there, without importing it. Raises MissingExtra."""
    for name in _TRAIN:
        if not _there(name):
            raise MissingExtra(name, "train")


def _there(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except (ImportError, ValueError):  # a finder that refuses it; a module without a spec, which a program put in its place
        return False


def import_openvino() -> Any:
    """The module `openvino`. Raises ImportError."""
    with _lock, _hidden("openvino_telemetry"):
        return import_module("openvino")


def import_onnxruntime(part: str = "") -> Any:
    """The module `onnxruntime`, or a part of it. Who has set ORT_DISABLE_TELEMETRY to 0 wants its reports. Raises ImportError."""
    with _lock:
        os.environ.setdefault(_SWITCH, "1")
        there = "onnxruntime" in sys.modules
        runtime = import_module("onnxruntime")
        if there and os.environ[_SWITCH] != "0":  # imported by someone else, with its reports on
            runtime.disable_telemetry_events()
        return import_module(f"onnxruntime.{part}") if part else runtime


@contextlib.contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let `import name` fail."""
    nothing = object()
    before: Any = sys.modules.get(name, nothing)
    sys.modules[name] = None  # type: ignore[assignment]  # how Python marks a module that must not be imported
    try:
        yield
    finally:
        if before is nothing:
            del sys.modules[name]
        else:
            sys.modules[name] = before


class _Forks:
    """Lets a fork wait for imports, but not for ever: an import might wait for a thread that forks."""

    patience = 20.0

    def __init__(self) -> None:
        self._held = threading.local()

    def before(self) -> None:
        self._held.lock = _lock.acquire(timeout=self.patience)

    def after(self) -> None:
        if self._held.lock:
            _lock.release()


if hasattr(os, "register_at_fork"):
    _forks = _Forks()
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.after, after_in_child=_forks.after)
