"""Counting, lines and zones."""

from streamseg.events.detector import EventDetector
from streamseg.events.ground import ground_points
from streamseg.events.places import Area, Line, Zone

__all__ = ["Area", "EventDetector", "Line", "Zone", "ground_points"]
