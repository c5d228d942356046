"""What may be asked of cameras that run: by the page, MQTT, signals, the edited file. `Live` does it; tests may stand in for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from streamseg.core.result import Result
from streamseg.encode.sink import RenderedPicture
from streamseg.encode.stream import SharedStream
from streamseg.live.bus import Bus
from streamseg.live.news import CameraStatus

__all__ = ["Control", "Feed", "Tap"]

Tap = Callable[[RenderedPicture], None]
"""Is called in the thread that shows a camera: it must not wait, nor write into the picture."""


class Feed(Protocol):
    """What one camera shows. It stays the same while the camera is lost, comes back, or is changed."""

    @property
    def stream(self) -> SharedStream:
        """Every shown picture as H.264, encoded while somebody listens; closed when the camera is removed."""

    def latest(self) -> Result | None:
        """The newest result, at most one frame older than the newest picture; None: nothing yet."""

    def snapshot(self, max_width: int = 1280) -> bytes:
        """The newest composited picture as JPEG; empty: nothing yet."""

    def watch(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` at each new picture, from any thread, until what this gives is called; `told` must return at once."""

    def tap(self, tap: Tap) -> None:
        """Give every composited picture to `tap` from now on, in order; one that raises is given no more."""

    def untap(self, tap: Tap) -> None:
        """Give it no more; of one that was not there nothing happens."""


class Control(Protocol):
    """All cameras. Thread-safe; no call waits for a camera. Raises ConfigError for what cannot be, naming it."""

    bus: Bus

    def cameras(self) -> tuple[CameraStatus, ...]:
        """How each is, in the order in which they are shown."""

    def feed(self, name: str) -> Feed:
        """What it shows. Raises ConfigError for an unknown name."""

    def add(self, name: str, options: Mapping[str, Any]) -> None:
        """Begin to watch one more: `options` as under `cameras: NAME:` of the file."""

    def remove(self, name: str) -> None:
        """Watch it no more; its recording is finished."""

    def pause(self, name: str) -> None:
        """Let go of the camera until `resume`."""

    def resume(self, name: str) -> None:
        """Watch a paused camera again, or try a failed one once more."""

    def health(self) -> dict[str, Any]:
        """{"ok": whether every camera that is not paused is watched, "cameras": {name: {"state", "since_utc", "reason"}}}."""

    def engine(self) -> dict[str, str]:
        """What runs the network: `engine`, `device`, `model`, `precision`, `size`; {} while it is being opened."""

    def options(self, name: str) -> dict[str, Any]:
        """What it runs with now, as in the file, credentials left out."""

    def change(self, name: str, options: Mapping[str, Any]) -> None:
        """Change some of its options; no frame of another camera is lost, and of its own only if its source is opened anew."""

    def warn(self, text: str, camera: str = "") -> None:
        """Tell people something, as `Warned`."""
