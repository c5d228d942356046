"""`streamseg live`: many cameras, watched with one engine."""

from __future__ import annotations

import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from streamseg.cli.flags import flag
from streamseg.errors import ConfigError, StreamsegError
from streamseg.pipeline.options import OPTIONS, in_shell

if TYPE_CHECKING:
    from streamseg.cli.display import Screen
    from streamseg.live.config import LiveFile
    from streamseg.live.live import Live
    from streamseg.live.web.page import Page

_OF_CAMERAS = ("classes", "conf", "detect_every", "effects", "max_rate")
"""Flags that are options of every camera."""


def live(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...|CAMERAS.YAML",
            help="Cameras (0, /dev/video0), addresses (RTSP, HTTP, ...) and films, which are played at their own speed; or a file "
            "that names cameras and their options.",
        ),
    ],
    classes: Annotated[str | None, flag("classes")] = None,
    conf: Annotated[float | None, flag("conf")] = None,
    detect_every: Annotated[str | None, flag("detect_every")] = None,
    effects: Annotated[str | None, flag("effects")] = None,
    max_rate: Annotated[float | None, flag("max_rate")] = None,
    # options: shell network
    masks: Annotated[str | None, flag("masks")] = None,
    engine: Annotated[str | None, flag("engine")] = None,
    model: Annotated[str | None, flag("model")] = None,
    family: Annotated[str | None, flag("family")] = None,
    head: Annotated[str | None, flag("head")] = None,
    precision: Annotated[str | None, flag("precision")] = None,
    require_gpu: Annotated[bool | None, flag("require_gpu")] = None,
    size: Annotated[str | None, flag("size")] = None,
    batch: Annotated[int | None, flag("batch")] = None,
    threads: Annotated[int | None, flag("threads")] = None,
    no_tuned: Annotated[bool | None, flag("no_tuned")] = None,
    # options end
    trust: Annotated[bool, flag("trust")] = False,
    record: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Record all cameras, and clips of their events, into this folder (docs/keeping.md)."
        ),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT|off", help="Where the page in the browser listens; default: 8080, this machine alone."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Say what is wrong with the file, and watch nothing.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Watch many cameras with one engine; each may go and come back, and be added, changed and removed meanwhile."""
    given: dict[str, Any] = locals()
    from streamseg.cli.display import Screen
    from streamseg.cli.errors import leave
    from streamseg.cli.wall import Wall
    from streamseg.live.live import Live
    from streamseg.runtime.process import handle_signals, hangs_up, terminal_is_gone

    screen = Screen(quiet=quiet)
    file = _with_page(_file(sources, given), page)
    options = {each.name: given[each.name] for each in OPTIONS if "network" in each.groups and given[each.name] is not None}
    watched = Live(file, on_message=screen.say, trust=trust, **options)
    if check:
        watched.check()
        screen.say(f"{sources[0]}: {len(watched.cameras())} cameras, nothing wrong")
        return
    ended: list[int] = []

    def end(number: int) -> None:
        if hangs_up(number) and file.path is not None and not terminal_is_gone():
            watched.reload()
            return
        ended.append(number)
        # In a thread of its own: what this interrupts may hold the lock that it takes.
        threading.Thread(target=watched.end, daemon=True).start()

    problem: StreamsegError | None = None
    with handle_signals(end), Wall(watched, screen, quiet):
        try:
            watched.start()
            _show_page(watched, screen)
            watched.run(until_over=True)
        except StreamsegError as error:
            problem = error
        finally:
            whole = watched.stop()
    code = problem.exit_code if problem is not None else 128 + ended[0] if ended else 0
    if not whole:
        leave(code, "" if problem is None else str(problem))
    if problem is not None:
        raise problem
    raise typer.Exit(code)


def _show_page(watched: Live, screen: Screen) -> None:
    """The link that opens the page; of one that others reach as a code for a phone, too."""
    for service in watched.services:
        if service.name == "page":
            page = cast("Page", service)
            screen.link("page", page.link, page.code)


def _with_page(file: LiveFile, asked: str | None) -> LiveFile:
    """With the page that the flag asks for; without either it listens where it usually does, if what it needs is installed."""
    from streamseg.config.live_page import PageConfig, page_of
    from streamseg.config.load import validate

    if asked is None and ("page" in file.raw or find_spec("uvicorn") is None):
        return file
    try:
        section = {} if asked is None else page_of(asked)
    except ValueError as error:
        raise ConfigError(f"--page: {error}") from None
    raw = file.raw.get("page")
    given = {**(raw if isinstance(raw, dict) else {}), **(section or {})}
    page = None if section is None else validate(PageConfig, given, "--page", None)
    return replace(file, config=file.config.model_copy(update={"page": page}))


def _file(sources: list[str], given: dict[str, Any]) -> LiveFile:
    """What is to be watched. Raises ConfigError."""
    from streamseg.live.camera_names import named
    from streamseg.live.config import load_live, read_live

    asked = {each.name: each for each in OPTIONS if each.name in _OF_CAMERAS and given[each.name] is not None}
    if Path(sources[0]).suffix.lower() not in (".yaml", ".yml"):
        defaults = {name: given[name] for name in asked}
        kept: dict[str, Any] = {}
        if given["record"] is not None:
            defaults["record"], kept["record"] = True, {"folder": given["record"]}
        return read_live({"defaults": defaults, **kept, "cameras": named(sources)}, "cameras", trust=given["trust"])
    if len(sources) > 1:
        raise ConfigError(f"{sources[0]} names all cameras; leave out {sources[1]}, or name it there")
    if asked or given["record"] is not None:
        flags = ", ".join([*(in_shell(option) for option in asked.values()), *(["--record"] if given["record"] else [])])
        raise ConfigError(f"{flags}: {sources[0]} says that, in its section defaults or at each camera")
    return load_live(Path(sources[0]), trust=given["trust"], partly=True)  # Live tells what is wrong, with what it finds out
