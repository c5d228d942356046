"""Whether there is anything left to watch."""

from __future__ import annotations

from collections.abc import Sequence

from streamseg.live.camera import Camera

__all__ = ["over"]


def over(cameras: Sequence[Camera]) -> str:
    """What became of all of them, where none is watched, or will be unless somebody asks for it; else nothing."""
    if not cameras or not all(camera.over for camera in cameras):
        return ""
    failed = sum(camera.problem is not None for camera in cameras)
    if not failed:
        return "all films have ended"
    return "every camera has failed" if failed == len(cameras) else "all films have ended, and all other cameras failed"
