"""`streamseg cameras`: what there is to be watched, on this machine and on the network."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli.flags import JsonOption, answer
from streamseg.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from streamseg.live.discover import NetworkCamera

PASSWORD = "STREAMSEG_CAMERA_PASSWORD"  # the name of a variable, no password


def cameras(
    user: Annotated[
        str | None,
        typer.Option(
            help="Ask the network's cameras for their streams, under this name; the password is asked for, or taken from "
            f"{PASSWORD}."
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Ask this host alone, which may be in another network. Can be given several times."),
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Look at this machine alone.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to wait for answers of the network.")] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """List the cameras that are plugged in, and those of the network that speak ONVIF."""
    from streamseg.cli import display
    from streamseg.decode.devices import local_cameras
    from streamseg.live.discover import discover

    here = [asdict(camera) | {"source": camera.path} for camera in local_cameras()]
    there: list[dict[str, Any]] = []
    if not local:
        password = _password(user)
        there = [_described(camera, user, password) for camera in discover(timeout, at or ())]
    answer({"local": here, "network": None if local else there}, as_json, display.show_cameras)


def _password(user: str | None) -> str:
    if user is None:
        return ""
    if (given := os.environ.get(PASSWORD)) is not None:
        return given
    if not sys.stdin.isatty():
        raise ConfigError(
            f"--user {user}: the password is asked for in a terminal, and there is none here; put it into {PASSWORD}"
        )
    return str(typer.prompt(f"password of {user}", hide_input=True, default="", show_default=False, err=True))


def _described(camera: NetworkCamera, user: str | None, password: str) -> dict[str, Any]:
    """A camera with its streams where they were asked for; one that refuses does not hide the others."""
    from streamseg.live.onvif import streams_of

    told: dict[str, Any] = asdict(camera) | {"host": camera.host}
    if user is None:
        return told
    try:
        return told | {"streams": [asdict(stream) for stream in streams_of(camera, user, password)]}
    except SourceError as error:
        return told | {"streams": [], "problem": str(error)}
