"""How much of each instance is seen, what hides the rest, and which of two is nearer."""

from streamseg.occlusion.estimator import OcclusionEstimator

__all__ = ["OcclusionEstimator"]
