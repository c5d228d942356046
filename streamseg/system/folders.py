"""The folders in which streamseg keeps models, caches and engines, and the locks that keep two processes apart there.

    models    $STREAMSEG_MODELS, or streamseg/models in the user's data: weights that were pulled or imported
    cache     $STREAMSEG_CACHE, or streamseg in the user's cache: what can be made or fetched again
    engines   $STREAMSEG_ENGINES, or streamseg/engines in the user's cache: what TensorRT compiled

    state     $STREAMSEG_STATE, $STATE_DIRECTORY (of a systemd unit), or streamseg in the user's state: what must outlive a restart
    config    $STREAMSEG_CONFIG, or streamseg in the user's configuration: what `streamseg tune` found for this machine

The user's data and cache are where the system has them: on Linux $XDG_DATA_HOME (~/.local/share) and $XDG_CACHE_HOME (~/.cache).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from streamseg.errors import OutputError
from streamseg.system.callbacks import Message

__all__ = ["cache_root", "config_root", "engines_root", "locked", "make_folder", "models_root", "state_root", "waiting_lock"]

_NAME = "streamseg"


def cache_root() -> Path:
    """The folder of downloads under way and of graphs that were exported on demand."""
    return _named("STREAMSEG_CACHE") or _user_cache()


def config_root() -> Path:
    """The folder of what was chosen for this machine."""
    from platformdirs import user_config_path

    return _named("STREAMSEG_CONFIG") or user_config_path(_NAME, appauthor=False)


def models_root() -> Path:
    """The folder of the user's models: each in a folder of its name."""
    # Here and below: libraries are imported when a folder is wanted, which `import streamseg` does not.
    from platformdirs import user_data_path

    return _named("STREAMSEG_MODELS") or user_data_path(_NAME, appauthor=False) / "models"


def engines_root() -> Path:
    """The folder of compiled engines."""
    return _named("STREAMSEG_ENGINES") or _user_cache() / "engines"


def state_root() -> Path:
    """The folder of what a long-running program has to know again: messages not yet delivered, the store of events."""
    from platformdirs import user_state_path

    # Of several that a unit names, separated by colons, the first (systemd.exec(5)).
    unit = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return _named("STREAMSEG_STATE") or (Path(unit) if unit else user_state_path(_NAME, appauthor=False))


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path(_NAME, appauthor=False)


def _named(variable: str) -> Path | None:
    named = os.environ.get(variable)
    return Path(named).expanduser().absolute() if named else None


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
    if path.is_relative_to(config_root()) and not path.is_relative_to(cache_root()):
        variable = "STREAMSEG_CONFIG"
    return f"make room or get the right to write there, or name another folder in {variable}"


@contextlib.contextmanager
def locked(folder: Path, name: str, busy: str, on_message: Message | None = None) -> Iterator[None]:
    """Hold the lock `name` within `folder`; if another process has it, `on_message` is told `busy`, and we wait.

    The system releases it when its holder ends, however that ends. Raises OutputError if no lock can be made.
    """
    locks = make_folder(folder / ".locks")
    try:
        lock = waiting_lock(locks / name, busy, on_message)
    except OSError as error:
        raise OutputError(f"cannot write in {folder}: {error.strerror}; {elsewhere(folder)}") from error
    with lock:
        yield


def waiting_lock(path: Path, busy: str, on_message: Message | None = None) -> contextlib.AbstractContextManager[object]:
    """The lock of the file `path`, taken; leaving the context gives it back. Otherwise as `locked`. Raises OSError."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=0o600)
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        if on_message is not None:
            on_message(busy)
    return lock.acquire()
