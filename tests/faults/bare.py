"""A Python in which what only POSIX has is missing, as far as that can be had on Linux: run in a process of its own.

`python -m tests.faults.bare FILM MODEL FOLDER` imports every module that the light base allows, and runs the film into FOLDER. What
libraries use themselves stays, since they are imported before; the standard library's own uses of the names are met as on Windows.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import select
import signal
import sys
from pathlib import Path

EXTRAS = (
    "torch",
    "torchvision",
    "triton",
    "onnxscript",
    "onnxruntime",
    "pycocotools",
    "safetensors",
    "supervision",
    "rerun",
    "ray",
)
MODULES = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog")
NAMES = {
    os: (
        "fork forkpty register_at_fork sched_getaffinity sched_setaffinity geteuid getuid getgid getpgid setsid mkfifo mknod chown "
        "statvfs fchmod killpg wait3 wait4 pread pwrite O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_DIRECTORY O_TMPFILE"
    ),
    select: "poll epoll",
    signal: "SIGHUP SIGKILL SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGPIPE SIGCHLD pthread_sigmask alarm setitimer siginterrupt",
}


class Blocked:
    """A finder of modules that says of those, and of what only extras bring, that they are not there."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raises ImportError as an import of a missing module does."""
        if name in (*MODULES, *EXTRAS):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def strip() -> None:
    """Take the names away, but from what is imported already."""
    import shutil
    import subprocess  # noqa: F401
    import tempfile  # noqa: F401

    import av  # noqa: F401
    import cv2  # noqa: F401
    import filelock  # noqa: F401
    import platformdirs  # noqa: F401
    import pydantic  # noqa: F401
    import rich.progress  # noqa: F401
    import scipy.optimize  # noqa: F401
    import typer  # noqa: F401
    import yaml  # noqa: F401

    known = shutil.disk_usage(os.curdir)
    shutil.disk_usage = lambda path: known  # there on Windows, too, by other means
    for module in MODULES:
        sys.modules.pop(module, None)
    sys.meta_path.insert(0, Blocked())  # type: ignore[arg-type]
    for holder, names in NAMES.items():
        for name in names.split():
            if hasattr(holder, name):
                delattr(holder, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "streamseg"]:
        del sys.modules[name]


def import_all() -> int:
    """Import every module of ours but those that want an extra; how many there were."""
    import streamseg

    count = 0
    for name in [found.name for found in pkgutil.walk_packages(streamseg.__path__, "streamseg.", onerror=lambda _: None)]:
        try:
            importlib.import_module(name)
            count += 1
        except (streamseg.StreamsegError, ModuleNotFoundError) as error:
            if type(error).__name__ != "MissingExtra" and getattr(error, "name", None) not in EXTRAS:
                raise
    return count


def main(film: str, model: str, folder: str) -> None:
    """Import all, then run the command line on the film."""
    strip()
    print(import_all(), "modules", flush=True)
    from streamseg.cli.main import main as command

    outputs = [word for name in ("seen.mp4", "seen.jsonl", "stills/%06d.png") for word in ("-o", str(Path(folder) / name))]
    sys.argv = ["streamseg", "run", film, "--model", model, *outputs]
    command()


if __name__ == "__main__":
    main(*sys.argv[1:])
