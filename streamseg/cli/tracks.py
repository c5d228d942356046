"""The verb `streamseg tracks`. The options of a run are written by `python -m tools.options`."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli.flags import JsonOption, flag
from streamseg.pipeline.options import OPTIONS, in_shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamseg.cli.display import Screen
    from streamseg.cli.edit_flags import Changes
    from streamseg.config import PipelineConfig
    from streamseg.edits import Film
    from streamseg.record import Results, TrackSummary

_EDITS, _SHEET = "Edits, kept in NAME.streamseg.json", "Contact sheet"


def _change(help: str, metavar: str) -> Any:
    return typer.Option(metavar=metavar, help=f"{help} Can be given several times.", rich_help_panel=_EDITS)


def tracks(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A video, or a folder or glob of images.")],
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="The contact sheet: a .html page, a .png picture, or none. Can be given several times. Default: both, beside the "
            "results file.",
            rich_help_panel=_SHEET,
        ),
    ] = None,
    name: Annotated[list[str] | None, _change("Call a track so: 3=Anna; 3= takes the name away.", "TRACK=NAME")] = None,
    merge: Annotated[list[str] | None, _change("These are one object: 3,9.", "TRACKS")] = None,
    split: Annotated[list[str] | None, _change("From a time on it is another object: 4@12.48.", "TRACK@TIME")] = None,
    relabel: Annotated[list[str] | None, _change("It is of another class of the model's: 16=truck.", "TRACK=CLASS")] = None,
    forbid: Annotated[list[str] | None, _change("Never show these: 7,8.", "TRACKS")] = None,
    save: Annotated[
        list[str] | None, _change("Keep a selection under a name: hero='#3, #9'; hero= takes it away.", "NAME=SELECTION")
    ] = None,
    unmerge: Annotated[list[str] | None, _change("Take these out of their merge.", "TRACKS")] = None,
    unsplit: Annotated[list[str] | None, _change("Put what was split off back.", "TRACK")] = None,
    allow: Annotated[list[str] | None, _change("Show these again.", "TRACKS")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Put all tracks on the sheet, not only the 100 longest.", rich_help_panel=_SHEET)
    ] = False,
    # options: shell pipeline network source results = "edit"
    pipeline: Annotated[str, flag("pipeline")] = "edit",
    classes: Annotated[str | None, flag("classes")] = None,
    conf: Annotated[float | None, flag("conf")] = None,
    masks: Annotated[str | None, flag("masks")] = None,
    engine: Annotated[str | None, flag("engine")] = None,
    model: Annotated[str | None, flag("model")] = None,
    family: Annotated[str | None, flag("family")] = None,
    head: Annotated[str | None, flag("head")] = None,
    precision: Annotated[str | None, flag("precision")] = None,
    require_gpu: Annotated[bool | None, flag("require_gpu")] = None,
    size: Annotated[str | None, flag("size")] = None,
    start: Annotated[str | None, flag("start")] = None,
    duration: Annotated[str | None, flag("duration")] = None,
    end: Annotated[str | None, flag("end")] = None,
    realtime: Annotated[bool | None, flag("realtime")] = None,
    rate: Annotated[float | None, flag("rate")] = None,
    max_rate: Annotated[float | None, flag("max_rate")] = None,
    stale: Annotated[str | None, flag("stale")] = None,
    reconnect: Annotated[str | None, flag("reconnect")] = None,
    trip: Annotated[str | None, flag("trip")] = None,
    rotate: Annotated[int | None, flag("rotate")] = None,
    mirror: Annotated[bool | None, flag("mirror")] = None,
    playlists: Annotated[bool | None, flag("playlists")] = None,
    spool: Annotated[str | None, flag("spool")] = None,
    batch: Annotated[int | None, flag("batch")] = None,
    threads: Annotated[int | None, flag("threads")] = None,
    no_tuned: Annotated[bool | None, flag("no_tuned")] = None,
    detect_every: Annotated[str | None, flag("detect_every")] = None,
    motion: Annotated[bool | None, flag("motion")] = None,
    ignore: Annotated[str | None, flag("ignore")] = None,
    decode: Annotated[str | None, flag("decode")] = None,
    deinterlace: Annotated[str | None, flag("deinterlace")] = None,
    scene: Annotated[bool | None, flag("scene")] = None,
    telemetry: Annotated[str | None, flag("telemetry")] = None,
    telemetry_offset: Annotated[str | None, flag("telemetry_offset")] = None,
    camera: Annotated[str | None, flag("camera")] = None,
    camera_height: Annotated[str | None, flag("camera_height")] = None,
    online: Annotated[bool | None, flag("online")] = None,
    results: Annotated[str | None, flag("results")] = None,
    select: Annotated[str | None, flag("select")] = None,
    edits: Annotated[str | None, flag("edits")] = None,
    trust: Annotated[bool, flag("trust")] = False,
    # options end
    as_json: JsonOption = False,
) -> None:
    """Show who is seen in a film: a table, and a contact sheet to choose from. Also: name, merge, split and forbid tracks."""
    given = locals()
    from streamseg.cli.display import Screen
    from streamseg.cli.edit_flags import Changes
    from streamseg.pipeline.configure import configure, words_of
    from streamseg.pipeline.tracks import ensure_results, results_place

    config, screen = configure(given, in_shell), Screen(quiet=as_json)
    sheets = _sheet_paths(output or [], source, overwrite=False)
    path = results_place(source, config.results.keep)
    plain = pipeline == "edit" and all(given[each] is None for each in _OF_FINDING)
    changes = Changes(**{each: tuple(given[each] or ()) for each in Changes.__slots__})
    with words_of(in_shell, given), ensure_results(source, config, path, as_it_is=plain, on_message=screen.say) as found:
        film = _film(found, config, path, changes, screen, all_classes=classes is None)
        chosen = sorted(film.tracks_of(config.select.objects), key=lambda track: (-track.frames, track.track_id))
        if as_json:
            print(json.dumps({"results": str(path), "tracks": [_json(film, track) for track in chosen]}, indent=2))
        else:
            _show(film, chosen, path)
        if sheets is None:
            sheets = [path.with_name(f"{path.stem}.tracks{kind}") for kind in (".html", ".png")]
        if sheets:
            _write(source, film, chosen, sheets, screen, every=every)


_OF_FINDING = tuple(
    each.name
    for each in OPTIONS
    if each.name not in ("pipeline", "classes", "results", "select", "edits", "trust")
    and each.shell
    and not {*each.groups}.isdisjoint({"pipeline", "network", "source", "results"})
)
"""Options that say how a film is looked at: where none is given, what was found is taken as it is."""


def _sheet_paths(given: Sequence[str], source: str, *, overwrite: bool) -> list[Path] | None:
    """What -o says; None: nothing. Raises ConfigError, and OutputError for a file that exists."""
    from streamseg.errors import ConfigError
    from streamseg.system.output_files import check_file

    if not given:
        return None
    paths = [Path(text) for text in given if text != "none"]
    for path in paths:
        if path.suffix.lower() not in (".html", ".htm", ".png"):
            raise ConfigError(f"-o {path}: a contact sheet is a .html page or a .png picture; none: write none")
        check_file(path, Path(source) if os.path.exists(source) else None, overwrite)
    return paths


def _film(results: Results, config: PipelineConfig, path: Path, changes: Changes, screen: Screen, *, all_classes: bool) -> Film:
    """What was found, with the edits and the changes on them, which are kept. Raises ConfigError where they do not fit."""
    from streamseg.cli.edit_flags import made
    from streamseg.edits import Film
    from streamseg.edits.fit import found_key
    from streamseg.errors import ConfigError
    from streamseg.pipeline.decide import edits_of, shown_classes, sidecar_of

    edits, sidecar = edits_of(config, path)
    if changes and config.select.edits == "off":
        raise ConfigError("--edits off keeps no edits: leave it out to change them")
    changed, said = made(changes, edits, results)
    film = Film(results, changed, None if all_classes else shown_classes(config, results.class_names))
    for name, selection in changed.selections.items():
        try:
            film.resolve(selection)
        except ConfigError as error:
            raise ConfigError(f"the selection {name} ({selection}): {error}") from error
    if said:
        sidecar = sidecar or sidecar_of(path)
        source = results.head.get("source")
        dataclasses.replace(changed, source=source, found=found_key(results)).save(sidecar)
        for line in (*said, f"written: {sidecar}"):
            screen.say(line)
    return film


def _json(film: Film, track: TrackSummary) -> dict[str, Any]:
    from streamseg.sheet import Row

    return Row(track, film.edits.names.get(track.track_id, "")).to_json()


def _show(film: Film, chosen: Sequence[TrackSummary], path: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    from streamseg.cli.display import stdout
    from streamseg.sheet.rows import clock

    table = Table("track", "first", "last", "frames", "longest gap", "confidence", "area", caption_justify="left")
    for track in chosen:
        share = track.mean_area / film.frame_area if film.frame_area else 0.0
        named = f"{film.edits.names[track.track_id]}  " if track.track_id in film.edits.names else ""
        table.add_row(
            Text(f"{named}{track.name}#{track.track_id}"),
            clock(track.first_time),
            clock(track.last_time),
            str(track.frames),
            f"{track.longest_gap:.2f} s" if track.longest_gap else "",
            f"{track.score:.0%}",
            f"{share:.1%}",
        )
    console = stdout()
    console.print(table)
    console.print(Text(_caption(film, chosen, path)))


def _caption(film: Film, chosen: Sequence[TrackSummary], path: Path) -> str:
    from streamseg.errors.describe import counted

    of = f" of {len(film.tracks)}" if len(chosen) != len(film.tracks) else ""
    tracks = "track" if len(chosen) == 1 and not of else "tracks"
    return f"{len(chosen)}{of} {tracks}, {counted(len(film.results), 'frame')}: {path}"


def _write(
    source: str,
    film: Film,
    chosen: Sequence[TrackSummary],
    paths: Sequence[Path],
    screen: Screen,
    *,
    every: bool,
) -> None:
    from streamseg.errors.describe import counted
    from streamseg.pipeline.tracks import pictures_of
    from streamseg.pipeline.video import open_video
    from streamseg.sheet import MOST_PICTURES, PICTURES, ROWS, rows_of, take_pictures, write_sheets

    shown = chosen if every else chosen[:ROWS]
    rows = rows_of(film, shown, max(1, min(PICTURES, MOST_PICTURES // max(1, len(shown)))))
    with open_video(source, results=film.results) as video:
        numbers = [number for row in rows for number in row.frames]
        take_pictures(rows, film, pictures_of(video, numbers), video.pixel_aspect)
    name = Path(source).name
    notes = [f"{counted(len(chosen), 'track')} in {counted(len(film.results), 'frame')}."]
    if left := len(chosen) - len(shown):
        longest = max(track.frames for track in chosen[len(shown) :])
        notes.append(
            f"{left} more, each seen in {counted(longest, 'frame')} at most, are left out: streamseg tracks {name} --all"
        )
    for path in write_sheets(rows, f"Tracks of {name}", notes, paths):
        screen.say(f"contact sheet: {path}")
