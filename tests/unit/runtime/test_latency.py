"""What is told of the last minute: percentiles that some item really had, and nothing of what is longer ago."""

from streamseg.runtime.latency import Latency


def test_percentiles_are_times_that_items_took():
    latency = Latency()
    for i in range(100):
        latency.add((i + 1) / 1000, now=i * 0.1)
    assert latency.milliseconds() == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    alone = Latency()
    alone.add(0.5, now=7)
    assert alone.milliseconds() == {"p50": 500.0, "p95": 500.0, "p99": 500.0}
    assert Latency().milliseconds() == {}


def test_a_bad_hour_is_forgotten_after_a_minute():
    latency = Latency(span=60)
    for second in range(100):
        latency.add(5.0, now=second)
    for second in range(100, 161):
        latency.add(0.01, now=second)
    assert latency.milliseconds() == {"p50": 10.0, "p95": 10.0, "p99": 10.0}
    assert len(latency) == 61
