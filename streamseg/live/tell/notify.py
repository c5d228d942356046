"""Messages to phones and chats, through Apprise: in order, again until they have arrived, and dropped when they are old news."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from streamseg.config.live_notify import NotifyConfig
from streamseg.config.live_tell import fill
from streamseg.config.secret import SecretText
from streamseg.errors import ConfigError, MissingExtra
from streamseg.live.bus import Bus
from streamseg.live.tell.collect import Collector, Complaints
from streamseg.live.tell.delivery import Backoff, Delivery, Later
from streamseg.live.tell.event_json import as_json
from streamseg.live.tell.outbox import Letter, Outbox

__all__ = ["Notify"]


class Notify:
    """One address, as a service: `start`, `stop`. Each has its own queue, so that one that fails makes no other hear twice."""

    def __init__(
        self, config: NotifyConfig, address: SecretText, bus: Bus, folder: Path, number: str, backoff: Backoff | None = None
    ) -> None:
        """number: what messages call it, since the address is not shown. Raises OutputError, and MissingExtra without apprise."""
        try:
            import apprise  # noqa: F401
        except ImportError as error:
            raise MissingExtra("apprise", "notify") from error
        self._config, self._address = config, address
        self.name = f"notify {number}"
        say = Complaints(bus)
        # Addresses are keys: not even their hash is to be found on disk.
        digest = hashlib.sha256(f"{number} {config.title} {config.text}".encode()).hexdigest()[:8]
        self.outbox = Outbox(folder / f"notify-{number}-{digest}.sqlite", config.queue, config.max_age, say)
        self.delivery = Delivery(self.name, self.outbox, self._send, say, backoff or Backoff(2.0, 300.0))
        self.collector = Collector(bus, self._take, self.name, say)
        self._told: dict[str, float] = {}
        self.left_out = 0
        """Events of which nothing was told, since another of the camera just was (`every`)."""

    def start(self) -> None:
        """Raises ConfigError for an address that Apprise does not know."""
        self._apprise()
        self.delivery.start()
        self.collector.start()

    def stop(self, timeout: float) -> None:
        """What has not arrived is kept for the next start."""
        self.collector.stop(timeout / 4)
        self.delivery.stop(timeout / 2)
        self.outbox.close()

    def _apprise(self) -> Any:
        from apprise import Apprise

        found = Apprise()
        if not found.add(self._address.get()):
            raise ConfigError(
                f"{self.name}: its address (not shown here) is none that Apprise knows; see github.com/caronc/apprise/wiki"
            )
        return found

    def _take(self, data: dict[str, Any], thumbnail: bytes) -> None:
        config, now = self._config, time.monotonic()
        if not config.wants(data):
            return
        if now - self._told.get(data["camera"], -config.every) < config.every:
            self.left_out += 1
            return
        self._told[data["camera"]] = now
        letter: dict[str, Any] = {"title": fill(config.title, data), "text": fill(config.text, data)}
        if config.thumbnail and thumbnail:
            letter["thumbnail"] = base64.b64encode(thumbnail).decode()
        self.outbox.put(data["id"], as_json(letter))
        self.delivery.wake()

    def _send(self, letter: Letter) -> None:
        """Raises Later; Apprise does not say why it failed, and what it writes of it may hold the address."""
        told = json.loads(letter.body)
        try:
            apprise = self._apprise()
        except ConfigError as error:
            raise Later(str(error)) from error
        with tempfile.TemporaryDirectory(prefix="streamseg-notify-") as folder:
            attach = None
            if "thumbnail" in told:
                picture = Path(folder) / "picture.jpg"
                picture.write_bytes(base64.b64decode(told["thumbnail"]))
                attach = str(picture)
            if not apprise.notify(body=_tidy(told["text"]) or told["title"], title=told["title"], attach=attach):
                raise Later("did not take a message")


def _tidy(text: str) -> str:
    """Without the gaps that empty values have left."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())
