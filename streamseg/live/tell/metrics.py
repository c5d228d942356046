"""Figures for Prometheus: what the cameras' counters say at the moment they are asked for. docs/telling.md lists them.

Names follow prometheus.io/docs/practices/naming: base units, `_total` for what only grows. Nothing is kept here, so a camera that
was removed is gone from the next answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from streamseg.errors import MissingExtra
from streamseg.live.control import Control
from streamseg.live.news import CameraStatus, State
from streamseg.system.version import installed_version

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

__all__ = ["CameraMetrics", "registry_of"]

_MOST_REASONS = 30
"""Reasons for which a camera's frames were skipped; the rest is `other`, so that no text makes series without end."""
_COUNTERS = (
    ("frames_captured", "captured", "Frames that the camera gave"),
    ("frames_processed", "processed", "Frames that got a result"),
    ("frames_detected", "detected", "Frames that the network looked at"),
    ("frames_gated", "gated", "Processed frames that the motion gate kept off the network"),
    ("reconnects", "reconnects", "Times that the camera was lost and found again"),
)
_GAUGES = (
    ("detect_every_frames", "detect_every", "The network looks at every so many frames"),
    ("frames_under_way", "under_way", "Frames that are being worked on"),
    ("picture_width_pixels", "width", "Width of the picture"),
    ("picture_height_pixels", "height", "Height of the picture"),
)
_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
_DELIVERIES = (
    ("delivered", "sent", "Messages that have arrived"),
    ("delivery_failures", "failures", "Tries to deliver a message, or to connect, that failed"),
)


class CameraMetrics:
    """A collector of the library `prometheus_client`."""

    def __init__(self, control: Control, services: Sequence[Any] = ()) -> None:
        """services: those with an `outbox`, of which the queues are told."""
        self._control, self._services = control, services

    def collect(self) -> Iterator[Metric]:
        """For the library: all figures now."""
        cameras = self._control.cameras()
        yield from _counts(cameras)
        yield from _states(cameras)
        yield from _latencies(cameras)
        yield from _objects(cameras)
        yield from _queues(cameras)
        yield from self._deliveries()
        yield from self._about()

    def describe(self) -> list[Metric]:
        """For the library: asked when it is registered; nothing is fixed."""
        return []

    def _deliveries(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        waiting = GaugeMetricFamily("streamseg_outbox_messages", "Messages that wait to be delivered", labels=["receiver"])
        dropped = CounterMetricFamily("streamseg_outbox_dropped", "Messages that were given up", labels=["receiver"])
        told = {name: CounterMetricFamily(f"streamseg_{name}", text, labels=["receiver"]) for name, _, text in _DELIVERIES}
        for service in self._services:
            if (outbox := getattr(service, "outbox", None)) is None:
                continue
            waiting.add_metric([service.name], len(outbox))
            dropped.add_metric([service.name], outbox.dropped + getattr(getattr(service, "delivery", None), "refused", 0))
            for name, attribute, _ in _DELIVERIES:
                told[name].add_metric([service.name], getattr(getattr(service, "delivery", service), attribute))
        yield from (waiting, dropped, *told.values())

    def _about(self) -> Iterator[Metric]:
        from prometheus_client.core import InfoMetricFamily

        build = InfoMetricFamily("streamseg_build", "Which streamseg this is", labels=[])
        build.add_metric([], {"version": installed_version()})
        yield build
        engine = InfoMetricFamily("streamseg_engine", "What runs the network, and which network", labels=[])
        if known := self._control.engine():
            engine.add_metric([], known)
        yield engine


def registry_of(control: Control, services: Sequence[Any] = ()) -> CollectorRegistry:
    """All that is told: of the cameras, and of this process. Raises MissingExtra."""
    try:
        from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
        from prometheus_client.core import CollectorRegistry
    except ImportError as error:
        raise MissingExtra("prometheus-client", "live") from error
    registry = CollectorRegistry()
    registry.register(CameraMetrics(control, services))
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _counts(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for name, attribute, text in _COUNTERS:
        counter = CounterMetricFamily(f"streamseg_{name}", text, labels=["camera"])
        for camera in cameras:
            counter.add_metric([camera.name], getattr(camera, attribute))
        yield counter
    skipped = CounterMetricFamily(
        "streamseg_frames_skipped",
        "Frames that got no result, by the place where they went and why",
        labels=["camera", "stage", "reason"],
    )
    for camera in cameras:
        for (stage, reason), number in _by_reason(camera.skipped).items():
            skipped.add_metric([camera.name, stage, reason], number)
    yield skipped
    for name, attribute, text in _GAUGES:
        gauge = GaugeMetricFamily(f"streamseg_{name}", text, labels=["camera"])
        for camera in cameras:
            gauge.add_metric([camera.name], getattr(camera, attribute))
        yield gauge


def _by_reason(skipped: Mapping[str, int]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for number, (key, count) in enumerate(sorted(skipped.items())):
        stage, _, reason = key.partition(": ")
        at = (stage, reason) if number < _MOST_REASONS else ("other", "other")
        found[at] = found.get(at, 0) + count
    return found


def _states(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    up = GaugeMetricFamily("streamseg_camera_up", "1 while pictures come", labels=["camera"])
    state = GaugeMetricFamily("streamseg_camera_state", "1 for the state that the camera is in", labels=["camera", "state"])
    since = GaugeMetricFamily("streamseg_camera_state_since_timestamp_seconds", "When that state began", labels=["camera"])
    for camera in cameras:
        up.add_metric([camera.name], float(camera.state == "watching"))
        since.add_metric([camera.name], camera.since_utc)
        for each in get_args(State):
            state.add_metric([camera.name, each], float(camera.state == each))
    yield from (up, state, since)


def _latencies(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    from prometheus_client import Metric

    # A summary, since only of these the label `quantile` is allowed; the library's own has none.
    latency = Metric("streamseg_latency_seconds", "From capture to the composited picture, over the last minute", "summary")
    for camera in cameras:
        for name, value in camera.latency_ms.items():
            if name in _QUANTILES:
                latency.add_sample(
                    "streamseg_latency_seconds", {"camera": camera.name, "quantile": _QUANTILES[name]}, value / 1000
                )
    yield latency


def _objects(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    now = GaugeMetricFamily("streamseg_objects", "Objects in the newest frame", labels=["camera", "class"])
    total = CounterMetricFamily("streamseg_objects_counted", "Objects counted so far", labels=["camera", "class"])
    for camera in cameras:
        for name, number in camera.total.items():
            total.add_metric([camera.name, name], number)
        # A class that was seen is told as 0: a series that vanishes cannot be told from one that is not asked for.
        for name in sorted({*camera.now, *camera.total}):
            now.add_metric([camera.name, name], camera.now.get(name, 0) if camera.state == "watching" else 0)
    yield from (now, total)


def _queues(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    queues = GaugeMetricFamily("streamseg_queue_frames", "Frames that wait before a stage", labels=["camera", "stage"])
    for camera in cameras:
        for stage, number in camera.queues.items():
            queues.add_metric([camera.name, stage], number)
    yield queues
