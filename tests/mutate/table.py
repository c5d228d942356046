"""Which tests a module answers to: its own, by which a change in it should be noticed."""

from __future__ import annotations

__all__ = ["TESTS"]

_OUTPUTS = (
    "tests/unit/encode/video/test_muxer.py",
    "tests/unit/encode/video/test_timecode.py",
    "tests/unit/encode/video/test_side_data.py",
    "tests/unit/encode/video/test_durations.py",
    "tests/unit/encode/video/test_video.py",
    "tests/faults/test_outputs.py",
)
TESTS: dict[str, tuple[str, ...]] = {
    "streamseg/core/masks.py": ("tests/unit/core/test_masks.py", "tests/unit/core/test_overlaps.py"),
    "streamseg/core/overlaps.py": ("tests/unit/core/test_overlaps.py", "tests/unit/core/test_without_masks.py"),
    "streamseg/pixels/layouts.py": ("tests/unit/pixels/test_layouts.py", "tests/unit/pixels/test_planes.py"),
    "streamseg/pixels/planes.py": ("tests/unit/pixels/test_planes.py",),
    "streamseg/pixels/color.py": ("tests/unit/pixels/test_color.py",),
    "streamseg/decode/timeline.py": ("tests/unit/decode/test_timeline.py", "tests/faults/test_clocks.py"),
    "streamseg/decode/passthrough.py": ("tests/unit/decode/test_passthrough.py",),
    "streamseg/encode/video/muxer.py": _OUTPUTS,
    "streamseg/encode/video/container_file.py": _OUTPUTS,
    "streamseg/encode/video/other_packets.py": _OUTPUTS,
    "streamseg/track/match.py": ("tests/unit/track/test_match.py",),
    "streamseg/detect/postprocess.py": ("tests/unit/detect/test_postprocess.py",),
    "streamseg/pixels/letterbox.py": ("tests/unit/detect/test_preprocess.py",),
    "streamseg/composite/overlay.py": ("tests/unit/composite/test_overlay.py", "tests/unit/composite/test_grey.py"),
    "streamseg/runtime/stage.py": ("tests/unit/runtime/test_runtime.py",),
    "streamseg/runtime/runtime.py": ("tests/unit/runtime/test_runtime.py",),
}
