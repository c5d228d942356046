"""Figures that Prometheus can read, and answers that tell machines how the cameras are."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamseg.config.live_metrics import MetricsConfig
from streamseg.errors import OutputError
from streamseg.live.tell.answers import Answers, MetricsServer
from tests.unit.live.fakes import FakeControl


class Queue:
    """As a service with an outbox."""

    name = "webhook h"
    sent, failures = 7, 2

    class outbox:  # noqa: N801
        dropped = 3

        def __len__(self) -> int:
            return 5

    def __init__(self) -> None:
        self.outbox = Queue.outbox()  # type: ignore[misc, assignment]


@pytest.fixture
def cameras() -> FakeControl:
    made = FakeControl({"door": {"source": "rtsp://user:secret@h/1"}, "yard": {"source": "1"}})
    made.say(
        "door",
        state="watching",
        captured=100,
        processed=80,
        detected=40,
        gated=10,
        skipped={"decode: late": 15, "infer: stale": 5},
        latency_ms={"p50": 40.0, "p95": 80.0, "p99": 100.0},
        now={"person": 2},
        total={"person": 9, 'a "quoted"\nclass': 1},
        queues={"infer": 3},
        reconnects=2,
    )
    made.say("yard", state="lost", reason="secret")
    return made


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Any, name: str, **labels: str) -> float | None:
    return found.get((f"streamseg_{name}", frozenset(labels.items())))


def test_the_librarys_own_reader_reads_it_and_the_figures_are_the_cameras(cameras: FakeControl) -> None:
    status, kind, body = Answers(cameras, [Queue()])("/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    found = samples(body.decode())
    assert value(found, "frames_captured_total", camera="door") == 100
    assert value(found, "frames_skipped_total", camera="door", stage="decode", reason="late") == 15
    assert value(found, "latency_seconds", camera="door", quantile="0.95") == 0.08
    assert value(found, "objects", camera="door", **{"class": "person"}) == 2
    assert value(found, "objects_counted_total", camera="door", **{"class": 'a "quoted"\nclass'}) == 1
    assert value(found, "queue_frames", camera="door", stage="infer") == 3
    assert value(found, "reconnects_total", camera="door") == 2
    assert (value(found, "camera_up", camera="door"), value(found, "camera_up", camera="yard")) == (1, 0)
    assert value(found, "camera_state", camera="yard", state="lost") == 1
    assert sum(v for (n, labels), v in found.items() if n == "streamseg_camera_state" and ("camera", "yard") in labels) == 1
    assert value(found, "outbox_messages", receiver="webhook h") == 5
    assert value(found, "outbox_dropped_total", receiver="webhook h") == 3
    assert value(found, "delivered_total", receiver="webhook h") == 7
    assert ("process_resident_memory_bytes", frozenset()) in found
    engine = {"engine": "none", "device": "paper", "model": "made-up", "precision": "fp32", "size": "320x576"}
    assert value(found, "engine_info", **engine) == 1
    assert b"secret" not in body


def test_names_and_units_are_prometheus_own(cameras: FakeControl) -> None:
    """What `promtool check metrics` asks: a help text, `_total` for counters alone, base units, `quantile` in summaries alone."""
    text = Answers(cameras)("/metrics")[2].decode()
    for family in text_string_to_metric_families(text):
        if not family.name.startswith("streamseg_"):
            continue
        assert family.documentation
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        assert not re.search(r"_(ms|milliseconds|kb|mb|percent|minutes)(_|$)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter")
            assert ("quantile" in sample.labels) is (family.type == "summary")
    assert len({f.name for f in text_string_to_metric_families(text)}) == len([*text_string_to_metric_families(text)])


def test_openmetrics_is_given_to_who_asks_for_it(cameras: FakeControl) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as read

    _, kind, body = Answers(cameras)("/metrics", "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert {"streamseg_frames_captured", "streamseg_engine"} <= {family.name for family in read(body.decode())}


def test_a_camera_that_is_removed_leaves_no_series(cameras: FakeControl) -> None:
    answers = Answers(cameras)
    assert b"yard" in answers("/metrics")[2]
    cameras.remove("yard")
    assert b"yard" not in answers("/metrics")[2]


def test_reasons_without_end_make_no_series_without_end(cameras: FakeControl) -> None:
    cameras.say("door", skipped={f"decode: error {n}": 1 for n in range(1000)})
    found = samples(Answers(cameras)("/metrics")[2].decode())
    skipped = [v for (name, labels), v in found.items() if name == "streamseg_frames_skipped_total"]
    assert len(skipped) <= 31
    assert sum(skipped) == 1000


@pytest.fixture
def server(cameras: FakeControl) -> Iterator[MetricsServer]:
    made = MetricsServer(MetricsConfig(port=0), Answers(cameras))
    made.start()
    yield made
    made.stop(1.0)


def ask(server: MetricsServer, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_health_says_who_is_away_and_life_goes_on(server: MetricsServer, cameras: FakeControl) -> None:
    status, body = ask(server, "/health")
    assert status == 503
    assert b'"yard": {"state": "lost"' in body
    assert ask(server, "/healthz")[0] == 200, "no restart brings a camera back"
    assert ask(server, "/readyz")[0] == 200
    cameras.resume("yard")
    assert ask(server, "/readyz")[0] == 503
    cameras.say("yard", state="watching")
    assert ask(server, "/health")[0] == 200
    assert ask(server, "/metrics")[0] == 200
    assert ask(server, "/")[0] == 404


def test_a_site_whose_name_was_turned_to_this_machine_is_told_nothing(server: MetricsServer) -> None:
    status, body = ask(server, "/metrics", Host="evil.example:80")
    assert (status, b"door" in body) == (421, False)


def test_a_port_that_is_taken_is_said(server: MetricsServer, cameras: FakeControl) -> None:
    with pytest.raises(OutputError, match=rf"127\.0\.0\.1:{server.port}.*choose another"):
        MetricsServer(MetricsConfig(port=server.port), Answers(cameras)).start()


def test_who_connects_and_says_nothing_keeps_nobody_out(server: MetricsServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
    try:
        assert ask(server, "/healthz")[0] == 200
    finally:
        for each in silent:
            each.close()
