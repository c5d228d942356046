"""Logs of a run that viewers of robotics open: pictures and all that was found, on one timeline. MCAP (Foxglove), RRD (Rerun)."""
