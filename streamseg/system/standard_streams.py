"""Standard input as a source, standard output as an output: `-.mkv` is that in the format of an .mkv file (`-o - --format mkv`).

While it is written, what libraries print there goes to standard error: a stream that somebody decodes holds nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from streamseg.errors import OutputError, SourceError, SourceNotFound

__all__ = [
    "STDIN_NAMES",
    "STDOUT_NAMES",
    "STDOUT_SUFFIXES",
    "ReaderGone",
    "StandardOutput",
    "check_stdin",
    "check_stdout",
    "is_stdout",
]

STDIN_NAMES = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
STDOUT_NAMES = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
"""What the system calls them, too."""
STDOUT_SUFFIXES = (".mkv", ".webm", ".ts", ".mp4", ".mov", ".jsonl", ".ndjson", ".mcap")
"""What can be written without going back: the movies in fragments."""
_TEXT = (".jsonl", ".ndjson")


class ReaderGone(BrokenPipeError):
    """The program that read our standard output has closed it, as `head` does."""


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Whether an output is standard output. A file that is really named so is given with its folder's full path."""
    name = str(path)
    return name == "-" or (name.startswith("-.") and name[1:].lower() in STDOUT_SUFFIXES)


def check_stdout(path: Path) -> None:
    """Refuse a standard output that is closed, or a terminal that would get bytes. Raises OutputError."""
    if sys.__stdout__ is None:
        raise OutputError("standard output is closed, so -o - cannot write there; name a file, or leave it open")
    if path.suffix.lower() not in _TEXT and os.isatty(1):
        suffix = path.suffix
        raise OutputError(
            f"standard output is a terminal, which cannot show {suffix}; pipe it (`| mpv -`), redirect it (`> film{suffix}`) or "
            "name a file"
        )


def check_stdin() -> None:
    """Refuse a standard input that is closed, or a terminal. Raises SourceError."""
    if sys.__stdin__ is None or sys.stdin is None or sys.stdin.closed:
        raise SourceNotFound(
            "standard input is closed, so there is nothing to read from -; pipe a video into it, or name a file"
        )
    if sys.stdin.isatty():
        raise SourceError(
            "standard input is a terminal: pipe a video into it, as in `cat film.ts | streamseg run - -o seen.mp4`"
        )


class StandardOutput:
    """The file descriptor behind standard output, taken for one output."""

    def __init__(self) -> None:
        """Raises OutputError if it is closed."""
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
            self.fd = os.dup(1)
            os.dup2(2, 1)
        except OSError as error:
            raise OutputError(f"standard output cannot be written: {error.strerror or error}") from error

    def write(self, data: memoryview) -> int:
        """As `os.write`. Raises ReaderGone, or OSError."""
        try:
            return os.write(self.fd, data)
        except BrokenPipeError as error:
            raise ReaderGone(error.errno, "its reader has closed it") from None

    def close(self) -> None:
        """Give it back."""
        os.dup2(self.fd, 1)
        os.close(self.fd)
