"""The verb `streamseg serve`. The options of the network are written by `python -m tools.options`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from streamseg.cli.flags import flag
from streamseg.pipeline.options import in_shell

_SERVER = "Server"


def serve(
    host: Annotated[
        str, typer.Option(help="Where to listen: 127.0.0.1, this machine alone; 0.0.0.0, all.", rich_help_panel=_SERVER)
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.", rich_help_panel=_SERVER)] = 8100,
    token: Annotated[
        str,
        typer.Option(
            help="What requests show as `Authorization: Bearer TOKEN`; auto: one that is kept, where others than this machine "
            "reach it; off: none.",
            rich_help_panel=_SERVER,
        ),
    ] = "auto",
    queue: Annotated[
        int,
        typer.Option(
            min=0, max=10_000, help="Requests of a kind that wait; more are answered with 429.", rich_help_panel=_SERVER
        ),
    ] = 16,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Pictures, and films, that are worked on at once.", rich_help_panel=_SERVER)
    ] = 2,
    max_upload: Annotated[
        str, typer.Option(metavar="SIZE", help="The largest film that is taken, as 500MB.", rich_help_panel=_SERVER)
    ] = "500MB",
    max_duration: Annotated[
        str, typer.Option(metavar="TIME", help="The longest film that is taken.", rich_help_panel=_SERVER)
    ] = "2m",
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
) -> None:
    """Answer over HTTP: pictures and short films as JSON or drawn, and the bare network in KServe's protocol v2."""
    given = locals()
    from streamseg.cli.display import Screen
    from streamseg.config.live_page import PageConfig
    from streamseg.config.values import parse_bytes, parse_seconds
    from streamseg.errors import MissingExtra
    from streamseg.pipeline.configure import words_of
    from streamseg.pipeline.session import Session

    try:
        from streamseg.live.web.guard import Door
        from streamseg.live.web.link import own_address, token_of
        from streamseg.live.web.listen import listen
        from streamseg.serve.app import Limits, make_app
        from streamseg.serve.server import serve as run
    except ImportError as error:
        raise MissingExtra(error.name or "starlette", "live") from error
    network = {name: value for name, value in given.items() if name not in _OWN and value is not None}
    screen = Screen()
    film, seconds = _read("--max-upload", parse_bytes, max_upload), _read("--max-duration", parse_seconds, max_duration)
    limits = Limits(film=film, seconds=seconds, workers=workers, queue=queue)
    asked = token_of(PageConfig(host=host, port=port, token=token))
    listener = listen(host, port)
    with listener, words_of(in_shell, given), Session(**network) as session:
        screen.say(f"engine: {session.engine}")
        real = int(listener.getsockname()[1])
        door = Door(asked, real, host, trust_proxy=token == "off")
        shown = own_address() if host in ("0.0.0.0", "::") else host
        screen.say(f"serving at http://{f'[{shown}]' if ':' in shown else shown}:{real}/ ; end with Ctrl-C")
        if asked is not None:
            screen.say(f"token: {asked} (curl -H 'Authorization: Bearer {asked}')")
        run(make_app(session, door, limits)).run(sockets=[listener])


def _read(flag: str, parse: Callable[[Any], Any], text: str) -> Any:
    """What a flag's text means. Raises ConfigError."""
    from streamseg.errors import ConfigError

    try:
        value = parse(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from error
    if not value > 0:
        raise ConfigError(f"{flag} {text}: nothing would be taken")
    return value


_OWN = ("host", "port", "token", "queue", "workers", "max_upload", "max_duration")
