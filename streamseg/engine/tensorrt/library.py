"""The two libraries: how each is imported, which GPUs it serves, and what it writes to its log."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from streamseg.errors import EngineError, MissingExtra

__all__ = ["LIBRARIES", "TENSORRT", "TENSORRT_RTX", "Library", "capability_name", "parse_capability"]

OLDEST = (7, 5)
"""Turing: the oldest compute capability that TensorRT 10.16 and later, and TensorRT-RTX, state to support."""


@dataclass(frozen=True, slots=True)
class Library:
    """TensorRT or TensorRT-RTX."""

    name: str
    """As `--engine` takes it."""
    module: str
    extra: str
    """The extra of streamseg that installs it."""
    ahead_of_time: bool
    """It compiles for GPUs that are not there."""

    def load(self) -> Any:
        """The Python module. Raises MissingExtra if it is not installed, EngineError if its libraries cannot be loaded."""
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            raise MissingExtra(self.name, self.extra) from error
        except (ImportError, OSError, RuntimeError) as error:
            raise EngineError(f"{self.name} is installed, but cannot be loaded: {error}") from error

    def load_plugins(self, log: Any) -> None:
        """Let graphs use the operators that the library brings as plug-ins, in this process. Raises EngineError."""
        if not self.load().init_libnvinfer_plugins(log, ""):
            raise EngineError(f"{self.name} cannot load its plug-ins: {'; '.join(log.errors[-3:]) or 'it gave no reason'}")

    def version(self) -> str:
        """The version of the library, of all its parts. Raises as `load`."""
        return str(self.load().__version__)

    def targets(self) -> list[str]:
        """Names of the compute capabilities that it compiles for with no GPU; empty if it needs one. Raises as `load`."""
        if not self.ahead_of_time:
            return []
        return [f"sm_{name[2:]}" for name in self.load().ComputeCapability.__members__ if name.startswith("SM")]

    def logger(self) -> Any:
        """A logger for the library's objects, which collects what it says in `lines` and its errors in `errors`."""
        module = self.load()
        severity = module.ILogger.Severity
        names = {severity.INTERNAL_ERROR: "internal error", severity.ERROR: "error", severity.WARNING: "warning"}

        class Log(module.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                module.ILogger.__init__(self)
                self.lines: list[str] = []
                self.errors: list[str] = []

            def log(self, severity: Any, message: str) -> None:
                if severity == module.ILogger.Severity.VERBOSE:  # tens of thousands of lines a build
                    return
                kind = names.get(severity, "info")
                self.lines.append(f"{kind}: {message}")
                if kind.endswith("error"):
                    self.errors.append(message)

        return Log()


TENSORRT = Library("tensorrt", "tensorrt", "gpu", ahead_of_time=False)
TENSORRT_RTX = Library("tensorrt-rtx", "tensorrt_rtx", "rtx", ahead_of_time=True)
LIBRARIES = {library.name: library for library in (TENSORRT, TENSORRT_RTX)}


def capability_name(capability: tuple[int, int]) -> str:
    """(8, 6) as "sm_86"."""
    return f"sm_{capability[0]}{capability[1]}"


def parse_capability(name: str) -> tuple[int, int]:
    """ "sm_86" as (8, 6); ValueError for anything else."""
    digits = name.removeprefix("sm_")
    if not name.startswith("sm_") or not digits.isdecimal() or not 2 <= len(digits) <= 3:
        raise ValueError(f"{name!r} is not a compute capability; write sm_86 for 8.6, sm_120 for 12.0")
    return int(digits[:-1]), int(digits[-1])
