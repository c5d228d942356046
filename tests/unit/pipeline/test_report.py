"""A report in a line, for who prints it."""

from streamseg.pipeline.report import OutputReport, RunReport


def report(**changes):
    stages = {name: {"items": 50, "busy_ms": 1.25, "cpu_ms": 1.0, "dropped": 0} for name in ("decode", "infer", "encode")}
    usual = {
        "source": "street.mp4", "engine": "openvino", "model": "lite", "seconds": 2.0, "frames_in": 50, "frames_done": 50,
        "dropped": 0, "instances": 120, "objects": {"person": 3}, "latency_ms": {}, "events": {"lines": {}, "zones": {}},
        "stages": stages, "outputs": (OutputReport("picture", "seen.mp4", 50, 0, ("no sound",)),), "warnings": ("a", "b"),
        "interrupted": False,
    }  # fmt: skip
    return RunReport(**(usual | changes))


def test_it_prints_in_a_line():
    said = "RunReport(50 frames of 'street.mp4' in 2.0 s (25.0/s), outputs 'seen.mp4', 3 warnings)"
    assert repr(report()) == str(report()) == said
    assert report().to_json()["stages"]["infer"]["items"] == 50  # all there is, for programs


def test_it_says_what_was_not_as_usual():
    said = repr(report(dropped=4, interrupted=True, outputs=(), warnings=()))
    assert said == "RunReport(50 frames of 'street.mp4' in 2.0 s (25.0/s), 4 dropped, interrupted)"
