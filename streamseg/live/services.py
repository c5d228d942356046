"""Who is told of the cameras, beside the terminal: the page, MQTT, recorders. Each owner adds a line to `services_of`."""

from __future__ import annotations

from typing import Protocol

from streamseg.errors import MissingExtra
from streamseg.live.config import LiveFile
from streamseg.live.control import Control
from streamseg.live.tell.answers import Answers, tell_routes
from streamseg.live.tell.tellers import tellers

__all__ = ["Service", "services_of"]


class Service(Protocol):
    """Something that runs beside the cameras, in threads of its own."""

    name: str
    """In messages."""

    def start(self) -> None:
        """Begin. Raises StreamsegError, which ends the program: what is wrong at the start is a person's to mend. What goes wrong
        later is said as `Warned`, and tried again."""

    def stop(self, timeout: float) -> None:
        """End within so many seconds. Twice is harmless."""


def services_of(file: LiveFile, control: Control) -> list[Service]:
    """Those that the file asks for, in the order in which they start; they are stopped in the opposite one."""
    services: list[Service] = [*tellers(file.config, control)]
    if file.config.page is not None:
        services.append(_page(file, control, services))
    return services


def _page(file: LiveFile, control: Control, others: list[Service]) -> Service:
    try:
        from streamseg.live.web.page import Page
    except ImportError as error:
        raise MissingExtra(error.name or "starlette", "live") from error
    assert file.config.page is not None
    return Page(
        control,
        file.config.page,
        store=lambda: getattr(getattr(control, "keeper", None), "archive", None),
        routes=tell_routes(Answers(control, tuple(others))),
    )
