"""The track stage: identities that hold through time."""

from streamseg.track.tracker import Tracker

__all__ = ["Tracker"]
