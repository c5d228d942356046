"""How the command line ends: an error is one message and an exit code, `--debug` a traceback, neither with a password."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from streamseg.errors import StreamsegError, scrub

__all__ = ["end_with"]


def end_with(error: Exception, debug: bool) -> NoReturn:
    """Say what went wrong on stderr and end the process with the code of this kind of error."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output went away (`streamseg models | head -1`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
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


def _say(text: str) -> None:
    print(scrub(text), file=sys.stderr)
