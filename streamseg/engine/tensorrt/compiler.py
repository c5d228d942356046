"""Compile in a process of its own.

The compiler is native code that was seen, with TensorRT-RTX 1.7.1 and many builds in one process, to fail for no reason of ours and
probably to crash; it also swallows Ctrl-C. In a child none of that touches the caller, who stops it by killing it. It costs 0.4 s.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, Any

from streamseg import errors
from streamseg.engine.base import refuse_free_rows
from streamseg.engine.tensorrt.builder import BuildProgress, Built, batches_for, compile_here, targets_of
from streamseg.engine.tensorrt.library import Library
from streamseg.errors import ConfigError, EngineError
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["compile_plan", "main"]

# The child finds modules where we do, also where streamseg is not installed. It runs no code of the caller's main module.
_CHILD = "import sys; sys.path[:] = {path!r}; from streamseg.engine.tensorrt.compiler import main; main()"


def compile_plan(
    library: Library,
    spec: GraphSpec,
    *,
    batches: Sequence[int] = (),
    capabilities: Sequence[str] = (),
    timing_cache: bytes = b"",
    on_progress: BuildProgress | None = None,
) -> Built:
    """Compile `spec.path` for the batch sizes and, ahead of time, for compute capabilities (as "sm_86"; none: as the library does).

    `on_progress` is called in the calling thread; what it raises, and Ctrl-C, stops the compiler at once.

    Raises ConfigError (options that the graph or the library does not know), MissingExtra, or EngineError, with what the compiler
    said, if it cannot compile the graph, crashes, or the graph's types are not those that its metadata state.
    """
    refuse_free_rows(spec, library.name)  # before a process is started, and a library loaded
    wanted = batches_for(spec, batches)
    targets_of(library, capabilities)
    library.load()  # what is not installed is said here, with the way to install it
    request = {"batches": wanted, "capabilities": tuple(capabilities), "timing_cache": timing_cache}
    command = [sys.executable, "-c", _CHILD.format(path=sys.path)]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            pickle.dump((library, spec, request), child.stdin)
            child.stdin.close()
            return _listen(child.stdout, on_progress)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            code = child.wait()
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            said.seek(0)
            last = said.read()[-500:].decode("utf-8", "replace").strip()
            raise EngineError(
                f"the compiler of {library.name} {how} while it compiled {spec.called}; try again. {last}"
            ) from error
        finally:
            child.kill()


def _listen(answers: IO[bytes], on_progress: BuildProgress | None) -> Built:
    while True:
        kind, *rest = pickle.load(answers)  # written by our own child
        if kind == "built":
            built: Built = rest[0]
            return built
        if kind == "error":
            name, message = rest
            raise getattr(errors, name)(message)
        if on_progress is not None:
            on_progress(*rest)


def main() -> None:
    """The child: reads a request from stdin, writes progress and the plan, or an error, to stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the parent decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints must not get between the answers

    def tell(*answer: Any) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    library, spec, request = pickle.load(sys.stdin.buffer)
    try:
        tell("built", compile_here(library, spec, **request, on_progress=lambda *step: tell("progress", *step)))
    except (ConfigError, EngineError) as error:
        tell("error", type(error).__name__, str(error))
    answers.flush()
    os._exit(0)  # past the compiler's own clearing up, which there is no need to wait for
