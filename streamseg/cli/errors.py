"""How the command line ends: an error is one message and an exit code, `--debug` a traceback, neither with a password."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from streamseg.errors import StreamsegError, scrub
from streamseg.system.standard_streams import ReaderGone

__all__ = ["end_with", "fill_closed", "leave"]


def fill_closed() -> None:
    """Put the null device where standard input, output or error are closed (`>&-`): the next file would be opened in their place,
    and what libraries print written into it."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def end_with(error: Exception, debug: bool) -> NoReturn:
    """Say what went wrong on stderr and end the process with the code of this kind of error."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output went away (`streamseg models | head -1`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    if isinstance(error.__cause__, ReaderGone) and not debug:
        sys.exit(141)  # `-o - | head`: as other commands, without a word
    if debug:
        _say("".join(traceback.format_exception(error)).rstrip("\n"))
    elif isinstance(error, StreamsegError):
        _say(f"streamseg: {error}")
    elif isinstance(error, OSError):
        _say(f"streamseg: cannot write the answer: {error.strerror or error}")
        os._exit(1)  # what is left in the buffer of stdout cannot be written at exit either
    else:
        name = Path(sys.argv[0]).name
        _say(f"{name}: unexpected {type(error).__name__}: {error}; run it again with --debug and report this")
    sys.exit(error.exit_code if isinstance(error, StreamsegError) else 1)


def leave(code: int, problem: str) -> NoReturn:
    """End at once: a thread hangs in code that cannot be ended, and the interpreter would wait for it."""
    if problem:
        _say(f"streamseg: {problem}")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _say(text: str) -> None:
    print(scrub(text), file=sys.stderr)
