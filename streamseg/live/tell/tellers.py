"""Those who tell others, as a file of cameras asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from streamseg.live.control import Control
from streamseg.live.tell.answers import Answers, MetricsServer
from streamseg.live.tell.log import Log
from streamseg.live.tell.mqtt import Mqtt
from streamseg.live.tell.notify import Notify
from streamseg.live.tell.systemd import Systemd
from streamseg.live.tell.webhook import Webhook
from streamseg.system.folders import state_root

if TYPE_CHECKING:
    from streamseg.live.config import LiveConfig

__all__ = ["Teller", "tellers"]


class Teller(Protocol):
    """As `live.services.Service`."""

    name: str

    def start(self) -> None:
        """Begin. Raises StreamsegError."""

    def stop(self, timeout: float) -> None:
        """End within so many seconds."""


def tellers(config: LiveConfig, control: Control) -> list[Teller]:
    """One for each broker, receiver and log that the file names, and systemd. Raises OutputError, or MissingExtra."""
    folder = state_root() / "outbox"
    found: list[Teller] = []
    if config.log is not None:
        found.append(Log(config.log, control.bus))
    if config.mqtt is not None:
        found.append(Mqtt(config.mqtt, control, folder))
    found += [Webhook(each, control.bus, folder) for each in config.webhooks]
    for number, each in enumerate(config.notify, 1):
        for which, address in enumerate(each.to, 1):
            name = f"{number}.{which}" if len(each.to) > 1 else str(number)
            found.append(Notify(each, address, control.bus, folder, name))
    if config.metrics is not None:
        found.append(MetricsServer(config.metrics, Answers(control, tuple(found))))
    return [*found, Systemd(control)]
