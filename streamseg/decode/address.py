"""What a SOURCE is (file, images, camera, network, pipe), and which protocols and formats libav may use for it.

libav accepts far more than addresses: `concat:a|b`, `subfile,,...:x` and playlists make one "path" read other files or other
hosts. So a path is only ever given to libav as `file:/absolute/path`, each scheme has its own whitelist of protocols, and only
the containers listed here may be opened; playlists (HLS, DASH, concat scripts) only when the user asks for them.
"""

from __future__ import annotations

import contextlib
import io
import operator
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, SupportsIndex
from urllib.parse import unquote, urlsplit

from streamseg.decode.devices import local_cameras, named
from streamseg.decode.frames import FrameSource
from streamseg.decode.images import SUFFIXES, find_images, is_video
from streamseg.errors import SourceError, SourceNotFound, clean
from streamseg.errors.credentials import doubtful, misread, shown
from streamseg.errors.describe import brief, counted, short
from streamseg.system.registry import SOURCES
from streamseg.system.standard_streams import STDIN_NAMES, check_stdin
from streamseg.trip import Part, find_trip

__all__ = ["Address", "Kind", "as_source", "limits", "names_camera", "parse_source"]

Kind = Literal["file", "images", "trip", "camera", "network", "pipe", "frames"]

PROTOCOLS: dict[str, str] = {
    "rtsp": "rtsp,rtp,rtcp,srtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,rtcp,srtp,udp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tcp,tls",
    "http": "http,https,httpproxy,tcp,tls",
    "https": "https,httpproxy,tcp,tls",
    "udp": "udp",
    "rtp": "rtp,udp",
    "tcp": "tcp",
    "srt": "srt,udp",
}
"""Scheme of an address -> what libav may use for it and for whatever it refers to (a redirect, an RTP transport)."""

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,live_flv,mxf,nut,ogg,asf,gif,apng,ivf,dv,rm,wtv,gxf,y4m,yuv4mpegpipe,"
    "h264,hevc,vvc,av1,obu,m4v,mpegvideo,mjpeg,mpjpeg,vc1,rawvideo,rtsp,rtp,sdp,video4linux2,v4l2,aac,mp3,wav,flac,"
    "image2pipe,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe,tiff_pipe,ppm_pipe,pgm_pipe,exr_pipe,dpx_pipe"
)
"""Containers that hold their own pictures (the audio ones so that the answer is "no video" and not "unknown")."""

PLAYLIST_FORMATS = "hls,dash,concat"
PLAYLIST_PROTOCOLS = "file,http,https,httpproxy,tcp,tls,crypto,data"

_ONCE_MORE = {"reconnect": "1", "reconnect_on_network_error": "1", "reconnect_delay_max": "0"}
"""libav's http asks for the next part of a file over the connection of the last one, which the server may have closed. So it tries
once more, also where an answer breaks off: at once, from where it was, and fails if that brings nothing."""
_ENCODING = "needs percent-encoding: %40 for @, %2F for /, %3F for ?, %23 for #, %3A for :, %25 for %, %20 for a space"
_NO_FRAMES = (bytes, bytearray, memoryview, Mapping, Set, io.IOBase)
"""What can be iterated over, and gives no pictures in order."""
_SCHEME = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]+)(?P<mark>://|:|,)")


@dataclass(frozen=True, slots=True)
class Address:
    """A source that libav, or our reader of stills, can open."""

    kind: Kind
    url: str = field(repr=False)
    """What libav opens, credentials included: never to be shown."""
    name: str
    """What a user may see."""
    scheme: str = "file"
    advice: str = ""
    """To be added where it cannot be opened."""
    format: str | None = None
    """The demuxer to use; None: libav looks at the bytes."""
    options: dict[str, str] = field(default_factory=dict)
    images: tuple[Path, ...] = ()
    parts: tuple[Part, ...] = ()
    """The files of a trip."""
    lasts: float | None = None
    """Seconds of a trip, as far as that is known before it is read."""
    note: str = ""
    """What was found."""
    said: tuple[str, ...] = ()
    """What was unusual about it."""

    @property
    def threaded(self) -> bool:
        """Reading may block for as long as the other side likes."""
        return self.kind in ("camera", "network", "pipe")


def parse_source(
    source: str | int | os.PathLike[str], *, timeout: float = 5.0, playlists: bool = False, trip: str = "off"
) -> Address:
    """Tell what `source` is. trip: the camera whose files it joins into one source; off: it does not.

    Raises SourceNotFound if there is no such file, image or device, SourceError if it is an address we do not open.
    """
    given = as_source(source)
    text = str(given)
    if isinstance(given, FrameSource):
        raise SourceError("pictures of a program have no address; give them to streamseg.stream or run")
    if not text:
        raise SourceNotFound("no source was given: the name is empty")
    if trip != "off":
        return _trip(text, trip)
    there = _exists(text)
    if isinstance(given, int) or (text.isdecimal() and len(text) < 10 and not there):
        return _camera(f"/dev/video{int(text)}", text)
    if text in STDIN_NAMES:
        return _standard_input(playlists)
    if isinstance(given, str) and not there:
        match = _SCHEME.match(text)
        if match and (match["mark"] == "://" or not named(text, local_cameras())):
            return _address(text, match["scheme"].lower(), match["mark"], timeout, playlists)
    return _path(text, playlists)


def _trip(text: str, view: str) -> Address:
    if "://" in text or text in STDIN_NAMES or text.isdecimal():
        raise SourceError(f"{shown(text)}: a trip is a folder of files, a glob, or a list (@files.txt); leave --trip out")
    found = find_trip(text, view)
    others = ", ".join(f"{name} ({count})" for name, count in found.others.items())
    also = f"; --trip takes another camera: {others}" if others else ""
    note = f"{text}: {counted(len(found.parts), 'file')} of the {view} camera{also}"
    return Address("trip", "", text, "file", parts=found.parts, lasts=found.lasts, note=note, said=found.said)


def as_source(source: object) -> str | int | Path | FrameSource:
    """`source`, if it is of a kind that a source may be of; pictures of a program as `FrameSource`. Raises SourceNotFound."""
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, str | Path):
        if "\0" in str(source):
            raise SourceNotFound(f"{brief(str(source))}: no such file (no name holds a null character)")
        return source
    if isinstance(source, os.PathLike):
        return Path(os.fsdecode(source))
    if isinstance(source, SupportsIndex) and not isinstance(source, bool) and getattr(source, "ndim", 0) == 0:
        return operator.index(source)
    single = _is_picture(source)
    if isinstance(source, Iterable) and not single and not isinstance(source, _NO_FRAMES):
        return FrameSource(source)
    hint = "; it is one picture: give a list of pictures" if single else ""
    raise SourceNotFound(
        f"a source is a path, an address, a camera's number or an iterable of pictures, not {brief(source)}{hint}"
    )


def _is_picture(source: object) -> bool:
    """Whether an array is one picture, [height, width] or [height, width, channels], and no film."""
    shape: tuple[int, ...] = getattr(source, "shape", ())
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))


def names_camera(source: object) -> bool:
    """Whether a source is a camera's number or device, which may not be there yet."""
    if not isinstance(source, (str, os.PathLike)):
        return isinstance(source, int)
    text = str(source)
    return text.isdecimal() or text.startswith(("/dev/video", "/dev/v4l/"))


def _exists(text: str) -> bool:
    """Whether there is a file or folder of that name; what is too long for a name, such as a signed address, is none."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # the latter: a character that no name can hold
        return False


def _standard_input(playlists: bool) -> Address:
    """A pipe, or the file that the shell put there (`< film.mp4`), which can be read in any order."""
    check_stdin()
    with contextlib.suppress(OSError, ValueError):  # not a descriptor: reading it will tell
        fd = sys.stdin.fileno()
        if stat.S_ISREG(os.fstat(fd).st_mode) and os.lseek(fd, 0, os.SEEK_CUR) == 0 and os.access(f"/dev/fd/{fd}", os.R_OK):
            return Address("file", f"file:/dev/fd/{fd}", "standard input", "file", options=limits("file", playlists))
    return Address("pipe", "-", "standard input", "pipe", options=limits("pipe", playlists))


def limits(protocols: str, playlists: bool = False) -> dict[str, str]:
    """libav's options that say which protocols and formats it may use."""
    return {
        "protocol_whitelist": f"{protocols},{PLAYLIST_PROTOCOLS}" if playlists and protocols == "file" else protocols,
        "format_whitelist": f"{FORMATS},{PLAYLIST_FORMATS}" if playlists else FORMATS,
    }


def _camera(device: str, name: str) -> Address:
    if not Path(device).exists():
        found = sorted(str(p) for p in Path("/dev").glob("video*"))
        there = f"there are {', '.join(found)}" if found else "this machine has no video device"
        raise SourceNotFound(f"camera {name}: {device} does not exist; {there} (a file of that name is given as ./{name})")
    options = limits("file", playlists=False)
    return Address("camera", device, device, "v4l2", format="v4l2", options=options)


def _address(text: str, scheme: str, mark: str, timeout: float, playlists: bool) -> Address:
    """A URL, with libav's own timeouts set: no read may block for ever."""
    if scheme == "file" and mark != ",":
        try:
            parts = urlsplit(text)
        except ValueError:  # whose words quote what they do not understand: it may be a password
            raise SourceError(
                f"{shown(text)!r} is no address of a file (its brackets hold no IPv6 address); give its path"
            ) from None
        if parts.netloc in ("", "localhost"):
            return _path(unquote(parts.path), playlists)
    if mark != "://" or scheme not in PROTOCOLS:
        allowed = ", ".join(f"{s}://" for s in (*PROTOCOLS, *SOURCES.added()))
        raise SourceError(
            f"{shown(text)!r} is neither a file nor an address that may be opened; allowed: a path, {allowed}, - for a pipe"
        )
    if misread(text):
        raise SourceError(
            f"{shown(text)}: this address cannot be read as user:password@host:port/path; a user name or password with /, ?, # or "
            f"a space in it {_ENCODING}"
        )
    microseconds = str(int(timeout * 1e6))
    options = limits(PROTOCOLS[scheme], playlists)
    if scheme in ("rtsp", "rtsps"):
        options |= {"timeout": microseconds, "rtsp_flags": "prefer_tcp"}
    elif scheme in ("http", "https"):
        options |= {"rw_timeout": microseconds} | _ONCE_MORE
    elif scheme in ("rtmp", "rtmps"):
        options |= {"rw_timeout": microseconds}  # its "timeout" would make it listen for a caller
    else:
        options |= {"rw_timeout": microseconds, "timeout": microseconds}
    if playlists and scheme in ("http", "https"):
        options["protocol_whitelist"] += ",crypto,data"
    advice = f"; a user name or password with special characters {_ENCODING}" if doubtful(text) else ""
    return Address("network", text, shown(text), scheme, advice, options=options)


def _by_name(text: str) -> Address:
    """The camera that is called so. Raises SourceNotFound, which tells of the cameras unless a file was meant."""
    cameras = local_cameras() if os.sep not in text else []
    meant = named(text, cameras)
    if len(meant) == 1:
        return replace(_camera(meant[0].path, meant[0].path), name=f"{meant[0].name} ({meant[0].path})")
    if meant:
        them = ", ".join(f"{camera.name} ({camera.number})" for camera in meant)
        raise SourceNotFound(f"{text}: {len(meant)} cameras are called so: {them}; give the number of one, or more of its name")
    there = ", ".join(dict.fromkeys(camera.name for camera in cameras))
    also = f", nor is a camera called so; cameras of this machine: {there}" if there and not Path(text).suffix else ""
    raise SourceNotFound(f"{text}: no such file{also}")


def _path(text: str, playlists: bool) -> Address:
    if "@" in text and shown(text) != text and not _exists(text):
        raise SourceNotFound(
            f"{shown(text)}: no such file; an address begins with its scheme, as rtsp://user:password@host/path"
        )
    try:
        path = Path(text).expanduser()
        images = find_images(path)
    except (OSError, RuntimeError, ValueError) as error:  # too long, not to be looked into, the home of nobody, no name at all
        name = short(text)
        raise SourceNotFound(f"{name}: no such file ({getattr(error, 'strerror', None) or error})") from clean(error)
    if images is not None:
        first = images[0]
        # A glob or pattern may mean one video, and some image files are containers of pictures, as videos are.
        if first.suffix.lower() in SUFFIXES and not (len(images) == 1 and is_video(first)):
            return Address("images", text, text, "file", images=tuple(images))
        if first != path:
            return _path(str(first), playlists)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _by_name(text)
    except ValueError:  # a character that no name can hold
        raise SourceNotFound(f"{text!r}: no such file") from None
    except OSError as error:
        raise SourceError(f"{text}: {error.strerror}") from None
    if stat.S_ISCHR(mode):
        if path.resolve().name.startswith("video"):  # also /dev/v4l/by-id/NAME, a link
            return _camera(str(path.resolve()), text)
        raise SourceError(f"{text}: a device, but not a camera (/dev/videoN)")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise SourceError(f"{text}: neither a file, a folder of images, a camera nor a named pipe")
    kind: Kind = "pipe" if stat.S_ISFIFO(mode) else "file"
    # What /dev/fd/63 leads to (`<(command)`) has no path.
    where = path.absolute() if kind == "pipe" else path.resolve()
    return Address(kind, f"file:{where}", text, "file", options=limits("file", playlists))
