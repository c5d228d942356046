"""Driving scenes: time to collision, distances, the way ahead, and what happens on it, each with its error bar."""

from streamseg.scene.road import Road, RoadSettings
from streamseg.scene.stage import SceneStage

__all__ = ["Road", "RoadSettings", "SceneStage"]
