"""Masks through time: optical flow, masks carried along it, smoothed along tracks, and refined to the edges of the picture."""
