"""A trip: the files that a dash camera cut one drive into, found, told apart by camera, and put in order."""

from streamseg.trip.find import Trip, find_trip
from streamseg.trip.parts import VIEWS, Part

__all__ = ["VIEWS", "Part", "Trip", "find_trip"]
