"""Turns errors of libav and the system into ours, with a reason in words that a user can act on.

libav's exceptions hold the whole address in their arguments, credentials included. So what leaves here is a new exception that is
raised outside of the `except` block (see `fault`), with neither `__cause__` nor `__context__`.

libav logs to a callback that PyAV leaves switched off, and we leave it so: PyAV's Python callback takes the GIL from inside
libav's worker threads, which deadlocks when a codec is freed with the GIL held. What libav would warn of is counted instead from
what it returns: damaged packets and pictures.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import av
from av import error as av_error

from streamseg.errors import NoVideo, SourceError, SourceLost, SourceNotFound, StreamsegError, TooLarge, Unreadable

if TYPE_CHECKING:
    pass

__all__ = ["AV_ERRORS", "fault", "may_mend", "no_picture", "no_video", "unknown_host"]

AV_ERRORS = (av.FFmpegError, OSError, MemoryError)
"""What PyAV raises out of libav."""

_REASONS: tuple[tuple[type[BaseException], type[SourceError], str], ...] = (
    (av_error.HTTPUnauthorizedError, SourceError, "the server refuses the user name or password (401)"),
    (av_error.HTTPForbiddenError, SourceError, "the server forbids access (403)"),
    (av_error.HTTPNotFoundError, SourceNotFound, "the server knows no such address (404)"),
    (av_error.HTTPClientError, SourceError, "the server refuses the request"),
    (av_error.HTTPError, SourceLost, "the server failed (5xx)"),
    (av_error.ExitError, SourceLost, "no data came within the timeout"),
    (av_error.TimeoutError, SourceLost, "no data came within the timeout"),
    (av_error.ConnectionRefusedError, SourceNotFound, "nothing listens there (connection refused)"),
    (av_error.ConnectionResetError, SourceLost, "the other side closed the connection"),
    (av_error.BrokenPipeError, SourceLost, "the other side closed the connection"),
    (av_error.FileNotFoundError, SourceNotFound, "no such file"),
    (av_error.PermissionError, SourceError, "no permission to read it"),
    (av_error.EOFError, Unreadable, "it ends before a video begins: empty or cut off"),
    (av_error.InvalidDataError, Unreadable, "not a video, or damaged beyond reading"),
    (av_error.DecoderNotFoundError, Unreadable, "no decoder for its codec in this build of FFmpeg"),
    (av_error.DemuxerNotFoundError, Unreadable, "no demuxer for its format in this build of FFmpeg"),
    (av_error.ProtocolNotFoundError, SourceError, "this protocol is not allowed, or not in this build of FFmpeg"),
    (av_error.PatchWelcomeError, Unreadable, "FFmpeg does not support this kind of video"),
    (MemoryError, TooLarge, "not enough memory for its pictures"),
    (
        av_error.ArgumentError,
        Unreadable,
        "not a format that is opened (playlists, which name other files and hosts, only with --playlists)",
    ),
)
"""First match wins: special before general."""

_HOST_ERRORS = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_MENDING = (
    av_error.HTTPServerError,
    av_error.ExitError,
    av_error.TimeoutError,
    av_error.ConnectionRefusedError,
    av_error.ConnectionResetError,
    av_error.BrokenPipeError,
    av_error.EOFError,
)


def may_mend(error: BaseException) -> bool:
    """Whether a network source that could not be opened may come by itself: for example a camera that is off or starting."""
    code = getattr(error, "errno", None)  # EIO: the host's name is not known (yet); 0: our own `Stalled`
    return isinstance(error, (*_MENDING, TimeoutError)) or code in {*_HOST_ERRORS, errno.EIO, 0}


def fault(error: BaseException, name: str, *, doing: str = "") -> StreamsegError:
    """Our error for one of libav's or the system's; `name` is the source as a user may see it.

    Use::

        problem = None
        try: ...
        except AV_ERRORS as error:
            problem = fault(error, name)
        if problem: raise problem
    """
    where = f"{name}: {doing}: " if doing else f"{name}: "
    if isinstance(error, StreamsegError):
        return error
    if isinstance(error, av_error.ProtocolNotFoundError) and name.startswith("srt://"):
        # PyAV's wheels have none; a program that has passes it on.
        return SourceError(
            f"{where}this build of FFmpeg has no SRT; ffmpeg -i ADDRESS -c copy -f mpegts - | streamseg run - has"
        )
    for kind, ours, reason in _REASONS:
        if isinstance(error, kind):
            return ours(f"{where}{reason}")
    code = getattr(error, "errno", None)
    if code in _HOST_ERRORS:
        return SourceNotFound(f"{where}the host cannot be reached ({_words(error, code)})")
    return Unreadable(f"{where}{_words(error, code)}")


def unknown_host(url: str) -> str | None:
    """The host of an address, if nobody knows where that is: libav calls that an input/output error."""
    try:
        host = urlsplit(url).hostname
        if host:
            socket.getaddrinfo(host, None)
    except (socket.gaierror, UnicodeError):
        return host
    except ValueError:
        return None
    return None


def no_video(name: str, found: Iterable[str]) -> NoVideo:
    """The error for a source without pictures; `found`: the kinds of streams that it has."""
    words = {"video": "a cover picture", "data": "data", "subtitle": "subtitles", "attachment": "attachments"}
    kinds = [words.get(kind, kind) for kind in sorted(set(found))]
    return NoVideo(f"{name}: there is no video in it, {f'only {_listed(kinds)}' if kinds else 'nor anything else'}")


def no_picture(
    name: str, codec: str, duration: float | None, start: Fraction, last: float | None, *, damaged: bool, by_gpu: bool
) -> SourceError:
    """The error for a video without a picture, from `start` seconds on: why it has none.

    last: when its last picture begins, if that is known: seconds from the first.
    """
    if damaged and by_gpu:
        return Unreadable(f"{name}: NVDEC cannot decode any of its pictures; use --decode cpu")
    if damaged:
        return Unreadable(f"{name}: none of its pictures can be decoded: damaged, or a kind of {codec} we do not know")
    if start:
        length = f"it lasts {duration:.2f} s" if duration and start >= round(duration, 2) else "it is shorter"
        if last is not None and duration and start < round(duration, 2):
            length = f"its last picture begins at {last:.2f} s"
        return NoVideo(f"{name}: there is nothing from {float(start):g} s on: {length}")
    return NoVideo(f"{name}: there is a video in it, but without a single picture")


def _listed(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _words(error: BaseException, code: int | None) -> str:
    """libav's or the system's words, without the address that its exception carries."""
    strerror = getattr(error, "strerror", None)
    if strerror:
        return str(strerror)
    return os.strerror(code) if code else type(error).__name__
