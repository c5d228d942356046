"""Which films a job has: what folders, globs, lists (`@list.txt`) and several names together mean.

A folder whose images lie in it directly is one film, as everywhere; a folder of films is a job. Where both lie in one folder,
nobody but the user knows which is meant, and is asked.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamseg.decode.images import SUFFIXES as STILLS
from streamseg.decode.images import natural_key
from streamseg.errors import ConfigError, SourceError, SourceNotFound
from streamseg.jobs.manifest import NAME, Book

__all__ = ["VIDEOS", "Film", "find_films", "means_films"]

VIDEOS = frozenset(
    ".mp4 .m4v .mov .qt .mkv .webm .avi .ts .m2ts .mts .m2t .mxf .mpg .mpeg .mpe .m2v .vob .3gp .3g2 .wmv .asf .flv .f4v .ogv .ogm "  # noqa: SIM905
    ".dv .gxf .nut .ivf .y4m .h264 .264 .avc .h265 .265 .hevc .av1 .obu .gif .apng .rm .rmvb .wtv .insv".split()
)
"""Endings of the films that a folder is searched for; a film that is named itself may end as it likes."""


@dataclass(frozen=True, slots=True)
class Film:
    """One film of a job."""

    source: Path
    """A video, or a folder of images."""
    name: str
    """What its outputs are called: its path below what all films have in common, without its ending, as `day1/take3`."""
    only: bool = False
    """It is the one film of its job: an output may name its file."""


def means_films(sources: Sequence[str]) -> bool:
    """Whether sources mean a job of several films, not one film. Raises ConfigError for a folder, or a glob, of both kinds."""
    if len(sources) != 1:
        return len(sources) > 1
    text = sources[0]
    if text.startswith("@"):
        return True
    path = Path(text)
    if path.is_dir():
        stills, videos = _in(path)
        if stills and videos:
            raise ConfigError(
                f"{path}: this folder holds {_count(len(stills), 'image')} and {_count(len(videos), 'video')}; say which are "
                f"meant: '{path}/*{videos[0].suffix}' for the films, '{path}/*{stills[0].suffix}' for one film of the images"
            )
        return bool(videos) or (not stills and next(_walk(path, ()), None) is not None)
    if "://" in text or path.exists() or not glob.has_magic(text):
        return False
    found = _glob(text)
    videos = [each for each in found if each.suffix.lower() not in STILLS]
    if videos and len(videos) < len(found):
        raise ConfigError(
            f"{text}: matches {_count(len(videos), 'video')} and {_count(len(found) - len(videos), 'image')}; say which are meant, "
            f"as '{path.parent}/*{videos[0].suffix}'"
        )
    return len(videos) > 1 or (bool(videos) and "**" in text)


def find_films(sources: Sequence[str], leave_out: Sequence[Path] = ()) -> list[Film]:
    """All films that sources mean, each once, in the order given and in natural order within a folder.

    `leave_out`: files and folders that are not sources, such as where the outputs go. Files that are hidden or are no films are
    passed over in folders. A name that is given itself stays, whether it is there or not: who opens it says why not.

    Raises SourceNotFound where nothing is found, SourceError for what a job cannot have, such as a camera.
    """
    left_out = {os.path.realpath(path) for path in leave_out}
    found: dict[str, Path] = {}
    bases: set[str] = set()
    for path in _named(sources):
        inside = path.is_dir() and not _in(path)[0]
        bases.add(os.path.abspath(path if inside else path.parent))
        for each in _walk(path, left_out) if inside else [path]:
            found.setdefault(os.path.abspath(each), each)
    if not found:
        raise SourceNotFound(f"{', '.join(sources)}: no films are there ({' '.join(sorted(VIDEOS))}, or folders of images)")
    return _name(found, bases)


def _named(sources: Sequence[str]) -> Iterator[Path]:
    """The files and folders that sources name: lists are read, globs are filled in."""
    for text in sources:
        if text.startswith("@"):
            yield from _named(_listed(Path(text[1:]).expanduser()))
        elif "://" in text or text in ("", "-") or (text.isdecimal() and not os.path.exists(text)):
            raise SourceError(f"{text or 'an empty name'}: a job has files and folders alone; run this one by itself")
        elif not os.path.exists(text) and glob.has_magic(text):
            matched = _glob(text)
            if not matched:
                raise SourceNotFound(f"{text}: no file matches")
            yield from matched
        else:
            yield Path(text).expanduser()


def _listed(path: Path) -> list[str]:
    """The names in a list: one a line, below the list's own folder if they are there, else where the program was started."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceNotFound(f"@{path}: this list cannot be read: {reason}") from error
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not names:
        raise SourceNotFound(f"@{path}: this list is empty; it holds one film, folder or glob a line")
    if nested := next((name for name in names if name.startswith("@")), None):
        raise SourceError(f"@{path}: {nested}: a list names no other lists")
    return [str(beside) if (beside := path.parent / name).exists() or glob.has_magic(name) else name for name in names]


def _glob(text: str) -> list[Path]:
    found = (Path(each) for each in glob.glob(text, recursive=True) if Path(each).is_file())
    return sorted(found, key=lambda path: [natural_key(Path(part)) for part in path.parts])


def _in(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images and the videos that lie in a folder directly. Raises SourceError where it cannot be read."""
    try:
        there = [each for each in folder.iterdir() if not each.name.startswith(".") and each.is_file()]
    except OSError as error:
        raise SourceError(f"{folder}: this folder cannot be read: {error.strerror or error}") from error
    by = [[each for each in there if each.suffix.lower() in kinds] for kinds in (STILLS, VIDEOS)]
    return sorted(by[0], key=natural_key), sorted(by[1], key=natural_key)


def _walk(folder: Path, left_out: Iterable[str]) -> Iterator[Path]:
    """The films below a folder: videos, and folders of images, but none that a job has made. Raises ConfigError for both in one."""
    seen, left_out = set[str](), {*left_out}
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = sorted((each for each in folders if not each.startswith(".")), key=lambda name: natural_key(Path(name)))
        if real in seen or real in left_out:  # a link that leads back, or our own outputs
            folders.clear()
            continue
        seen.add(real)
        if NAME in files:
            left_out |= {os.path.realpath(path) for each in Book.read(Path(root)).films.values() for path, _ in each.outputs}
        there = sorted((Path(root, name) for name in files if not name.startswith(".")), key=natural_key)
        there = [each for each in there if each.is_file() and os.path.realpath(each) not in left_out]
        videos = [each for each in there if each.suffix.lower() in VIDEOS]
        stills = [each for each in there if each.suffix.lower() in STILLS]
        if videos and stills:
            raise ConfigError(
                f"{root}: this folder holds {_count(len(stills), 'image')} and {_count(len(videos), 'video')}; name the films, as "
                f"'{folder}/**/*{videos[0].suffix}'"
            )
        yield from [Path(root)] if stills else videos


def _name(found: dict[str, Path], bases: set[str]) -> list[Film]:
    """Each film with a name of its own, below what `bases` have in common; its ending stays where two differ in nothing else."""
    common = os.path.commonpath(bases) if len({os.path.splitdrive(path)[0] for path in bases}) == 1 else ""
    short = {path: _without_ending(Path(os.path.relpath(path, common) if common else os.path.basename(path)), each)
             for path, each in found.items()}  # fmt: skip
    times = Counter(short.values())
    return [
        Film(each, (short[path] if times[short[path]] == 1 else f"{short[path]}{Path(path).suffix}").replace(os.sep, "/"))
        for path, each in found.items()
    ]


def _without_ending(name: Path, film: Path) -> str:
    return str(name) if film.is_dir() or not name.suffix else str(name.with_suffix(""))


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
