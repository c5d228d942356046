"""Where streamseg keeps things of the user's, and how two processes keep out of each other's way there.

    models   $STREAMSEG_MODELS, or streamseg/models within $XDG_DATA_HOME (~/.local/share): weights that were pulled or imported
    cache    $STREAMSEG_CACHE, or streamseg within $XDG_CACHE_HOME (~/.cache): what can be made or fetched again

Places are those of the XDG Base Directory Specification 0.8, which tells to ignore values that are not absolute.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from streamseg.errors import OutputError

__all__ = ["cache_root", "locked", "make_folder", "models_root"]

Report = Callable[[str], None]


def cache_root() -> Path:
    """The folder of downloads under way and of graphs that were exported on demand."""
    return _root("STREAMSEG_CACHE", "XDG_CACHE_HOME", ".cache", "streamseg")


def models_root() -> Path:
    """The folder of the user's models: each in a folder of its name."""
    return _root("STREAMSEG_MODELS", "XDG_DATA_HOME", ".local/share", "streamseg/models")


def _root(ours: str, standard: str, otherwise: str, below: str) -> Path:
    if named := os.environ.get(ours):
        return Path(named).expanduser().absolute()
    base = os.environ.get(standard)
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / otherwise) / below


def make_folder(folder: Path) -> Path:
    """Make a folder of ours, with those above it. Raises OutputError, which names the variable that chooses another place."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; {elsewhere(folder)}") from error
    return folder


def elsewhere(path: Path) -> str:
    """Advice on how to use another place than `path`."""
    variable = "STREAMSEG_MODELS" if path.is_relative_to(models_root()) else "STREAMSEG_CACHE"
    return f"make room or get the right to write there, or name another folder in {variable}"


@contextlib.contextmanager
def locked(folder: Path, name: str, busy: str, report: Report | None = None) -> Iterator[None]:
    """Hold the lock `name` within `folder`; if another process has it, `report` is told `busy`, and we wait.

    The system releases it when its holder ends, however that ends. Raises OutputError if no lock can be made.
    """
    locks = make_folder(folder / ".locks")
    try:
        lock = os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise OutputError(f"cannot write in {folder}: {error.strerror}; {elsewhere(folder)}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if report is not None:
                report(busy)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
