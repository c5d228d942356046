"""Keeps what can be read only once (a pipe, a web server without ranges) in a temporary file, which can be read in any order.

Where the system can, the file has no name, so it is gone with the process, however that ends. It lies where `TMPDIR` says, else in
/tmp.
"""

from __future__ import annotations

import os
import select
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from streamseg.decode.address import Address, limits
from streamseg.errors import ConfigError, ModelError, SourceError, SourceLost
from streamseg.system.callbacks import Message
from streamseg.system.http import Answer, Broken, ask, refuses_parts

__all__ = ["Spool", "spooled"]

_CHUNK = 1 << 20
_DESCRIPTORS = Path("/dev/fd")
"""Where Linux and macOS name what is open, so that the file needs no name of its own; Windows has no such place."""
_WAKE = 200
"""Milliseconds after which a silent pipe is left, to see whether we were stopped."""


class Spool:
    """A temporary file that holds a source, and the address that opens it."""

    def __init__(self, address: Address, file: IO[bytes]) -> None:
        self._file = file
        self._named = None if _DESCRIPTORS.is_dir() else Path(file.name)
        where = self._named or _DESCRIPTORS / str(file.fileno())
        self.address = replace(address, kind="file", url=f"file:{where}", scheme="file", options=limits("file"))

    def close(self) -> None:
        """Give the room back."""
        self._file.close()
        if self._named is not None:
            self._named.unlink(missing_ok=True)


def spooled(
    address: Address, limit: int, timeout: float, stopped: Callable[[], bool], on_message: Message | None = None
) -> Spool | None:
    """What `address` gives, in a file of up to `limit` bytes; None where that is not needed or not possible, as for a live stream.

    Raises SourceError when more comes or there is no room for it, SourceLost when it breaks off.
    """
    if address.kind == "pipe":
        chunks = _from_pipe(address, stopped)
    elif address.scheme in ("http", "https") and (answer := _ask(address, timeout)) is not None:
        if answer.total is not None and answer.total > limit:
            answer.response.close()
            raise SourceError(f"{address.name}: its {_size(answer.total)} are more than --spool {_size(limit)} allows")
        chunks = _from_server(address, answer, stopped)
    else:
        return None
    file = tempfile.TemporaryFile() if _DESCRIPTORS.is_dir() else tempfile.NamedTemporaryFile(delete=False)  # noqa: SIM115
    spool = Spool(address, file)
    try:
        done = _copy(address, chunks, file, limit)
    except BaseException:
        spool.close()
        raise
    if on_message is not None:
        on_message(f"{address.name}: kept in a temporary file, {_size(done)}")
    return spool


def _copy(address: Address, chunks: Iterator[bytes], file: IO[bytes], limit: int) -> int:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        if done > limit:
            raise SourceError(
                f"{address.name}: more than --spool {_size(limit)} allows has come; allow more, or give it as a file"
            )
        try:
            file.write(chunk)
            file.flush()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise SourceError(
                f"{address.name}: cannot be kept in {folder} after {_size(done)}: {error.strerror}; TMPDIR names another folder"
            ) from error
    return done


def _from_pipe(address: Address, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """What comes through standard input or a named pipe."""
    own = address.url != "-"
    try:
        path = address.url.removeprefix("file:")
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)) if own else sys.stdin.fileno()
    except (OSError, ValueError) as error:
        raise SourceError(f"{address.name}: cannot be read: {error}") from error
    ready = _ready(fd)
    try:
        while not stopped():
            if not ready():
                continue
            chunk = os.read(fd, _CHUNK)
            if not chunk:
                return
            yield chunk
    finally:
        if own:
            os.close(fd)
    raise SourceError(f"{address.name}: stopped while it was being opened")


def _ready(fd: int) -> Callable[[], bool]:
    """A function that tells, within `_WAKE`, whether something can be read. On Windows, reads block."""
    if (make := getattr(select, "poll", None)) is None:
        return lambda: True
    poll = make()
    poll.register(fd, getattr(select, "POLLIN", 1))
    return lambda: bool(poll.poll(_WAKE))


def _ask(address: Address, timeout: float) -> Answer | None:
    """The answer of a server that gives a file, but no parts of it. What is wrong otherwise, opening it will tell."""
    try:
        answer = ask(address.url, timeout=timeout)
    except (Broken, ModelError, ConfigError, ValueError):
        return None
    headers = answer.response.headers
    ranges = headers.get("Accept-Ranges", "none").strip().lower() == "bytes" and not refuses_parts(address.url, timeout)
    if ranges or headers.get_content_maintype() == "multipart":
        answer.response.close()
        return None
    return answer


def _from_server(address: Address, answer: Answer, stopped: Callable[[], bool]) -> Iterator[bytes]:
    done = 0
    try:
        while not stopped():
            chunk = answer.read()
            done += len(chunk)
            if chunk:
                yield chunk
            elif answer.total is None or done >= answer.total:
                return
            else:
                raise SourceLost(f"{address.name}: the server sent {_size(done)} of {_size(answer.total)}")
    except (Broken, ModelError) as error:
        raise SourceLost(f"{address.name}: broke off after {_size(done)}: {error}") from None
    finally:
        answer.response.close()
    raise SourceError(f"{address.name}: stopped while it was being opened")


def _size(count: int) -> str:
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")):
        if count >= unit:
            return f"{count / unit:.4g} {name}"
    return f"{count} bytes"
