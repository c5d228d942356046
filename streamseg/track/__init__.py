"""The track stage: gives instances identities that last through time."""

from streamseg.track.tracker import Tracker

__all__ = ["Tracker"]
