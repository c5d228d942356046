"""Imports of the runtimes that report to their makers when they are used: here, with that switched off.

- `import openvino` (since 2024.2) tells google-analytics.com by way of the package openvino_telemetry, from a forked process. It
  does without where that package cannot be imported, so it is hidden for as long as the import takes.
- ONNX Runtime (since 1.29, on Linux too) tells events.data.microsoft.com from a thread of its own, unless ORT_DISABLE_TELEMETRY is
  in the environment when it is loaded.

Both also leave files with an identity in the user's home. Nothing in this package imports them but by these two functions.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

__all__ = ["import_onnxruntime", "import_openvino"]

_lock = threading.Lock()
_SWITCH = "ORT_DISABLE_TELEMETRY"


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
