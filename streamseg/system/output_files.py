"""Files of outputs: checks which may be written, and a file of which every write is whole or an error.

Checked before anything is opened: an output is never its own source (same path, symbolic or hard link), what exists is only
replaced on request, and what another run is writing is not even then.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from streamseg.errors import OutputError, OutputExists, OutputIsInput
from streamseg.system.standard_streams import STDIN_NAMES, StandardOutput, check_stdout, is_stdout

__all__ = [
    "NOT_TEXT",
    "NO_LINK",
    "Claim",
    "OutputFile",
    "check_file",
    "local_path",
    "lock",
    "make_folder",
    "open_locked",
    "open_part",
    "part_of",
    "refuse_existing",
    "replace_atomically",
    "same_place",
    "sha256_of",
]

NOT_TEXT: int = getattr(os, "O_BINARY", 0)
"""For `os.open`: bytes as they are. Windows would end lines in its own way."""
NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
"""For `os.open`: an error instead of what a link leads to; Windows has no such flag."""


def local_path(source: str | int | os.PathLike[str] | None) -> Path | None:
    """The file, folder or pattern that a source names, for `-` what the shell put there; None for a camera or an address."""
    if source is None or isinstance(source, int) or "://" in str(source):
        return None
    if str(source) in STDIN_NAMES:
        return Path("/dev/stdin")
    return Path(source)


def same_place(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file or folder, through links too; neither has to exist."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def refuse_existing(path: Path, source: Path | None, overwrite: bool) -> None:
    """Refuse an output file that is the source, exists (unless `overwrite`) or is a folder. Changes nothing.

    Raises OutputIsInput, OutputExists or OutputError.
    """
    if is_stdout(path):
        check_stdout(path)
        return
    if source is not None and same_place(path, source):
        raise OutputIsInput(f"{path}: this is the source itself; it is never written onto. Choose another output name.")
    if path.is_dir():
        raise OutputError(
            f"{path}: this is a folder; name a file in it, or write images with a pattern such as {path}/%06d.png"
        )
    if not overwrite and (path.exists() or path.is_symlink()):
        raise OutputExists(f"{path}: already exists; pass --overwrite to replace it, or choose another name")


def check_file(path: Path, source: Path | None, overwrite: bool) -> None:
    """As `refuse_existing`; then make its folder, and see that it can be written. Raises OutputError."""
    refuse_existing(path, source, overwrite)
    if is_stdout(path):
        return
    make_folder(path.parent)
    if path.is_file():
        with contextlib.suppress(OSError), path.open("rb") as file:
            lock(file.fileno(), path)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"{path}: no permission to write here; choose another place or change the permissions")


def lock(fd: int, path: Path) -> None:
    """Take an open file for this run until it is closed. OutputError when another run has it: two would write into each other.

    The lock ends with the process, however that ends. Devices and pipes are not locked, nor is what lies on a file system that has
    no locks.
    """
    from filelock import lock_descriptor  # not at once: it takes tens of milliseconds, and most commands write nothing

    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return
    try:
        taken = lock_descriptor(fd, blocking=False)
    except OSError:
        return
    if not taken:
        raise OutputError(f"{path}: another run is writing it; wait for its end, or choose another name")


def open_locked(path: Path, output: Path, flags: int = 0) -> int:
    """Open a file to read and write, made if it is not there, and `lock` it for `output`; its content stays.

    Raises OutputError where another run has it, or OSError.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | NOT_TEXT | flags, 0o666)
    try:
        lock(fd, output)
    except OutputError:
        os.close(fd)
        raise
    return fd


def part_of(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(f".{path.name}.part")


def open_part(path: Path) -> int:
    """Open `part_of(path)`, empty and locked for `path`. Raises OutputError where another run has it, or OSError."""
    fd = open_locked(part_of(path), path)
    try:
        os.ftruncate(fd, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


class Claim:
    """A name in a folder, such as a pattern of images, taken for this run: another run that writes there is refused."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises OutputError, or OSError where no file can be made."""
        self._path = folder / f".{name}.lock"
        self._fd: int | None = open_locked(self._path, folder / name, NO_LINK)

    def release(self) -> None:
        """Give it back. Twice is harmless; does not raise."""
        fd, self._fd = self._fd, None
        if fd is not None:
            # First, so that nobody can take what is about to vanish; Windows deletes no file that is open.
            gone = self._unlink()
            os.close(fd)
            if not gone:
                self._unlink()

    def _unlink(self) -> bool:
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; OutputError when that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make this folder: {error.strerror or error}") from error


def replace_atomically(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Write a whole file under a temporary name, then rename it: a reader sees all of it or nothing. Raises OSError.

    synced: also after a power cut.
    """
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.write(data)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class OutputFile:
    """The binary file that libav writes into: unbuffered, so that what was written survives SIGKILL; whole writes or an error.

    Between `hold_overwrites` and `commit`, writes before the end of the file are kept in memory. A muxer's trailer appends an
    index and then points the header to it; when the disk is full halfway, the old header still describes the fragments.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self._standard = StandardOutput() if is_stdout(path) else None
        self._fd = self._standard.fd if self._standard else self._open(path, overwrite)
        self._seekable = self._standard is None and stat.S_ISREG(os.fstat(self._fd).st_mode)
        self.path = path
        self.closed = False
        self.error: OSError | None = None
        """The first write that failed."""
        self.size = 0
        """Bytes, as far as written."""
        self._held: list[tuple[int, bytes]] | None = None
        self._at = 0

    @staticmethod
    def _open(path: Path, overwrite: bool) -> int:
        try:
            fd = open_locked(path, path, 0 if overwrite else os.O_EXCL)
        except FileExistsError as error:
            raise OutputExists(f"{path}: already exists; pass --overwrite to replace it, or choose another name") from error
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        with contextlib.suppress(OSError):  # a FIFO has no length
            os.ftruncate(fd, 0)
        return fd

    def write(self, data: bytes) -> int:
        """Write all of `data` at the current position; OSError when not all of it fits."""
        if self._held is not None and self._at < self.size:
            self._held.append((self._at, bytes(data)))
        else:
            self._put(self._at, data)
        self._at += len(data)
        return len(data)

    def append(self, data: bytes) -> None:
        """Write `data` at the end, whole or not at all: OSError when not all of it fits."""
        end = self.size
        try:
            self.write(data)
        except OSError:
            if self._seekable:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, end)
                    self.size = end
            raise

    def _put(self, at: int, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        view = memoryview(data)
        try:
            self._position(at)
            while view:
                done = self._standard.write(view) if self._standard else os.write(self._fd, view)
                at, view = at + done, view[done:]
        except OSError as error:
            self.error = error
            raise
        finally:
            self.size = max(self.size, at)

    def _position(self, at: int) -> None:
        if self._seekable:
            os.lseek(self._fd, at, os.SEEK_SET)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset`; returns the new position."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        """The current position."""
        return self._at

    def seekable(self) -> bool:
        """Muxers may go back; not in a pipe."""
        return self._seekable

    def writable(self) -> bool:
        """For libav's question."""
        return True

    def hold_overwrites(self) -> None:
        """From now on only appends reach the file."""
        self._held = self._held if self._held is not None else []

    def commit(self) -> None:
        """Write what was held back. Raises OSError."""
        held, self._held = self._held or [], None
        for at, data in held:
            self._put(at, data)

    def sync(self) -> None:
        """What was written stays after a power cut, too. Raises OSError."""
        if self._standard is None:
            os.fsync(self._fd)

    def duplicate(self) -> int:
        """Another descriptor of the file, to be synced and closed by another thread. Raises OSError."""
        return os.dup(self._fd)

    def close(self) -> None:
        """Give the file back; held overwrites that were not committed are dropped. Raises OSError (network file systems)."""
        if not self.closed:
            self.closed = True
            if self._standard:
                self._standard.close()
            else:
                os.close(self._fd)
