"""Which results a folder holds, and which film each is of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from streamseg.decode.images import natural_key
from streamseg.report.read import is_results
from streamseg.report.summary import FilmSummary

__all__ = ["film_of", "find_results", "sorted_out"]

_ENDINGS = (".jsonl", ".ndjson")


def find_results(places: Iterable[Path], leave_out: Path | None = None) -> list[Path]:
    """Files of results, each once: those named themselves, and all below folders, in natural order, but for a folder."""
    return sorted_out(places, leave_out)[0]


def sorted_out(places: Iterable[Path], leave_out: Path | None = None) -> tuple[list[Path], list[Path]]:
    """Those, and the files that are called as results are, and hold none."""
    found: dict[str, Path] = {}
    junk: list[Path] = []
    left_out = "" if leave_out is None else os.path.realpath(leave_out)
    for place in places:
        for path in [place] if place.is_file() else _below(place, left_out):
            if path.suffix.lower() not in _ENDINGS:
                continue
            if is_results(path):
                found.setdefault(os.path.realpath(path), path)
            else:
                junk.append(path)
    return list(found.values()), junk


def _below(folder: Path, left_out: str) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        if os.path.realpath(root) == left_out:
            folders.clear()
            continue
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=lambda name: natural_key(Path(name)))
        yield from sorted((Path(root, name) for name in files if not name.startswith(".")), key=natural_key)


def film_of(film: FilmSummary, films: Iterable[Path], written: Mapping[str, Path]) -> Path | None:
    """The film that results are of, if it is there: as a job noted it (`written`: real path of results → film), as they say
    themselves, or the one of `films` or beside them that is called so. None: it is not found, or several are called so."""
    noted = written.get(os.path.realpath(film.results))
    if noted is not None:
        return noted if noted.exists() else None
    said = Path(film.name)
    for path in (said, film.results.parent / said.name):
        if path.exists():
            return path
    named = [path for path in films if path.name == said.name]
    return named[0] if len(named) == 1 else None
