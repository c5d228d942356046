"""Where a film was recorded: what its own tracks or a log beside it say, sane, and on its clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from streamseg.errors import ConfigError, StreamsegError
from streamseg.system.callbacks import Message
from streamseg.telemetry.beside import find_beside, holds_positions, read_beside
from streamseg.telemetry.inside import read_inside
from streamseg.telemetry.readings import Log, Reading, believed
from streamseg.telemetry.sync import FilmTime, placed
from streamseg.telemetry.track import Track

__all__ = ["created_at", "named_at", "read_telemetry"]

_NAMED = re.compile(r"(?<!\d)(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_. T]?(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?!\d)")


def read_telemetry(
    film: Path,
    time: FilmTime,
    *,
    log: str | Path | None = None,
    offset: float | None = None,
    on_message: Message | None = None,
) -> Track | None:
    """Where the vehicle was, of one film; None: nothing tells.

    film: a file. time: what is known of when it was recorded. log: the file that tells; None: the film itself, else one beside it
    under its name. offset: seconds by which the log begins after the film (see `sync.placed`); of what is on the film's own clock,
    seconds that are added. on_message: hears what was found, and what was left out.

    What cannot be read beside or within a film, and a person did not name, is said, not raised. Raises StreamsegError for a `log`.
    """
    say = on_message or (lambda text: None)
    try:
        found = read_beside(Path(log)) if log is not None else _search(film)
        return None if found is None else _track(found, time, offset, say, named=log is not None)
    except StreamsegError as error:
        if log is not None or offset is not None:
            raise
        say(f"telemetry: {error}")
    except OSError as error:
        say(f"telemetry: {film.name}: cannot be read: {error.strerror or error}")
    return None


def _search(film: Path) -> Log | None:
    inside = read_inside(film)
    if inside is not None and inside.readings:
        return inside
    beside = next(filter(holds_positions, find_beside(film)), None)
    return None if beside is None else read_beside(beside)


def _track(log: Log, time: FilmTime, offset: float | None, say: Message, *, named: bool) -> Track | None:
    readings, left_out = believed(log.readings)
    words = f"; left out: {', '.join(left_out)}" if left_out else ""
    if not readings:
        if named:
            raise ConfigError(f"{log.name}: {len(log.readings)} readings, none with a position{words}")
        if log.readings:
            say(f"telemetry: {log.name} ({log.kind}): no position{words}")
        return None
    if readings[0].at is None:
        readings, how = placed(readings, time, offset, log.name)
    else:
        begin = 0.0 if log.inside and log.kind not in ("BlackVue", "Novatek") else time.origin
        readings, how = _shifted(readings, begin + (offset or 0.0)), "on the film's clock"
    track = Track(readings)
    say(f"telemetry: {log.name} ({log.kind}): {len(track)} positions, {how}{words}")
    return track


def _shifted(readings: list[Reading], by: float) -> list[Reading]:
    return [replace(r, at=None if r.at is None else r.at + by) for r in readings] if by else readings


def created_at(metadata: Mapping[str, str]) -> float | None:
    """Seconds since 1970 of `creation_time`, as libav tells it; None: it is not told, or by a clock that was never set."""
    text = metadata.get("creation_time", "")
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() if time.year > 2000 else None


def named_at(stem: str) -> float | None:
    """Seconds since 1970 of the time in a name, as 20231015_143022 or 2023-10-15_14-30-22, as if it were UTC; None: none."""
    match = _NAMED.search(stem)
    try:
        return None if match is None else datetime(*map(int, match.groups()), tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]
    except ValueError:
        return None
