"""What becomes of running threads when their process gets a signal, is forked, or ends.

A fork copies the memory, but of the threads only the one that called it. In the child, objects that other threads worked for are of
no use, and destroying them would wait for those threads for ever: libav, OpenVINO and ONNX Runtime join theirs. So the child keeps
such objects, `forked` tells when they must not be touched, and signals that the parent handles have their old meaning in the child.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

from streamseg.errors import StreamsegError

__all__ = [
    "DEADLINE",
    "at_work",
    "begin_work",
    "check_fork",
    "end_work",
    "ending_signals",
    "forked",
    "forked_from",
    "handle_signals",
    "hangs_up",
    "keep_in_forks",
    "terminal_is_gone",
    "wait_at_exit",
]

DEADLINE = 10.0
"""Seconds that threads get to finalise their outputs after an abort; they normally need a fraction of one."""

_kept: weakref.WeakSet[object] = weakref.WeakSet()
_running: weakref.WeakSet[Running] = weakref.WeakSet()
_at_work: weakref.WeakSet[object] = weakref.WeakSet()
_torn = False
"""This process was forked while another thread was at work."""


class Running(Protocol):
    """Threads that can be ended."""

    def abort(self) -> None:
        """End soon."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until they have ended."""


def forked(home: int) -> bool:
    """Whether this process is a fork of the one with the id `home`."""
    return os.getpid() != home


def forked_from(parent: str) -> str:
    """Why the parent's object is of no use here, and what to do; `parent` says what the parent was about, as "which ..."."""
    return (
        f"this process is a fork of one {parent}, and threads do not live on in a fork: start processes by multiprocessing's "
        "'spawn' or 'forkserver', or fork before streamseg is first used"
    )


def check_fork() -> None:
    """Raise StreamsegError in a fork of a process that was at work: locks that libraries held then stay locked here for ever."""
    if _torn:
        raise StreamsegError(forked_from("in which streamseg was at work"))


def begin_work(owner: object) -> None:
    """`owner` uses threads from now on, until `end_work`. Raises StreamsegError as `check_fork` does."""
    check_fork()
    _at_work.add(owner)


def end_work(owner: object) -> None:
    """The opposite of `begin_work`."""
    _at_work.discard(owner)


@contextlib.contextmanager
def at_work() -> Iterator[None]:
    """`begin_work` and `end_work`."""
    marker = threading.Event()  # any object that can be told from others
    begin_work(marker)
    try:
        yield
    finally:
        end_work(marker)


def keep_in_forks(owner: object) -> None:
    """In processes that are forked from now on, never destroy `owner` nor what it holds."""
    _kept.add(owner)


def wait_at_exit(running: Running) -> None:
    """When the process ends, abort these threads first: threads in native code would crash an interpreter that shuts down."""
    _running.add(running)


def ending_signals() -> list[int]:
    """The signals that end a run in order: SIGINT, SIGTERM and, where there is one, SIGHUP, unless it is ignored (nohup)."""
    # A closed terminal ends a recording in order, too. Windows has no such signal.
    hangup: int | None = getattr(signal, "SIGHUP", None)
    heeded = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if hangup is not None and heeded else [])]


def hangs_up(number: int) -> bool:
    """Whether this is the signal of a terminal that was closed, and by custom that of a file that is to be read again."""
    return number == getattr(signal, "SIGHUP", None)


def terminal_is_gone() -> bool:
    """Whether this process had a terminal that was closed."""
    name_of = getattr(os, "ttyname", None)
    if name_of is None:  # Windows
        return False
    for descriptor in (0, 1, 2):
        try:
            name_of(descriptor)
        except OSError as error:
            if error.errno == errno.EIO:
                return True
    return False


@contextlib.contextmanager
def handle_signals(act: Callable[[int], None]) -> Iterator[None]:
    """While it lasts, `ending_signals` call `act` with their number, in this process only. In the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    home = os.getpid()

    def handle(number: int, _frame: FrameType | None) -> None:
        if forked(home):
            signal.signal(number, old[number] or signal.SIG_DFL)
            os.kill(os.getpid(), number)
        else:
            act(number)

    old: dict[int, Any] = {number: signal.getsignal(number) for number in ending_signals()}
    for number in old:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _in_child() -> None:
    global _torn
    _torn = _torn or len(_at_work) > 0
    _at_work.clear()
    for owner in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))  # once more than anybody will give back
    _running.clear()


def _at_exit() -> None:
    there = list(_running)
    for running in there:
        running.abort()
    for running in there:
        running.wait(DEADLINE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
