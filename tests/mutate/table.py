"""Which tests a module answers to: its own, by which a change in it should be noticed."""

from __future__ import annotations

__all__ = ["TESTS"]

TESTS: dict[str, tuple[str, ...]] = {
    "streamseg/masks.py": ("tests/unit/test_masks.py",),
    "streamseg/planes.py": ("tests/unit/test_planes.py",),
    "streamseg/color.py": ("tests/unit/test_color.py",),
    "streamseg/decode/timeline.py": ("tests/unit/decode/test_timeline.py", "tests/faults/test_clocks.py"),
    "streamseg/decode/passthrough.py": ("tests/unit/decode/test_passthrough.py",),
    "streamseg/encode/muxer.py": (
        "tests/unit/encode/test_muxer.py",
        "tests/unit/encode/test_timecode.py",
        "tests/unit/encode/test_beside.py",
        "tests/unit/encode/test_durations.py",
        "tests/unit/encode/test_video.py",
        "tests/faults/test_outputs.py",
    ),
    "streamseg/track/match.py": ("tests/unit/track/test_match.py",),
    "streamseg/postprocess.py": ("tests/unit/test_postprocess.py",),
    "streamseg/preprocess.py": ("tests/unit/test_preprocess.py",),
    "streamseg/composite/overlay.py": ("tests/unit/composite/test_overlay.py", "tests/unit/composite/test_grey.py"),
    "streamseg/runtime/runtime.py": ("tests/unit/test_runtime.py",),
}
