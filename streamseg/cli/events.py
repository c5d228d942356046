"""`streamseg events`: what happened before cameras, found by words and time. `streamseg replay`: a stretch of it, run again."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli.flags import JsonOption

if TYPE_CHECKING:
    from streamseg.live.keep.rows import KeptEvent

_ROAD = {
    "alert": "{who} came near too soon",
    "cut_in": "{who} cut in",
    "crossing": "{who} crossed the way ahead",
    "stop": "{who} came to a stop",
    "near_miss": "{who} was nearly hit",
    "hidden": "{who} went behind another",
    "reappear": "{who} came out again",
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def read_when(text: str | None, now: datetime | None = None) -> float | None:
    """`2026-11-30 17:05`, `17:05` (today), `today`, `yesterday`, `2h` (ago) in local time as UTC seconds. Raises ConfigError."""
    from streamseg.errors import ConfigError

    if text is None:
        return None
    now = now or datetime.now()
    word = text.strip().lower()
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if word in ("now", "today", "yesterday"):
        return {"now": now, "today": day, "yesterday": day - timedelta(days=1)}[word].timestamp()
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])(?: ago)?", word):
        return now.timestamp() - float(found[1]) * _UNITS[found[2]]
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", word):
        word = f"{day:%Y-%m-%d} {word.zfill(5) if word.count(':') == 1 else word.zfill(8)}"
    try:
        return datetime.fromisoformat(word.upper() if "t" in word else word).timestamp()
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time; write 2026-11-30, '2026-11-30 17:05', 17:05 (today), yesterday, or 2h (ago)"
        ) from None


def events(
    words: Annotated[list[str] | None, typer.Argument(metavar="[WORD]...", help="All of these are in it, or begin so.")] = None,
    folder: Annotated[Path, typer.Option(help="The folder of recordings.")] = Path("recordings"),
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From then on: 2026-11-30, '2026-11-30 17:05', 17:05, yesterday, 2h (ago)."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Up to then.")] = None,
    camera: Annotated[str | None, typer.Option(help="Of this camera.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="count, cross, enter, leave, dwell, warning; alert, cut_in, crossing, stop, near_miss, hidden, reappear."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    gaps: Annotated[bool, typer.Option("--gaps", help="Show when nothing was recorded, and why.")] = False,
    protect: Annotated[str | None, typer.Option(metavar="ID", help="Never delete the clip of this event.")] = None,
    unprotect: Annotated[str | None, typer.Option(metavar="ID", help="Let it be deleted again when it is old.")] = None,
    save: Annotated[
        str | None, typer.Option(metavar="ID", help="Save the clip of this event as an incident, for streamseg replay.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="INCIDENT", help="Where --save puts it. Default: incident-ID.")] = None,
    model: Annotated[str | None, typer.Option(help="For --save, where the camera's model lies elsewhere now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find what happened before cameras that are recorded: events, their clips, warnings and gaps."""
    from streamseg.cli.display import Screen
    from streamseg.live.keep.store import EventStore

    store, screen = EventStore(folder, there=True), Screen(quiet=as_json)
    if protect is not None or unprotect is not None:
        _protect(store, str(protect or unprotect), protect is not None)
        return
    if save is not None:
        from streamseg.live.keep.incident import save_incident

        made = save_incident(store, save, to or Path(f"incident-{save}"), model=model, on_message=screen.say)
        print(made)
        return
    begin, end = read_when(since), read_when(until)
    if gaps:
        _show_gaps(store.gaps(camera, since=begin or 0.0), as_json)
        return
    found = store.search(" ".join(words or ()), since=begin, until=end, camera=camera, kind=kind, limit=limit)
    _show(found, folder, as_json)


def _protect(store: Any, id: str, protected: bool) -> None:
    from streamseg.errors import ConfigError
    from streamseg.live.keep.retention import protect

    event = store.event(id)
    if event is None or not event.clip:
        raise ConfigError(f"{id}: there is no event of this id with a clip; --json shows ids")
    protect(store, event.clip, protected)
    store.close()


def _show(found: list[KeptEvent], folder: Path, as_json: bool) -> None:
    from streamseg.live.keep.archive import plain

    if as_json:
        print(json.dumps([plain(each) for each in found], indent=2, ensure_ascii=False))
        return
    for each in reversed(found):  # the newest last, where the eye is
        clip = f"  {folder / each.clip}" if each.clip else ""
        print(f"{_local(each.utc)}  {each.camera or '-':<12}  {in_words(each)}{clip}")
    if not found:
        print("nothing was found")


def _show_gaps(gaps: list[tuple[str, float, float, str]], as_json: bool) -> None:
    if as_json:
        keys = ("camera", "begin_utc", "end_utc", "reason")
        print(json.dumps([dict(zip(keys, each, strict=True)) for each in gaps], indent=2, ensure_ascii=False))
        return
    for camera, begin, end, reason in gaps:
        print(f"{_local(begin)}  {camera:<12}  nothing for {end - begin:.1f} s: {reason}")
    if not gaps:
        print("no gaps")


def in_words(event: KeptEvent) -> str:
    """An event for people, as `person#3 entered yard`."""
    who = f"{event.name}#{event.track_id}"
    match event.kind:
        case "warning":
            return event.text
        case "count":
            return f"{who} came"
        case "cross":
            return f"{who} crossed {event.place} ({event.direction})"
        case "enter":
            return f"{who} entered {event.place}"
        case "leave":
            return f"{who} left {event.place}" + (f" after {event.seconds:.0f} s" if event.seconds is not None else "")
        case "dwell":
            return f"{who} stays in {event.place}" + (f", {event.seconds:.0f} s" if event.seconds is not None else "")
    if event.kind in _ROAD:
        return _ROAD[event.kind].format(who=who if event.track_id else event.name)
    return f"{who} {event.kind} {event.place}"


def _local(utc: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(utc))


def replay(
    incident: Annotated[Path, typer.Argument(metavar="INCIDENT", help="A folder that `streamseg events --save` has made.")],
    model: Annotated[str | None, typer.Option(help="Another model than then.")] = None,
    engine: Annotated[str | None, typer.Option(help="Another engine than then.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run an incident again, and say whether the same is found, byte for byte; if not, what differs. Exit code 1: it does."""
    from streamseg.cli.display import Screen
    from streamseg.live.keep.incident import replay as run_again

    screen = Screen(quiet=as_json)
    done = run_again(incident, model=model, engine=engine, on_message=screen.say)
    if as_json:
        print(json.dumps({"same": done.same, "frames": done.frames, "differs": list(done.differs)}, indent=2))
    elif done.same:
        print(f"{incident}: the same, byte for byte, in {done.frames} pictures")
    else:
        print(f"{incident}: not the same")
        for sentence in done.differs:
            print(f"  {sentence}")
    if not done.same:
        raise typer.Exit(1)
